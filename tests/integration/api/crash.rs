//! What a power cut takes: nothing that was acknowledged, and no half of what was not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use goldenpath_tests::{Client, Portal, long};
use serde_json::{Value, json};

use crate::program;

/// Entities of one request: more than the store takes into one commit as single writes.
const BATCH: usize = 400;

/// How the writers send their batches. Whichever it is, a request is one transaction.
const DOORS: [&str; 2] = ["bulk", "apply"];

/// The portal is killed that many times in the middle of writing.
fn rounds() -> usize {
    if long("42 of 50 rounds of kill -9") {
        50
    } else {
        8
    }
}

#[test]
fn a_killed_portal_has_each_acknowledged_batch_whole_and_no_half_of_another() {
    let mut portal = Portal::start(program());
    let blueprint = |name: &str| {
        json!({
            "identifier": name, "title": name,
            "schema": {"properties": {"batch": {"type": "string"}, "text": {"type": "string"}}},
            "relations": {"first": {"target": name}},
        })
    };
    for door in DOORS {
        portal
            .admin()
            .post("/v1/blueprints", &blueprint(door))
            .with_status(201);
    }
    for round in 0..rounds() {
        let acknowledged = write_until_killed(&portal, round);
        let data = portal.data();
        let data = data.to_str().expect("a path in UTF-8");
        // Every page, every reference and the whole chain of the audit log.
        let checked = portal.cli(&["--json", "doctor", "--data", data]);
        assert_eq!(checked.code, 0, "round {round}: {}", checked.stdout);
        portal.restart();
        let found = count(portal.admin());
        for (batch, size) in &found {
            assert_eq!(
                *size, BATCH,
                "round {round}: only a part of `{batch}` is there"
            );
        }
        for batch in &acknowledged {
            let kept = found.get(batch).copied().unwrap_or_default();
            assert_eq!(kept, BATCH, "round {round}: `{batch}` was acknowledged");
        }
        // Else every round takes longer than the one before.
        for door in DOORS {
            clear(portal.admin(), door, &found);
        }
    }
}

/// Writes through both doors at once and kills the portal in the middle: the names of the acknowledged batches.
fn write_until_killed(portal: &Portal, round: usize) -> Vec<String> {
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let sent = Arc::new(AtomicUsize::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = DOORS
        .into_iter()
        .map(|door| {
            let client = portal.admin().clone();
            let (acknowledged, sent, over) = (
                Arc::clone(&acknowledged),
                Arc::clone(&sent),
                Arc::clone(&over),
            );
            std::thread::spawn(move || {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    let batch = format!("{door}-{round}-{number}");
                    number += 1;
                    let (path, body) = request(door, &batch);
                    sent.fetch_add(1, Ordering::Relaxed);
                    let Some(reply) = client.try_post(&path, &body) else {
                        return;
                    };
                    assert_eq!(reply.status, 200, "{}", reply.text());
                    acknowledged.lock().expect("no writer panicked").push(batch);
                }
            })
        })
        .collect();
    // Each round is cut somewhere else: after another number of batches, in the middle of the next.
    let enough = 3 + round % 4;
    while sent.load(Ordering::Relaxed) < enough {
        std::thread::yield_now();
    }
    for _ in 0..(round * 7_919) % 50_000 {
        std::thread::yield_now();
    }
    portal.kill();
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().expect("every answer was a success");
    }
    Arc::into_inner(acknowledged)
        .expect("the writers are over")
        .into_inner()
        .expect("no writer panicked")
}

fn request(door: &str, batch: &str) -> (String, Value) {
    let entity = |number: usize| {
        json!({
            "identifier": format!("{batch}-{number}"),
            "properties": {"batch": batch, "text": "x".repeat(200)},
            "relations": {"first": format!("{batch}-0")},
        })
    };
    let entities = (0..BATCH).map(entity);
    if door == "bulk" {
        let path = format!("/v1/blueprints/{door}/entities/bulk?upsert=true");
        return (path, json!({ "entities": entities.collect::<Vec<_>>() }));
    }
    let documents: Vec<Value> = entities
        .map(|mut entity| {
            entity["blueprint"] = json!(door);
            json!({"source": batch, "kind": "entity", "value": entity})
        })
        .collect();
    (
        "/v1/catalog/apply".to_owned(),
        json!({ "documents": documents }),
    )
}

/// How many entities of each batch there are.
fn count(client: &Client) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for door in DOORS {
        let path = format!("/v1/blueprints/{door}/entities");
        let listed = client.get(&path).with_status(200).json();
        for entity in listed["entities"].as_array().expect("a list") {
            let batch = entity["properties"]["batch"].as_str().expect("a batch");
            *found.entry(batch.to_owned()).or_default() += 1;
        }
    }
    found
}

fn clear(client: &Client, door: &str, found: &BTreeMap<String, usize>) {
    for batch in found.keys().filter(|batch| batch.starts_with(door)) {
        // All others of a batch point at its first.
        let path = format!("/v1/blueprints/{door}/entities/{batch}-0?delete_dependents=true");
        client.delete(&path).with_status(200);
    }
}
