//! Guests that are sent where no grant may send them.

use goldenpath_tests::{Answer, Evidence, Portal, Server};
use serde_json::{Value, json};

use super::assert_greets;
use crate::sdk::user_of_the_sdk;
use crate::{hello, program};

pub(super) const MANIFEST: &str = r#"
[capabilities.state]
reason = "imported, never called"

[endpoints.api]
reason = "to be bound to the wrong place"

[[capabilities.http]]
endpoint = "api"
methods = ["GET"]
paths = ["/**"]
reason = "to be bound to the wrong place"
"#;

/// Installs the guest with its endpoint at some URLs, with all that a reviewer can allow.
fn install(portal: &Portal, urls: &[String]) {
    let guest = user_of_the_sdk("talker")
        .with_manifest(MANIFEST)
        .with_action("sends");
    let bindings = json!({"api": {"urls": urls, "allowPrivate": true, "allowPlaintext": true}});
    portal.install_bound(&guest, &bindings);
    portal.install(&hello());
}

fn send(portal: &Portal, url: &str) -> Value {
    let input = json!({"method": "GET", "url": format!("{url}/health"), "patience": 2000});
    let run = portal.admin().run("sends", &input);
    assert_eq!(run["status"], "SUCCESS", "{run}");
    run
}

/// The request was denied, and log and audit row say so in these words.
#[track_caller]
pub(super) fn assert_denied(portal: &Portal, url: &str, log: &str, missing: &str) {
    let run = send(portal, url);
    assert_eq!(run["output"]["error"], "denied", "{url}: {run}");
    let said = portal.admin().log_of(&run).join("\n");
    assert!(said.contains(log), "{url}: {said}");
    let audit = portal.admin().get("/v1/audit-log").with_status(200).json();
    let rows = audit["audits"].as_array().expect("rows");
    let row = rows
        .iter()
        .find(|row| row["runId"] == run["id"] && row["action"] == "DENY")
        .unwrap_or_else(|| panic!("{audit}"));
    let line = row["after"]["missing"].as_str().expect("a line");
    assert!(line.contains(missing), "{url}: {line}");
}

#[test]
pub(crate) fn the_portal_itself_and_metadata_services_are_out_of_reach_whatever_was_granted()
-> Evidence {
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    let port = portal.url().rsplit(':').next().expect("a port").to_owned();
    let own = [
        portal.url().to_owned(),
        format!("http://localhost:{port}"),
        format!("http://127.8.8.8:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
    ];
    let metadata = [
        "http://169.254.169.254".to_owned(),
        "http://[::ffff:169.254.169.254]".to_owned(),
        "http://[fd00:ec2::254]".to_owned(),
        "http://100.100.100.200".to_owned(),
    ];
    let all: Vec<String> = own.iter().chain(&metadata).cloned().collect();
    install(&portal, &all);
    for url in &own {
        assert_denied(
            &portal,
            url,
            "the portal itself",
            "the portal's own address",
        );
    }
    for url in &metadata {
        assert_denied(&portal, url, "no plugin may reach", "no grant can allow");
    }
    assert_greets(portal.admin());
    Evidence::fired("Eight URLs were bound with all that a reviewer can allow")
        .seen("each `denied` and audited")
}

#[test]
pub(crate) fn an_inside_address_needs_the_hosts_word_beside_the_reviewers() -> Evidence {
    let portal = Portal::start(program());
    let server = Server::start(|_| Answer::new(200, ""));
    install(&portal, &[server.url()]);
    assert_denied(
        &portal,
        &server.url(),
        "egress-allow-private",
        "allowPrivate",
    );
    assert!(server.received().is_empty());
    Evidence::fired("The address was bound with `allowPrivate`")
        .seen("`denied` and audited, nothing received")
}
