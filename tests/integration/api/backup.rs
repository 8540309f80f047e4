//! A backup of a running portal, put in place and served elsewhere; and what the doctor says of either.

use goldenpath_tests::{Client, Portal, Program};
use serde_json::json;

use crate::{hello, program};

#[test]
fn a_restored_portal_has_the_catalog_the_credentials_and_the_tokens_of_the_old_one() {
    let mut portal = Portal::start(program());
    portal.install(&hello());
    let ada = portal.user("ada@example.com", "developer");
    let blueprint = json!({
        "identifier": "Service", "title": "Service",
        "schema": {"properties": {"tier": {"type": "number"}}},
        "relations": {"uses": {"target": "Service", "many": true}},
    });
    portal
        .admin()
        .post("/v1/blueprints", &blueprint)
        .with_status(201);
    for (name, uses) in [("mail", vec![]), ("shop", vec!["mail"]), ("gone", vec![])] {
        let entity =
            json!({"identifier": name, "properties": {"tier": 1}, "relations": {"uses": uses}});
        let path = "/v1/blueprints/Service/entities";
        portal.admin().post(path, &entity).with_status(201);
    }
    portal
        .admin()
        .delete("/v1/blueprints/Service/entities/gone")
        .with_status(200);
    let run = ada.run("hello", &json!({"name": "Ada"}));
    let run_path = format!("/v1/actions/runs/{}", run["id"].as_str().expect("an id"));
    let found = portal.admin().get(&run_path).with_status(200).json();
    let entities = "/v1/blueprints/Service/entities";
    let before = portal.admin().get(entities).with_status(200).json();

    assert_eq!(ada.post("/v1/backup", &json!({})).status, 403);
    let file = portal.folder().join("portal.tar");
    let file = file.to_str().expect("a path in UTF-8").to_owned();
    let made = portal.cli(&["--json", "backup", &file]).with_code(0);
    assert!(made.stderr.contains("keys"), "{}", made.stderr);
    portal.cli(&["backup", &file]).with_code(2);
    assert_eq!(mode_of(&file), 0o600);
    // What comes after the backup is not part of it.
    portal
        .admin()
        .delete("/v1/blueprints/Service/entities/shop")
        .with_status(200);

    let held = portal.data();
    let held = held.to_str().expect("a path in UTF-8").to_owned();
    portal
        .cli(&["restore", &file, "--data", &held])
        .with_code(2);
    portal.cli(&["doctor", "--data", &held]).with_code(2);
    portal.kill();
    portal
        .cli(&["restore", &file, "--data", &held])
        .with_code(5);
    let checked = portal
        .cli(&["--json", "doctor", "--data", &held])
        .with_code(0)
        .json();
    assert_eq!(checked["ok"], json!(true));

    let restored = portal.restored(&file);
    let old = portal.admin().token().to_owned();
    // A token that the old portal gave out is good here, and so are its credentials.
    let admin = Client::with_token(restored.url(), &old);
    assert_eq!(admin.get(entities).with_status(200).json(), before);
    let kept = Client::with_token(restored.url(), ada.token());
    assert_eq!(kept.get(&run_path).with_status(200).json(), found);
    let again = restored.admin().run("hello", &json!({"name": "Bo"}));
    assert_eq!(again["output"]["greeting"], "Hello, Bo!", "{again}");
    let path = "/v1/blueprints/Service/entities/gone/restore";
    admin.post(path, &json!({})).with_status(201);
    let log = admin
        .get("/v1/audit-log?action=RESTORE")
        .with_status(200)
        .json();
    assert_eq!(log["audits"][0]["resource"], "backup");
    // Whoever followed the old portal further than the backup goes is told so, not left waiting.
    let ahead = admin.get("/v1/events?after=1000000");
    assert_eq!((ahead.status, ahead.error().as_str()), (410, "gone"));
    portal.restart();
    assert_eq!(
        portal.admin().get(entities).json()["entities"][0]["identifier"],
        "mail"
    );
}

#[test]
fn a_log_that_was_tampered_with_or_a_page_that_broke_fails_the_check() {
    let portal = Portal::start(program());
    portal.cli(&["backup", "portal.tar"]).with_code(0);
    portal.kill();
    // Restored, all is in the files themselves; a killed portal leaves it in the write-ahead log.
    let data = portal.folder().join("restored");
    let restored = ["restore", "portal.tar", "--data", "restored"];
    portal.cli(&restored).with_code(0);
    let check = |arguments: &[&str]| {
        let mut all = vec!["--json", "doctor", "--data"];
        all.push(data.to_str().expect("a path in UTF-8"));
        all.extend_from_slice(arguments);
        Program::new(program(), portal.folder()).run(&all)
    };
    let healthy = check(&[]).with_code(0).json();
    let newest = healthy["newestAudit"].as_str().expect("a mark");
    check(&["--audit", newest]).with_code(0);
    let (sequence, _) = newest.split_once(':').expect("a sequence and a hash");
    let other = format!("{sequence}:{}", "0".repeat(64));
    let found = check(&["--audit", &other]).with_code(1).json();
    let areas = found["areas"].as_array().expect("areas");
    let log = areas
        .iter()
        .find(|area| area["name"] == "audit log")
        .expect("the log is checked");
    let told = log["problems"][0].as_str().expect("a problem");
    assert!(told.contains("another one than was noted down"), "{told}");
    check(&["--audit", "nonsense"]).with_code(2);
    overwrite(&data.join("goldenpath.db"));
    let broken = check(&[]);
    assert!([1, 2].contains(&broken.code), "{}", broken.stdout);
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn mode_of(file: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    let file = std::fs::File::open(file).expect("the backup is there");
    file.metadata().expect("it has a mode").permissions().mode() & 0o777
}

/// Breaks a page in the middle of a file.
fn overwrite(file: &std::path::Path) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::options()
        .write(true)
        .open(file)
        .expect("the database is there");
    let middle = file.metadata().expect("it has a length").len() / 2;
    file.write_all_at(&[0xa5; 4_096], middle / 4_096 * 4_096)
        .expect("it can be written");
}
