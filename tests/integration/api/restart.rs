//! What outlives the process.

use goldenpath_tests::{Client, Portal};
use serde_json::json;

use crate::{hello, program};

#[test]
fn plugins_runs_and_credentials_outlive_the_process() {
    let mut portal = Portal::start(program());
    portal.install(&hello());
    let ada = portal.user("ada@example.com", "developer");
    let run = ada.run("hello", &json!({"name": "Ada"}));
    assert_eq!(run["output"]["greeting"], "Hello, Ada!", "{run}");
    let path = format!("/v1/actions/runs/{}", run["id"].as_str().expect("an id"));
    let found = portal.admin().get(&path).with_status(200).json();
    let events = portal.admin().log_of(&run);

    portal.restart();

    let kept = portal.admin().get(&path).with_status(200).json();
    assert_eq!(kept, found);
    assert_eq!(portal.admin().log_of(&run), events);
    let again = portal.admin().run("hello", &json!({"name": "Bo"}));
    assert_eq!(again["output"]["greeting"], "Hello, Bo!", "{again}");
    let stranger = Client::stranger(portal.url()).get(&path);
    assert_eq!(stranger.status, 401, "{}", stranger.text());
}
