//! A run from the client's side, beside routes that answer the same at once.

use std::time::Instant;

use criterion::Criterion;
use goldenpath_tests::{Client, Portal};
use serde_json::{Value, json};

use crate::server::{ANSWER, BareServer, CALL};
use crate::table::{Table, measure as timed};

const RUNS: &str = "/v1/actions/hello/runs";

/// Runs `hello` and waits for its end.
pub(crate) fn greet(client: &Client) -> Value {
    greet_at(client, RUNS)
}

/// Makes a service, which has the demo's other plugin loaded.
pub(crate) fn scaffold(client: &Client, name: &str) {
    let properties = json!({"name": name, "system": "Cart"});
    run(client, "/v1/actions/scaffold-service/runs", &properties);
}

fn greet_at(client: &Client, path: &str) -> Value {
    run(client, path, &json!({"name": "Ada"}))
}

fn run(client: &Client, path: &str, properties: &Value) -> Value {
    let body = json!({ "properties": properties });
    let reply = client.send_json("POST", path, &[("prefer", "wait=30")], &body);
    let reply = reply.with_status(200).json();
    assert_eq!(reply["run"]["status"], "SUCCESS", "{reply}");
    reply
}

pub(crate) fn measure(
    criterion: &mut Criterion,
    table: &mut Table,
    portal: &Portal,
    bare: &BareServer,
) {
    // Each client keeps its connection.
    let time = |client: &Client, path: &str, times: u64| {
        let started = Instant::now();
        for _ in 0..times {
            greet_at(client, path);
        }
        started.elapsed()
    };
    let (ours, bare) = (portal.admin(), Client::stranger(bare.url()));
    let answered = timed(
        criterion,
        "run beside axum",
        |times| time(ours, RUNS, times),
        |times| time(&bare, ANSWER, times),
    );
    let called = timed(
        criterion,
        "run beside axum and wasmtime",
        |times| time(ours, RUNS, times),
        |times| time(&bare, CALL, times),
    );
    table.add(
        "`hello` run over HTTP, `Prefer: wait` (raw: a route of axum with the same answer)",
        answered,
        &[],
    );
    table.add(
        "the same (raw: a route of axum that calls `hello` by wasmtime alone)",
        called,
        &[],
    );
}
