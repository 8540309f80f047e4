//! The golden path that the demo shows, from the request to the files and the catalog.

use std::path::{Path, PathBuf};

use goldenpath_tests::{Event, Portal};
use serde_json::{Value, json};

use crate::{guest_target, program};

fn demo() -> Portal {
    Portal::demo(program(), &guest_target())
}

fn services(portal: &Portal) -> PathBuf {
    portal.data().join("files/scaffold-service/services")
}

/// Every file below a folder, relative to it, sorted.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        let Ok(entries) = next.read_dir() else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let below = path.strip_prefix(folder).expect("it is below");
                found.push(below.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn assert_counts_up(events: &[Event]) {
    let ids: Vec<u64> = events.iter().map(|event| event.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[test]
fn a_service_is_scaffolded_once_watched_and_never_half() {
    let portal = demo();
    let admin = portal.admin();
    let inputs = json!({"name": "orders-api", "system": "Cart"});

    // Accepted: on disk, with its place.
    let accepted = admin
        .post(
            "/v1/actions/scaffold-service/runs",
            &json!({ "properties": inputs }),
        )
        .with_status(202);
    let place = accepted.headers["location"].to_str().expect("a path");
    let id = accepted.json()["run"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(place, format!("/v1/actions/runs/{id}"));

    // Watched: in order, to the end, and again from any place.
    let events: Vec<Event> = admin.events(&id, None).collect();
    assert_counts_up(&events);
    let last = events.last().expect("events");
    assert_eq!(
        (last.name.as_str(), &last.data["status"]),
        ("state", &json!("SUCCESS")),
        "{last:?}"
    );
    assert!(events.iter().any(|event| event.name == "log"), "{events:?}");
    let middle = events[events.len() / 2].id;
    let resumed: Vec<u64> = admin.events(&id, Some(middle)).map(|e| e.id).collect();
    let rest: Vec<u64> = events
        .iter()
        .map(|e| e.id)
        .filter(|e| *e > middle)
        .collect();
    assert_eq!(resumed, rest, "nothing is lost and nothing comes twice");

    // Done: the files, the entity and its relation.
    let run = admin.get(place).with_status(200).json()["run"].clone();
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_ne!(run["output"]["links"], json!([]), "{run}");
    let files = tree(&services(&portal));
    for wanted in [
        "orders-api/README.md",
        "orders-api/Dockerfile",
        "orders-api/catalog-info.yaml",
    ] {
        assert!(files.iter().any(|file| file == wanted), "{files:?}");
    }
    let entity = admin
        .get("/v1/blueprints/Component/entities/orders-api")
        .with_status(200)
        .json();
    assert_eq!(entity["entity"]["relations"]["system"], "Cart", "{entity}");

    // Refused: a second time, and for a system that is not there; nothing changes.
    let again = admin.run("scaffold-service", &inputs);
    assert_eq!(again["failure"]["code"], "service_exists", "{again}");
    assert_eq!(tree(&services(&portal)), files);
    let nowhere = admin.post(
        "/v1/actions/scaffold-service/runs",
        &json!({"properties": {"name": "lost", "system": "Nowhere"}}),
    );
    assert_eq!(nowhere.status, 422, "{}", nowhere.text());
    assert_eq!(tree(&services(&portal)), files);

    command_line_follows_a_run(&portal);
    everything_has_an_owner(&portal);
    a_second_start_keeps_everything(portal);
}

fn command_line_follows_a_run(portal: &Portal) {
    let ended = portal
        .cli(&[
            "run",
            "scaffold-service",
            "--input",
            "name=invoices",
            "--input",
            "system=Cart",
            "--input",
            "language=go",
            "--follow",
        ])
        .with_code(0);
    assert!(ended.stdout.contains("invoices"), "{}", ended.stdout);
    assert!(services(portal).join("invoices/main.go").is_file());
    let refused = portal
        .cli(&[
            "run",
            "scaffold-service",
            "--input",
            "name=invoices",
            "--input",
            "system=Cart",
            "--follow",
        ])
        .with_code(1);
    let said = refused.stdout + &refused.stderr;
    assert!(said.contains("invoices"), "{said}");
}

fn everything_has_an_owner(portal: &Portal) {
    let cart = portal
        .admin()
        .get("/v1/blueprints/Component/entities/CartService")
        .with_status(200)
        .json();
    let team = &cart["entity"]["team"];
    assert!(
        team.as_array().is_some_and(|teams| !teams.is_empty()),
        "{team}"
    );
}

fn a_second_start_keeps_everything(mut portal: Portal) {
    let kept = |portal: &Portal| -> Value {
        portal
            .admin()
            .get("/v1/blueprints/Component/entities")
            .with_status(200)
            .json()
    };
    let before = kept(&portal);
    portal.restart();
    assert_eq!(kept(&portal), before);
}
