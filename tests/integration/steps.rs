//! What becomes of the steps of a run when the portal is killed, an attempt fails, or the run sleeps. The server counts
//! what was really done.

use std::sync::atomic::{AtomicUsize, Ordering};

use goldenpath_tests::{Answer, Client, Guest, Portal, Received, Server, component, guests_dir};
use serde_json::{Value, json};

use crate::sdk::state::{HTTP, MANIFEST as STATE};
use crate::sdk::user_of_the_sdk;
use crate::{guest_target, misbehaving_component, program};

const MANIFEST: &str = r#"
[limits]
wall-time = "120s"
http-requests = 100

[endpoints.api]
reason = "to have something to do"

[[capabilities.http]]
endpoint = "api"
methods = ["POST"]
paths = ["/*"]
reason = "to do it"
"#;

/// A portal with the guest in it, and a server that does not answer the first request to `/second` where it `hangs`.
struct Place {
    portal: Portal,
    server: Server,
    guest: Guest,
}

impl Place {
    fn new(effects: &str, engine: &Value, hangs: bool) -> Self {
        let seen = AtomicUsize::new(0);
        let server = Server::start(move |request: &Received| {
            let number = seen.fetch_add(1, Ordering::Relaxed);
            let is_hung = hangs && request.target == "/second";
            // The retried request is answered: it is not the one that hung.
            if is_hung && number < 2 {
                return Answer::never();
            }
            Answer::new(200, format!("{} {number}", request.target))
        });
        let component = component(&guest_target(), &guests_dir(), Some("takes_steps"));
        let description = Guest::describe(&component);
        let guest = Guest::new("walker", component, &description).with_manifest(MANIFEST);
        let functions = ["walks", "wanders", "stumbles", "overflows"];
        let guest = functions.into_iter().fold(guest, |guest, function| {
            guest.with_engine(function, function, effects, engine)
        });
        let arguments = ["--egress-allow-private", "--workers", "1"];
        let portal = Portal::start_with(program(), &arguments);
        let place = Self {
            portal,
            server,
            guest,
        };
        place.install(&place.guest);
        place
    }

    fn install(&self, guest: &Guest) {
        let bound =
            json!({"urls": [self.server.url()], "allowPrivate": true, "allowPlaintext": true});
        self.portal.install_bound(guest, &json!({ "api": bound }));
    }

    fn start(&self, input: &Value) -> String {
        let body = json!({ "properties": input });
        let reply = self.portal.admin().post("/v1/actions/walks/runs", &body);
        let run = reply.with_status(202).json();
        run["run"]["id"].as_str().expect("an id").to_owned()
    }

    fn restart(&mut self) {
        self.portal.kill();
        self.portal.restart();
    }

    /// How often the server was asked for a path.
    fn count(&self, path: &str) -> usize {
        let received = self.server.received();
        received.iter().filter(|one| one.target == path).count()
    }

    fn counts(&self) -> [usize; 3] {
        ["/first", "/second", "/third"].map(|path| self.count(path))
    }

    fn wait_for_request(&self, path: &str) {
        while self.count(path) == 0 {
            std::thread::yield_now();
        }
    }
}

fn find(client: &Client, run: &str) -> Value {
    let path = format!("/v1/actions/runs/{run}");
    client.get(&path).with_status(200).json()["run"].clone()
}

/// The run once it has ended.
fn ended(client: &Client, run: &str) -> Value {
    // The stream ends with the run.
    assert!(client.events(run, None).count() > 0);
    find(client, run)
}

fn wait_until(client: &Client, run: &str, state: &str) {
    let mut events = client.events(run, None);
    let reached = events.any(|event| event.name == "state" && event.data["state"] == state);
    assert!(reached, "{run} never was `{state}`: {}", find(client, run));
}

/// Kind, name and state of each step.
fn steps(run: &Value) -> Vec<[String; 3]> {
    let steps = run["steps"].as_array().expect("steps").iter();
    let word = |step: &Value, name: &str| step[name].as_str().expect("a word").to_owned();
    steps
        .map(|step| ["kind", "name", "state"].map(|name| word(step, name)))
        .collect()
}

fn finished(name: &str) -> [String; 3] {
    ["step", name, "finished"].map(str::to_owned)
}

#[test]
pub(crate) fn a_killed_run_goes_on_after_the_last_step_that_has_finished() {
    let mut place = Place::new("idempotent", &json!({}), true);
    let run = place.start(&json!({}));
    place.wait_for_request("/second");
    place.restart();
    let run = ended(place.portal.admin(), &run);
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(run["output"]["of"][0], "/first 0", "{run}");
    assert_eq!(place.counts(), [1, 2, 1]);
    let expected = ["first", "second", "third"].map(finished);
    assert_eq!(steps(&run), expected);
    assert_eq!(run["steps"][0]["attempt"], 1, "{run}");
    assert_eq!(run["steps"][1]["attempt"], 2, "{run}");
}

#[test]
fn a_run_that_was_killed_inside_a_step_that_is_done_once_has_an_unknown_outcome() {
    let mut place = Place::new("once", &json!({}), true);
    let run = place.start(&json!({}));
    place.wait_for_request("/second");
    place.restart();
    let run = ended(place.portal.admin(), &run);
    assert_eq!(run["state"], "outcome_unknown", "{run}");
    assert_eq!(place.counts(), [1, 1, 0]);
    let second = ["step", "second", "started"].map(str::to_owned);
    assert_eq!(steps(&run), [finished("first"), second]);
}

#[test]
fn an_idempotent_step_that_was_cut_off_is_done_again_under_its_key() {
    let mut place = Place::new("once", &json!({}), true);
    let run = place.start(&json!({"idempotent": true}));
    place.wait_for_request("/second");
    place.restart();
    let ended = ended(place.portal.admin(), &run);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(place.counts(), [1, 2, 1]);
    let received = place.server.received();
    let keys = |path: &str| -> Vec<String> {
        let of = received.iter().filter(|request| request.target == path);
        of.flat_map(|request| request.header("idempotency-key"))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(keys("/first"), [format!("{run}.1")]);
    assert_eq!(keys("/second"), vec![format!("{run}.2"); 2]);
}

#[test]
fn a_run_that_was_killed_between_steps_goes_on_though_they_are_done_once() {
    let mut place = Place::new("once", &json!({}), false);
    let run = place.start(&json!({"pauses": true}));
    while steps(&find(place.portal.admin(), &run)) != [finished("first")] {
        std::thread::yield_now();
    }
    place.restart();
    let run = ended(place.portal.admin(), &run);
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(place.counts(), [1, 1, 1]);
}

#[test]
fn what_was_done_outside_of_steps_is_not_done_twice() {
    for (effects, state, strays) in [
        ("once", "outcome_unknown", 1),
        ("idempotent", "succeeded", 2),
    ] {
        let mut place = Place::new(effects, &json!({}), false);
        let run = place.start(&json!({"strays": true, "pauses": true}));
        while !steps(&find(place.portal.admin(), &run)).contains(&finished("first")) {
            std::thread::yield_now();
        }
        place.restart();
        let run = ended(place.portal.admin(), &run);
        assert_eq!(run["state"], state, "{run}");
        assert_eq!((place.count("/stray"), place.count("/first")), (strays, 1));
    }
}

#[test]
fn another_attempt_does_not_do_again_what_one_has_finished() {
    let retry = json!({"retry": {"attempts": 3, "backoff": "1ms", "maxBackoff": "2ms"}});
    let place = Place::new("once", &retry, false);
    let admin = place.portal.admin();
    let run = admin.run("walks", &json!({"fails": true}));
    assert_eq!(
        (&run["state"], &run["attempts"]),
        (&json!("succeeded"), &json!(2))
    );
    assert_eq!(place.counts(), [1, 1, 1]);
    // What cannot come back would be done again.
    let run = admin.run("walks", &json!({"fails": true, "strays": true}));
    assert_eq!(
        (&run["failure"]["code"], &run["attempts"]),
        (&json!("busy"), &json!(1))
    );
    let run = admin.run("walks", &json!({"sleeps": 5, "strays": true}));
    assert_eq!(run["failure"]["code"], "unrepeatable", "{run}");
}

#[test]
fn a_run_sleeps_without_a_place_and_through_a_restart_and_keeps_its_version() {
    let mut place = Place::new("once", &json!({}), false);
    let runs = [10_000, 10_001].map(|millis| place.start(&json!({ "sleeps": millis })));
    for run in &runs {
        // There is one worker: the second sleeps while the first does.
        wait_until(place.portal.admin(), run, "sleeping");
    }
    let asleep = find(place.portal.admin(), &runs[1]);
    if asleep["state"] == "sleeping" {
        assert!(asleep["dueAt"].is_string(), "{asleep}");
        let nap = ["sleep", "a while", "started"].map(str::to_owned);
        assert_eq!(steps(&asleep), [finished("first"), nap]);
    }
    place.install(&place.guest.clone().with_version("1.1.0"));
    place.restart();
    for run in &runs {
        let run = ended(place.portal.admin(), run);
        assert_eq!(run["state"], "succeeded", "{run}");
        assert_eq!(
            (&run["version"], &run["attempts"]),
            (&json!("1.0.0"), &json!(2))
        );
    }
    assert_eq!(place.counts(), [2, 2, 2]);
}

#[test]
pub(crate) fn a_plugin_that_takes_other_steps_than_before_is_ended_and_not_tried_again() {
    let retry = json!({"retry": {"attempts": 5, "backoff": "1ms", "maxBackoff": "2ms"}});
    let place = Place::new("idempotent", &retry, false);
    let run = place.portal.admin().run("wanders", &json!({}));
    assert_eq!(run["failure"]["code"], "step_mismatch", "{run}");
    assert_eq!(run["attempts"], 2, "{run}");
    assert_eq!(place.count("/name"), 2);
}

#[test]
pub(crate) fn steps_that_are_none_are_refused() {
    let place = Place::new("none", &json!({}), false);
    let admin = place.portal.admin();
    let run = admin.run("stumbles", &json!({}));
    let codes = json!([
        "nested_step",
        "invalid_step",
        "invalid_step",
        "too_many_steps"
    ]);
    assert_eq!(run["output"]["of"], codes, "{run}");
    let all = find(admin, run["id"].as_str().expect("an id"));
    assert_eq!(steps(&all).len(), 1_000);
    let run = admin.run("overflows", &json!({}));
    assert_eq!(run["failure"]["code"], "step_too_large", "{run}");
}

/// Everything that a plugin may do outside, by guests that know of no steps.
const LINES: &str = r#"
[[capabilities.catalog]]
blueprint = "Thing"
access = ["read", "upsert", "delete"]
reason = "to change it"

[[capabilities.files]]
name = "box"
access = "read-write"
max-bytes = "64KiB"
max-files = 100
reason = "to change it"
"#;

#[test]
fn whatever_is_changed_outside_of_steps_is_on_record_and_what_is_read_is_not() {
    let portal = Portal::start(program());
    let admin = portal.admin();
    let thing = json!({"identifier": "Thing", "title": "Thing", "schema": {"properties": {}}});
    admin.post("/v1/blueprints", &thing).with_status(201);
    let component = misbehaving_component();
    let description = Guest::describe(&component);
    let guest = Guest::new("changer", component, &description).with_manifest(LINES);
    let once =
        |guest: Guest, function: &str| guest.with_engine(function, function, "once", &json!({}));
    let functions = ["does-to-an-entity", "writes-a-path", "reads-a-path"];
    portal.install(&functions.into_iter().fold(guest, once));
    let counter = user_of_the_sdk("counter").with_manifest(STATE);
    portal.install(&once(counter.with_manifest(HTTP), "counts"));

    let entity = |access: &str| json!({"access": access, "blueprint": "Thing"});
    for (action, input, is_change) in [
        ("does-to-an-entity", entity("upsert"), true),
        ("does-to-an-entity", entity("read"), false),
        ("does-to-an-entity", entity("delete"), true),
        ("writes-a-path", json!({"path": "a.txt"}), true),
        ("reads-a-path", json!({"path": "a.txt"}), false),
        ("counts", json!({}), true),
    ] {
        let run = admin.run(action, &input);
        assert_eq!(run["status"], "SUCCESS", "{action}: {run}");
        let run = find(admin, run["id"].as_str().expect("an id"));
        let change = ["effect", "outside of steps", "finished"].map(str::to_owned);
        let expected: Vec<_> = is_change.then_some(change).into_iter().collect();
        assert_eq!(steps(&run), expected, "{action} {input}");
    }
}
