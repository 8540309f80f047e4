//! A portal that holds very many versions of plugins: what it takes to approve one, to start with all of them, to hold
//! them and to run one among them.
//!
//! They are the component of `hello` with other manifests, so each is a package with a digest of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use goldenpath_tests::{Client, Guest, Portal, component, plugins_dir};
use rusqlite::Connection;
use serde_json::json;

use crate::process::memory;
use crate::table::{Figure, Pair, Percentiles, Table, Target};

/// Versions that are installed in all.
const VERSIONS: usize = 1_000;

/// Plugins that they are versions of.
const PLUGINS: usize = 100;

/// Versions that are approved, each asking for more than the one before.
const APPROVALS: usize = 50;

/// Runs whose times are compared.
const RUNS: usize = 200;

/// The function of `hello` that is called.
const FUNCTION: &str = "hello";

pub(crate) fn measure(program: &Path, target: &Path, table: &mut Table) {
    let hello = component(target, &plugins_dir().join("hello"), None);
    let description = Guest::describe(&hello);
    let guest = |name: &str| Guest::new(name, hello.clone(), &description);
    let mut portal = Portal::start(program);

    let first = guest("first").with_action_as(FUNCTION, "first");
    portal.install(&first);
    approve(&portal, table, &first);

    let alone = run_often(portal.admin(), "first");
    for number in 0..PLUGINS {
        let name = format!("plugin-{number}");
        for version in 0..VERSIONS / PLUGINS {
            let version = format!("1.{version}.0");
            let own = guest(&name).with_action_as(FUNCTION, &name);
            portal.install(&own.with_version(&version));
        }
    }
    portal.restart();
    let among = run_often(portal.admin(), "first");
    let p50 = |times: Vec<Duration>| Percentiles::of(times).map(|times| times.p50);
    table.add(
        "a run over HTTP among 1,000 installed versions, p50 (raw: with its plugin alone)",
        Pair::of(p50(among), p50(alone)),
        &[Target::Ratio(1.1)],
    );

    for number in 0..PLUGINS {
        run(portal.admin(), &format!("plugin-{number}"));
    }
    let used = portal.process_id().and_then(memory);
    table.add(
        "`serve` with 1,000 versions: memory after a run of each of 100 plugins (RSS)",
        Pair::of(used, None),
        &[Target::AtMost(Figure::Bytes(200.0 * 1024.0 * 1024.0))],
    );

    let starts = (0..10).map(|_| {
        portal.kill();
        let started = Instant::now();
        portal.serve();
        Client::stranger(portal.url())
            .get("/health")
            .with_status(200);
        started.elapsed()
    });
    table.add(
        "`serve` with 1,000 versions: start to first answer of `/health`",
        Pair::of(p50(starts.collect()), None),
        &[Target::AtMost(Figure::Seconds(2.0))],
    );
}

/// From the request that approves a version to the answer that says it is active.
fn approve(portal: &Portal, table: &mut Table, guest: &Guest) {
    let admin = portal.admin();
    let mut asked = String::new();
    let bare = commit_to(&portal.folder().join("bare.db"));
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for number in 0..APPROVALS {
        asked.push_str(&format!(
            "[[capabilities.catalog]]\nblueprint = \"Kind{number}\"\naccess = [\"read\"]\nreason = \"to read\"\n"
        ));
        let version = format!("1.{}.0", number + 1);
        let package = guest.clone().with_version(&version).with_manifest(&asked);
        let headers = [("content-type", "application/wasm")];
        let installed = admin
            .send("POST", "/v1/plugins", &headers, package.package())
            .with_status(201)
            .json();
        assert_eq!(installed["plugin"]["state"], "pending", "{installed}");
        let approval = admin.approval("first", &version, json!({}));
        let path = format!("/v1/plugins/first/versions/{version}/approve");
        let started = Instant::now();
        admin.post(&path, &approval).with_status(200);
        let read = admin.get("/v1/plugins/first").with_status(200).json();
        ours.push(started.elapsed());
        assert_eq!(read["plugin"]["activeVersion"], version, "{read}");
        let started = Instant::now();
        bare.execute(
            "INSERT INTO grant_row (document) VALUES (?1)",
            [approval.to_string()],
        )
        .unwrap();
        raw.push(started.elapsed());
    }
    let p50 = |times: Vec<Duration>| Percentiles::of(times).map(|times| times.p50);
    table.add(
        "approve to active, as the next request sees it, p50 (raw: one row by one durable commit)",
        Pair::of(p50(ours), p50(raw)),
        &[Target::AtMost(Figure::Seconds(0.05))],
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "SQLite without the portal is the point"
)]
fn commit_to(file: &Path) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = full;
             CREATE TABLE grant_row (id INTEGER PRIMARY KEY, document TEXT NOT NULL) STRICT",
        )
        .unwrap();
    connection
}

fn run_often(client: &Client, action: &str) -> Vec<Duration> {
    // Loads the plugin.
    run(client, action);
    let time = |_| {
        let started = Instant::now();
        run(client, action);
        started.elapsed()
    };
    (0..RUNS).map(time).collect()
}

fn run(client: &Client, action: &str) {
    let path = format!("/v1/actions/{action}/runs");
    let body = json!({"properties": {"name": "Ada"}});
    let reply = client.send_json("POST", &path, &[("prefer", "wait=30")], &body);
    let reply = reply.with_status(200).json();
    assert_eq!(reply["run"]["status"], "SUCCESS", "{reply}");
}
