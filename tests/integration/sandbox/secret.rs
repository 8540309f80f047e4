//! Guests that use a secret without seeing it, and servers that send it back.

use std::path::{Path, PathBuf};

use goldenpath_tests::{Answer, Evidence, Guest, Portal, Server, component, guests_dir};
use serde_json::{Value, json};

use crate::sdk::user_of_the_sdk;
use crate::{guest_target, program};

const SECRET: &str = "hunter2-hunter2-hunter2";

const MANIFEST: &str = r#"
[capabilities.state]
reason = "imported, never called"

[endpoints.api]
reason = "to be used with a secret"

[[capabilities.http]]
endpoint = "api"
methods = ["GET"]
paths = ["/**"]
secret = { name = "token", header = "authorization", format = "Bearer {}" }
reason = "to be used with a secret"
"#;

/// The files of a folder that hold these bytes, whatever kind of file they are.
#[expect(clippy::disallowed_methods, reason = "files of the portal under test")]
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut held = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(content) = std::fs::read(&path)
                && content.windows(bytes.len()).any(|window| window == bytes)
            {
                held.push(path);
            }
        }
    }
    held
}

/// A server that sends back what it was sent in `authorization`.
fn echo() -> Server {
    Server::start(|request| {
        let sent = request.header("authorization").join(", ");
        Answer::new(200, format!("you sent {sent}.")).with_header("x-echo", &sent)
    })
}

fn install(portal: &Portal, server: &Server) {
    let guest = user_of_the_sdk("talker")
        .with_manifest(MANIFEST)
        .with_action("repeats");
    let urls = [server.url()];
    portal.install_with(
        &guest,
        json!({
            "bindings": {"api": {"urls": urls, "allowPrivate": true, "allowPlaintext": true}},
            "secrets": {"token": "GITHUB_TOKEN"},
        }),
    );
}

fn call(portal: &Portal, server: &Server, headers: &Value) -> Value {
    let input = json!({"method": "GET", "url": format!("{}/x", server.url()), "headers": headers});
    let run = portal.admin().run("repeats", &input);
    assert_eq!(run["status"], "SUCCESS", "{run}");
    run
}

#[test]
pub(crate) fn a_secret_reaches_its_server_and_nothing_that_the_run_leaves_behind() -> Evidence {
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    let server = echo();
    let set = ["secret", "set", "GITHUB_TOKEN"];
    portal
        .cli_reading(&set, &format!("{SECRET}\n"))
        .with_code(0);
    install(&portal, &server);

    let run = call(&portal, &server, &json!({}));
    let received = server.received();
    assert_eq!(
        received[0].header("authorization"),
        [format!("Bearer {SECRET}")]
    );
    assert_eq!(run["output"]["body"], "you sent Bearer ***.", "{run}");
    assert_eq!(run["output"]["headers"]["x-echo"], "Bearer ***", "{run}");
    let said = portal.admin().log_of(&run);
    assert_eq!(said.len(), 3, "{said:?}");
    let digits = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    let hidden = format!("{}***{}", digits("you sent Bearer "), digits("."));
    for line in ["you sent Bearer ***.", &hidden] {
        assert!(said.iter().any(|said| said == line), "{line}: {said:?}");
    }
    for path in ["/v1/audit-log", "/v1/secrets", "/v1/actions/runs"] {
        let answer = portal.admin().get(path).with_status(200).text();
        assert!(!answer.contains("hunter2"), "{path}: {answer}");
    }
    let held = files_with(&portal.data(), b"hunter2");
    assert!(held.is_empty(), "{held:?}");
    Evidence::fired("The server sent the secret back, and the guest said it in five forms")
        .seen("`***` in log and output")
        .seen("no file of the data folder holds it")
}

#[test]
pub(crate) fn a_secret_in_use_is_deleted_by_force_alone_and_then_its_requests_are_denied()
-> Evidence {
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    let server = echo();
    let path = "/v1/secrets/GITHUB_TOKEN";
    let put = json!({"value": SECRET});
    portal
        .admin()
        .send_json("PUT", path, &[], &put)
        .with_status(201);
    install(&portal, &server);
    let list = portal.admin().get("/v1/secrets").with_status(200).json();
    let used_by = json!([{"plugin": "talker", "version": "1.0.0"}]);
    assert_eq!(list["secrets"][0]["usedBy"], used_by, "{list}");
    assert_eq!(
        portal.admin().delete(path).with_status(409).error(),
        "in_use"
    );

    let own = call(&portal, &server, &json!({"authorization": "Bearer mine"}));
    assert_eq!(own["output"]["error"], "denied", "{own}");
    portal.cli(&["secret", "rm", "GITHUB_TOKEN"]).with_code(5);
    portal
        .cli(&["secret", "rm", "GITHUB_TOKEN", "--force"])
        .with_code(0);
    let run = call(&portal, &server, &json!({}));
    assert_eq!(run["output"]["error"], "denied", "{run}");
    let said = portal.admin().log_of(&run).join("\n");
    assert!(said.contains("secret `token` is not set"), "{said}");
    assert_eq!(super::denied(&portal, &own).len(), 1);
    assert_eq!(super::denied(&portal, &run).len(), 1);
    assert!(server.received().is_empty());
    Evidence::fired("The secret was deleted under an active plugin")
        .seen("`denied` and audited, nothing received")
}

const KEEPS: &str = r#"
[capabilities.state]
reason = "to write there"

[[capabilities.catalog]]
blueprint = "Thing"
access = ["upsert"]
reason = "to write there"

[[capabilities.files]]
name = "box"
access = "read-write"
max-bytes = "1MiB"
max-files = 10
reason = "to write there"

[endpoints.api]
reason = "to be used with a secret"

[[capabilities.http]]
endpoint = "api"
methods = ["GET"]
paths = ["/**"]
secret = { name = "token", header = "authorization", format = "Bearer {}" }
reason = "to be used with a secret"
"#;

#[test]
pub(crate) fn a_write_that_holds_a_secret_is_denied_under_its_name_and_writes_nothing() -> Evidence
{
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    let server = echo();
    let admin = portal.admin();
    let schema = json!({"properties": {"colour": {"type": "string"}}});
    let thing = json!({"identifier": "Thing", "title": "Thing", "schema": schema});
    admin.post("/v1/blueprints", &thing).with_status(201);
    let put = json!({"value": SECRET});
    admin
        .send_json("PUT", "/v1/secrets/GITHUB_TOKEN", &[], &put)
        .with_status(201);
    let component = component(&guest_target(), &guests_dir(), Some("keeps_what_it_gets"));
    let guest = Guest::new("keeper", component.clone(), &Guest::describe(&component))
        .with_manifest(KEEPS)
        .with_action("keeps");
    let urls = [server.url()];
    portal.install_with(
        &guest,
        json!({
            "bindings": {"api": {"urls": urls, "allowPrivate": true, "allowPlaintext": true}},
            "secrets": {"token": "GITHUB_TOKEN"},
        }),
    );
    for place in ["property", "title", "state", "file", "bytes"] {
        let run = admin.run("keeps", &json!({"place": place}));
        assert_eq!(run["failure"]["code"], "denied", "{place}: {run}");
        let message = run["failure"]["message"].as_str().expect("a message");
        assert!(
            message.contains("holds secret `token`"),
            "{place}: {message}"
        );
        assert!(!message.contains("hunter2"), "{place}: {message}");
        let audit = admin.get("/v1/audit-log").with_status(200).json();
        let rows = audit["audits"].as_array().expect("rows");
        let row = rows
            .iter()
            .find(|row| row["runId"] == run["id"] && row["action"] == "DENY");
        let missing = row.unwrap_or_else(|| panic!("{audit}"))["after"]["missing"].as_str();
        let missing = missing.expect("a line");
        assert!(
            missing.contains("secret token written to"),
            "{place}: {missing}"
        );
    }
    admin
        .get("/v1/blueprints/Thing/entities/one")
        .with_status(404);
    let kept = portal.data().join("files/keeper/box/kept");
    assert!(!kept.exists());
    Evidence::fired(
        "Five writes of it were tried: property, title, state, a file at once and byte by byte",
    )
    .seen("each `denied` and audited under the secret's name")
    .seen("no entity, no file")
}
