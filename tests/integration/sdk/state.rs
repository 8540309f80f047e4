//! The wrapper of the plugin's own store, against the real one.

use goldenpath_tests::{Evidence, Portal};
use serde_json::{Value, json};

use super::user_of_the_sdk;
use crate::program;

/// The manifest that both plugins of these tests have.
pub(crate) const MANIFEST: &str = "[capabilities.state]\nreason = \"to count\"";

/// The package has `http` lines too, since its component imports it.
pub(crate) const HTTP: &str = r#"
[endpoints.api]
default = "https://api.example.com"
reason = "imported, never called"
[[capabilities.http]]
endpoint = "api"
methods = ["GET"]
paths = ["/"]
reason = "imported, never called"
"#;

fn install(portal: &Portal, name: &str, actions: &[&str]) {
    let guest = user_of_the_sdk(name).with_manifest(MANIFEST);
    let guest = actions
        .iter()
        .fold(guest.with_manifest(HTTP), |guest, action| {
            guest.with_action(action)
        });
    portal.install(&guest);
}

fn found(run: &Value) -> Value {
    assert_eq!(run["status"], "SUCCESS", "{run}");
    run["output"]["found"].clone()
}

#[test]
fn values_outlive_runs_and_the_process() {
    let mut portal = Portal::start(program());
    install(&portal, "counter", &["counts"]);
    for calls in 1..=2 {
        let run = portal.admin().run("counts", &json!({}));
        assert_eq!(run["output"]["calls"], calls, "{run}");
    }
    portal.restart();
    let run = portal.admin().run("counts", &json!({}));
    assert_eq!(run["output"]["calls"], 3, "{run}");
}

#[test]
pub(crate) fn keys_are_set_read_listed_and_removed() {
    let portal = Portal::start(program());
    install(&portal, "keeper", &["uses-state"]);
    let uses = |input: Value| portal.admin().run("uses-state", &input);

    for (key, value) in [
        ("jobs/b", "2"),
        ("jobs/a", "1"),
        ("other", "3"),
        ("jobs/a", "4"),
    ] {
        found(&uses(json!({"deed": "set", "key": key, "value": value})));
    }
    let get = |key: &str| found(&uses(json!({"deed": "get", "key": key})));
    assert_eq!(get("jobs/a"), json!(["4"]), "the last value counts");
    assert_eq!(get("jobs/c"), json!([]));
    let keys = |prefix: &str| found(&uses(json!({"deed": "keys", "key": prefix})));
    assert_eq!(keys("jobs/"), json!(["jobs/a", "jobs/b"]));
    assert_eq!(keys(""), json!(["jobs/a", "jobs/b", "other"]));
    // Letters that mean something to a database mean nothing here.
    assert_eq!(keys("jobs%"), json!([]));
    assert_eq!(keys("job_/"), json!([]));
    for _ in 0..2 {
        found(&uses(json!({"deed": "delete", "key": "jobs/a"})));
    }
    assert_eq!(keys(""), json!(["jobs/b", "other"]));
}

#[test]
fn what_the_store_does_not_take_is_a_failure_with_a_word_of_its_own() {
    let portal = Portal::start(program());
    install(&portal, "keeper", &["uses-state"]);
    let set = |key: &str, times: u32| {
        let input = json!({"deed": "set", "key": key, "value": "x", "times": times});
        let run = portal.admin().run("uses-state", &input);
        run["failure"]["code"].as_str().map(str::to_owned)
    };
    assert_eq!(set("", 1).as_deref(), Some("invalid_key"));
    assert_eq!(set(&"k".repeat(256), 1), None);
    assert_eq!(set(&"k".repeat(257), 1).as_deref(), Some("invalid_key"));
    assert_eq!(set("large", 64 * 1024), None);
    assert_eq!(set("large", 64 * 1024 + 1).as_deref(), Some("quota"));
}

#[test]
pub(crate) fn no_plugin_sees_the_values_of_another() -> Evidence {
    let portal = Portal::start(program());
    install(&portal, "first", &["counts"]);
    install(&portal, "second", &["uses-state"]);
    portal.admin().run("counts", &json!({}));
    let run = portal
        .admin()
        .run("uses-state", &json!({"deed": "keys", "key": ""}));
    assert_eq!(found(&run), json!([]));
    Evidence::fired("Another plugin has a value").seen("none is listed")
}
