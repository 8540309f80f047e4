//! Guests that are granted the text of a secret, and guests that are not.

use goldenpath_tests::{Evidence, Guest, Portal, component, guests_dir};
use serde_json::{Value, json};

use crate::{guest_target, program};

const SECRET: &str = "hunter2-hunter2-hunter2";

/// Two lines, of which one can be denied without taking the interface away.
const MANIFEST: &str = r#"
[[capabilities.secret]]
name = "key"
reason = "to be read"

[[capabilities.secret]]
name = "other"
reason = "to be denied"
"#;

fn reader() -> Guest {
    let component = component(&guest_target(), &guests_dir(), Some("reads_secrets"));
    let description = Guest::describe(&component);
    Guest::new("reader", component, &description)
        .with_manifest(MANIFEST)
        .with_action("tells-secret")
        .with_action("fails-with-secret")
}

fn set(portal: &Portal, value: &str) {
    let put = json!({ "value": value });
    let path = "/v1/secrets/SIGNING_KEY";
    let reply = portal.admin().send_json("PUT", path, &[], &put);
    assert!(reply.status < 300, "{}", reply.text());
}

/// A portal whose reader may read `key` and not `other`.
fn portal() -> Portal {
    let portal = Portal::start(program());
    let approval = json!({"secrets": {"key": "SIGNING_KEY"}, "deny": ["secret other"]});
    portal.install_with(&reader(), approval);
    portal
}

fn tell(portal: &Portal, input: &Value) -> Value {
    let run = portal.admin().run("tells-secret", input);
    assert_eq!(run["status"], "SUCCESS", "{run}");
    run
}

fn audits(portal: &Portal, action: &str) -> Vec<Value> {
    let path = format!("/v1/audit-log?action={action}");
    let log = portal.admin().get(&path).with_status(200).json();
    log["audits"].as_array().expect("rows").clone()
}

#[test]
pub(crate) fn a_granted_secret_is_read_audited_and_hidden_in_all_that_the_run_says() -> Evidence {
    let portal = portal();
    set(&portal, SECRET);
    let shown = portal.cli(&["plugin", "show", "reader"]).with_code(0);
    let line = "key is read by the plugin itself; stored as SIGNING_KEY";
    assert!(shown.stdout.contains(line), "{}", shown.stdout);
    let run = tell(&portal, &json!({"name": "key", "again": 3}));
    assert_eq!(run["output"]["length"], SECRET.len(), "{run}");
    assert_eq!(run["output"]["text"], "***", "{run}");
    assert_eq!(portal.admin().log_of(&run), ["it is ***", "***", "***"]);
    let failed = portal
        .admin()
        .run("fails-with-secret", &json!({"name": "key"}));
    assert_eq!(failed["failure"]["message"], "***", "{failed}");

    let rows = audits(&portal, "READ");
    assert_eq!(rows.len(), 2, "one for each call: {rows:?}");
    let told = rows
        .iter()
        .map(ToString::to_string)
        .find(|row| row.contains(run["id"].as_str().expect("an id")))
        .expect("a row of the run");
    for part in ["SIGNING_KEY", "\"key\"", "digest", "reader"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    for path in ["/v1/audit-log", "/v1/actions/runs", "/v1/secrets"] {
        let answer = portal.admin().get(path).with_status(200).text();
        assert!(!answer.contains("hunter2"), "{path}: {answer}");
    }
    let run = run["id"].as_str().expect("an id");
    let events = format!("/v1/actions/runs/{run}/events");
    let events = portal.admin().get(&events).with_status(200).text();
    assert!(!events.contains("hunter2"), "{events}");
    Evidence::fired("The guest read the secret and said it in log, progress, output and failure")
        .seen("`***` in each, and in no list or event")
        .seen("each reading audited with name and digest")
}

#[test]
pub(crate) fn every_line_of_a_key_is_hidden_where_it_is_told_by_itself() -> Evidence {
    let portal = portal();
    let key = "-----BEGIN KEY-----\nZmlyc3QgbGluZQ==\nc2Vjb25kIGxpbmU=\n-----END KEY-----\n";
    set(&portal, key);
    let run = tell(&portal, &json!({"name": "key"}));
    let said = portal.admin().log_of(&run).join("\n");
    for line in key.lines() {
        assert!(!said.contains(line), "{said}");
    }
    Evidence::fired("A key of four lines was said line by line").seen("no line of it is in the log")
}

#[test]
pub(crate) fn a_secret_whose_line_was_denied_or_never_asked_for_is_denied_and_audited() -> Evidence
{
    let portal = portal();
    set(&portal, SECRET);
    for (name, line) in [
        ("other", "secret other"),
        ("SIGNING_KEY", "secret NAME"),
        ("no line\nof it", "secret NAME"),
    ] {
        let run = tell(&portal, &json!({ "name": name }));
        assert_eq!(run["output"]["error"], "denied", "{run}");
        let message = run["output"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(&format!("`{line}`")), "{message}");
        let id = run["id"].as_str().expect("an id");
        let denied = audits(&portal, "DENY");
        let row = denied.iter().map(ToString::to_string);
        let row = row.filter(|row| row.contains(id) && row.contains(line));
        assert_eq!(row.count(), 1, "{denied:?}");
    }
    assert!(audits(&portal, "READ").is_empty());
    Evidence::fired("A denied name, a stored name and no name at all were asked for")
        .seen("`denied` with the line, audited")
        .seen("nothing read")
}

#[test]
pub(crate) fn a_secret_that_nobody_has_set_or_that_is_too_long_is_an_error_of_its_own() -> Evidence
{
    let portal = portal();
    let run = tell(&portal, &json!({"name": "key"}));
    assert_eq!(run["output"]["error"], "secret_unset", "{run}");
    set(&portal, &"x".repeat(3 << 10));
    let run = tell(&portal, &json!({"name": "key"}));
    assert_eq!(run["output"]["error"], "secret_unfit", "{run}");
    assert!(audits(&portal, "READ").is_empty());
    Evidence::fired("It was asked for unset, and with 3 KiB")
        .seen("`secret_unset` and `secret_unfit`, nothing read")
}

#[test]
fn an_approval_names_every_secret_that_is_read_and_is_shown_the_risk() {
    let portal = Portal::start(program());
    let package = reader().package();
    let wasm = [("content-type", "application/wasm")];
    portal
        .admin()
        .send("POST", "/v1/plugins", &wasm, package)
        .with_status(201);
    let path = "/v1/plugins/reader/versions/1.0.0";
    let report = portal.admin().get(&format!("{path}/capabilities"));
    let report = report.with_status(200).json();
    let report = report.get("capabilities").unwrap_or(&report).clone();
    assert_eq!(report["secrets"]["key"]["read"], true, "{report}");
    assert_eq!(report["secrets"]["key"]["header"], Value::Null, "{report}");
    let risks = report["risks"].as_array().expect("risks");
    let of_key = risks.iter().find(|risk| risk["line"] == "secret key");
    assert_eq!(of_key.expect("a mark")["risk"], "high", "{report}");
    let terms = json!({"secrets": {"other": "SIGNING_KEY"}});
    let refused = portal.admin().approve("reader", "1.0.0", terms);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(
        refused.text().contains("/secrets/key"),
        "{}",
        refused.text()
    );
}

#[test]
pub(crate) fn without_any_granted_line_the_interface_is_not_linked() -> Evidence {
    let portal = Portal::start(program());
    let deny = json!({"deny": ["secret key", "secret other"]});
    portal.install_with(&reader(), deny);
    let run = portal.admin().run("tells-secret", &json!({"name": "key"}));
    assert_eq!(run["failure"]["code"], "denied", "{run}");
    let message = run["failure"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("goldenpath:plugin/secrets"), "{message}");
    assert_eq!(super::denied(&portal, &run), ["secret"]);
    Evidence::fired("Every line was denied").seen("`denied` with the interface, audited")
}

#[test]
pub(crate) fn a_ceiling_without_secrets_refuses_the_approval() -> Evidence {
    let portal = Portal::start_with(program(), &["--plugin-ceiling", "no secret"]);
    let package = reader().package();
    let wasm = [("content-type", "application/wasm")];
    portal
        .admin()
        .send("POST", "/v1/plugins", &wasm, package)
        .with_status(201);
    let terms = json!({"secrets": {"key": "A_KEY", "other": "A_KEY"}});
    let refused = portal.admin().approve("reader", "1.0.0", terms);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(
        refused.text().contains("read secret `key`"),
        "{}",
        refused.text()
    );
    Evidence::fired("The approval bound both secrets").seen("422 with the line")
}
