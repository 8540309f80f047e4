//! Four eyes: who installed a package is not the one who lets it run.

use goldenpath_tests::{Client, Evidence, Portal, Reply};
use serde_json::{Value, json};

use crate::{hello, program};

const PATH: &str = "/v1/plugins/hello/versions";

/// A portal that asks for four eyes, and two administrators beside its first one.
fn portal() -> (Portal, Client, Client) {
    let portal = Portal::start_with(program(), &["--plugin-four-eyes"]);
    let ada = portal.user("ada@example.com", "admin");
    let grace = portal.user("grace@example.com", "admin");
    (portal, ada, grace)
}

fn install(by: &Client, version: &str) -> Value {
    let package = hello().with_version(version).package();
    let wasm = [("content-type", "application/wasm")];
    let reply = by.send("POST", "/v1/plugins", &wasm, package);
    assert!(reply.status < 300, "{}", reply.text());
    reply.json()
}

fn report(by: &Client, version: &str) -> Value {
    let report = by.get(&format!("{PATH}/{version}/capabilities"));
    let report = report.with_status(200).json();
    report.get("capabilities").unwrap_or(&report).clone()
}

fn approve(by: &Client, version: &str) -> Reply {
    by.approve("hello", version, json!({}))
}

fn assert_refused(reply: Reply) {
    let message = reply.text();
    assert_eq!(reply.with_status(403).error(), "four_eyes", "{message}");
    for part in ["plugin-four-eyes", "plugins:review", "`ada@example.com`"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
pub(crate) fn who_installed_a_version_cannot_approve_it_and_is_told_who_can() -> Evidence {
    let (_portal, ada, grace) = portal();
    install(&ada, "1.0.0");
    let findings = report(&grace, "1.0.0")["findings"].to_string();
    assert!(findings.contains("four_eyes"), "{findings}");
    assert_refused(approve(&ada, "1.0.0"));
    approve(&grace, "1.0.0").with_status(200);
    Evidence::fired("Who installed it approved it")
        .seen("403 with the setting and the right")
        .seen("another administrator could")
}

#[test]
pub(crate) fn installing_it_again_does_not_make_another_persons_eyes_of_ones_own() -> Evidence {
    let (portal, ada, grace) = portal();
    install(&ada, "1.0.0");
    install(&grace, "1.0.0");
    assert_refused(approve(&ada, "1.0.0"));
    assert_refused(approve(&grace, "1.0.0"));
    let log = portal.admin().get("/v1/audit-log?limit=1000").text();
    assert!(log.contains("installedAgainBy"), "{log}");
    approve(portal.admin(), "1.0.0").with_status(200);
    Evidence::fired("A second person installed the same bytes").seen("403 for both; a third could")
}

#[test]
pub(crate) fn a_new_credential_is_not_a_new_person() -> Evidence {
    let (portal, ada, grace) = portal();
    install(&ada, "1.0.0");
    portal
        .admin()
        .delete("/v1/users/ada@example.com")
        .with_status(200);
    let ada = portal.user("ada@example.com", "reviewer");
    assert_refused(approve(&ada, "1.0.0"));
    approve(&grace, "1.0.0").with_status(200);
    Evidence::fired("The person came back with a new credential and another role")
        .seen("403 all the same")
}

#[test]
fn what_asks_for_nothing_new_still_follows_what_others_approved_and_nobody_rolls_back_to_their_own()
{
    let (_portal, ada, grace) = portal();
    install(&ada, "1.0.0");
    approve(&grace, "1.0.0").with_status(200);
    assert_eq!(install(&ada, "1.0.1")["plugin"]["state"], "active");
    let back = json!({"reason": "slow", "from": "1.0.1"});
    assert_refused(ada.post("/v1/plugins/hello/rollback", &back));
    grace
        .post("/v1/plugins/hello/rollback", &back)
        .with_status(200);
    // To take power away needs nobody else.
    let leaks = json!({"reason": "leaks", "running": "cancel"});
    ada.post(&format!("{PATH}/1.0.0/revoke"), &leaks)
        .with_status(200);
}

#[test]
fn nobody_takes_over_with_code_of_their_own_what_only_they_granted() {
    let (portal, ada, grace) = portal();
    install(&ada, "1.0.0");
    approve(&grace, "1.0.0").with_status(200);
    assert_eq!(install(&grace, "1.0.1")["plugin"]["state"], "pending");
    let log = portal.admin().get("/v1/audit-log?action=CREATE&limit=1000");
    let log = log.with_status(200).json();
    let rows = log["audits"].as_array().expect("rows");
    let row = rows.iter().map(ToString::to_string);
    let row: String = row.filter(|row| row.contains("hello@1.0.1")).collect();
    for part in ["waitsBecause", "plugin-four-eyes", "`grace@example.com`"] {
        assert!(row.contains(part), "{part}: {row}");
    }
    // Who granted what goes with it from version to version.
    assert_eq!(install(&ada, "1.0.2")["plugin"]["state"], "active");
    assert_eq!(install(&grace, "1.0.3")["plugin"]["state"], "pending");
    // Somebody else's approval is another grant, which she did not give herself.
    approve(portal.admin(), "1.0.2").with_status(200);
    assert_eq!(install(&grace, "1.0.4")["plugin"]["state"], "active");
}

#[test]
fn to_widen_what_others_granted_makes_the_grant_ones_own() {
    let (portal, ada, grace) = portal();
    install(&ada, "1.0.0");
    approve(portal.admin(), "1.0.0").with_status(200);
    approve(&grace, "1.0.0").with_status(200);
    assert_eq!(install(&grace, "1.0.1")["plugin"]["state"], "pending");
    assert_eq!(install(&ada, "1.0.2")["plugin"]["state"], "active");
}

#[test]
fn without_the_setting_one_person_may_do_both() {
    let portal = Portal::start(program());
    install(portal.admin(), "1.0.0");
    approve(portal.admin(), "1.0.0").with_status(200);
}
