//! What becomes of runs that are cancelled, fail, take too long, or are cut off with the portal.

use goldenpath_tests::{Guest, Portal};
use serde_json::{Value, json};

use crate::{misbehaving_component, program};

/// Time enough, and what the component imports.
const PATIENT: &str = r#"
[limits]
wall-time = "60s"
cpu-time = "60s"

[[capabilities.catalog]]
blueprint = "Thing"
access = ["read", "upsert"]
reason = "another function needs it"

[[capabilities.files]]
name = "box"
access = "read-write"
max-bytes = "64KiB"
max-files = 100
reason = "another function needs it"
"#;

/// A portal with a guest that sleeps, one that loops and one that crashes, each carried out as `engine` says.
fn portal(effects: &str, engine: &Value) -> Portal {
    portal_with(effects, engine, &[])
}

fn portal_with(effects: &str, engine: &Value, flags: &[&str]) -> Portal {
    let portal = Portal::start_with(program(), flags);
    let component = misbehaving_component();
    let description = Guest::describe(&component);
    let guest = Guest::new("odd", component, &description).with_manifest(PATIENT);
    let functions = ["sleeps-too-long", "loops-forever", "traps"];
    let guest = functions.into_iter().fold(guest, |guest, function| {
        guest.with_engine(function, function, effects, engine)
    });
    portal.install(&guest);
    portal
}

fn start(portal: &Portal, action: &str) -> String {
    let path = format!("/v1/actions/{action}/runs");
    let reply = portal.admin().post(&path, &json!({})).with_status(202);
    reply.json()["run"]["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

fn find(portal: &Portal, run: &str) -> Value {
    let path = format!("/v1/actions/runs/{run}");
    portal.admin().get(&path).with_status(200).json()["run"].clone()
}

/// Reads the run's events until it is in a state.
fn wait_until(portal: &Portal, run: &str, state: &str) {
    let mut events = portal.admin().events(run, None);
    let reached = events.any(|event| event.name == "state" && event.data["state"] == state);
    assert!(reached, "{run} never was `{state}`: {}", find(portal, run));
}

/// The states of a run that has ended, in order.
fn states(portal: &Portal, run: &str) -> Vec<String> {
    let events = portal.admin().events(run, None);
    events
        .filter(|event| event.name == "state")
        .map(|event| event.data["state"].as_str().expect("a state").to_owned())
        .collect()
}

#[test]
fn a_guest_at_work_is_ended_by_a_cancel_wherever_it_is() {
    let portal = portal("none", &json!({}));
    for action in ["sleeps-too-long", "loops-forever"] {
        let run = start(&portal, action);
        wait_until(&portal, &run, "running");
        let cancel = format!("/v1/actions/runs/{run}/cancel");
        portal.admin().post(&cancel, &json!({})).with_status(202);
        assert_eq!(states(&portal, &run), ["queued", "running", "cancelled"]);
        let ended = find(&portal, &run);
        assert_eq!(ended["failure"]["code"], "cancelled", "{ended}");
        assert_eq!(ended["status"], "FAILURE");
        let again = portal.admin().post(&cancel, &json!({})).with_status(409);
        assert_eq!(again.error(), "run_ended");
    }
}

#[test]
fn a_guest_that_crashes_is_tried_as_often_as_its_action_says() {
    let retry = json!({"retry": {"attempts": 3, "backoff": "1ms", "maxBackoff": "2ms"}});
    let portal = portal("idempotent", &retry);
    let run = portal.admin().run("traps", &json!({}));
    assert_eq!(run["failure"]["code"], "plugin_crashed", "{run}");
    assert_eq!(run["attempts"], 3, "{run}");
    let states = states(&portal, run["id"].as_str().expect("an id"));
    let attempt = ["queued", "running", "waiting_for_retry"];
    let expected = [&attempt[..], &attempt, &["queued", "running", "failed"]].concat();
    assert_eq!(states, expected);
}

#[test]
fn a_run_ends_at_the_timeout_of_its_action_whatever_its_attempts_may_take() {
    let portal = portal(
        "none",
        &json!({"timeout": "200ms", "retry": {"attempts": 5}}),
    );
    let run = portal.admin().run("sleeps-too-long", &json!({}));
    assert_eq!(run["state"], "timed_out", "{run}");
    assert_eq!(run["attempts"], 1, "{run}");
    let crashed = portal.admin().run("traps", &json!({}));
    assert_eq!(
        crashed["state"], "timed_out",
        "the pause is longer than what is left: {crashed}"
    );
}

#[test]
fn a_run_that_had_done_nothing_yet_is_carried_out_again_after_the_portal_was_killed() {
    for effects in ["none", "idempotent", "once"] {
        is_carried_out_again(effects);
    }
}

fn is_carried_out_again(effects: &str) {
    let mut portal = portal(effects, &json!({}));
    let run = start(&portal, "sleeps-too-long");
    wait_until(&portal, &run, "running");
    portal.kill();
    portal.restart();
    let mut events = portal.admin().events(&run, None);
    let begun = events
        .by_ref()
        .filter(|event| event.data["state"] == "running");
    assert_eq!(begun.take(2).count(), 2);
    let now = find(&portal, &run);
    assert_eq!(
        (&now["attempts"], &now["state"]),
        (&json!(2), &json!("running"))
    );
}

#[test]
fn what_brings_the_portal_down_again_and_again_is_given_up() {
    let mut portal = portal("idempotent", &json!({}));
    let run = start(&portal, "sleeps-too-long");
    for attempt in 1..=5 {
        let mut events = portal.admin().events(&run, None);
        let begun = events
            .by_ref()
            .filter(|event| event.data["state"] == "running");
        assert_eq!(begun.take(attempt).count(), attempt);
        portal.kill();
        portal.restart();
    }
    let ended = find(&portal, &run);
    assert_eq!(ended["failure"]["code"], "host_restarted", "{ended}");
}

#[test]
fn a_plugin_has_no_more_runs_at_work_than_the_operator_allows() {
    let portal = portal_with("none", &json!({}), &["--plugin-runs", "1"]);
    let first = start(&portal, "sleeps-too-long");
    wait_until(&portal, &first, "running");
    let second = start(&portal, "loops-forever");
    assert_eq!(find(&portal, &second)["state"], "queued");
    let cancel = format!("/v1/actions/runs/{first}/cancel");
    portal.admin().post(&cancel, &json!({})).with_status(202);
    wait_until(&portal, &second, "running");
    let cancel = format!("/v1/actions/runs/{second}/cancel");
    portal.admin().post(&cancel, &json!({})).with_status(202);
    assert_eq!(states(&portal, &second), ["queued", "running", "cancelled"]);
}

#[test]
fn a_full_queue_takes_no_more_runs_and_says_when_to_ask_again() {
    let portal = portal_with(
        "none",
        &json!({}),
        &["--workers", "1", "--queue-limit", "3"],
    );
    let at_work = start(&portal, "sleeps-too-long");
    wait_until(&portal, &at_work, "running");
    let path = "/v1/actions/traps/runs";
    let ask = |key: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        portal.admin().send("POST", path, &headers, b"{}".to_vec())
    };
    let first = ask("a").with_status(202).json();
    ask("b").with_status(202);

    let refused = ask("c").with_status(429);
    assert_eq!(refused.error(), "queue_full");
    assert_eq!(refused.headers["retry-after"], "5");
    let again = ask("a").with_status(202).json();
    assert_eq!(
        again["run"]["id"], first["run"]["id"],
        "what was accepted before is answered"
    );
    let other = portal.user("grace@example.com", "developer");
    let place = other.post(path, &json!({})).with_status(202).json();
    let last = other.post(path, &json!({})).with_status(429);
    assert_eq!(last.error(), "queue_full", "now all three places are taken");

    let run = place["run"]["id"].as_str().expect("an id").to_owned();
    let cancel = format!("/v1/actions/runs/{run}/cancel");
    other.post(&cancel, &json!({}));
    other.post(path, &json!({})).with_status(202);
    ask("c").with_status(429);
}
