//! What the command line says to what it cannot use, and its exit codes.

use std::net::TcpListener;
use std::path::Path;

use goldenpath_tests::{Ended, Portal, Program};

use super::write;
use crate::program;

/// Starts a second `serve` that is expected to end at once.
fn serve(home: &Path, data: &Path, listen: &str) -> Ended {
    let data = data.to_str().expect("a path in UTF-8");
    Program::new(program(), home).run(["serve", "--data", data, "--listen", listen])
}

#[track_caller]
fn assert_says(ended: &Ended, parts: &[&str]) {
    for part in parts {
        assert!(ended.stderr.contains(part), "`{part}`: {}", ended.stderr);
    }
}

#[test]
fn typographic_quotes_in_a_file_are_shown_with_their_place() {
    let portal = Portal::start(program());
    let folder = portal.folder().join("catalog");
    write(
        &folder.join("blueprints/resource.json"),
        include_str!("../../fixtures/blueprint_with_typographic_quotes.json"),
    );
    write(
        &folder.join("blueprints/good.json"),
        r#"{"identifier": "Good", "title": "Good", "schema": {"properties": {}, "required": []}, "relations": {}}"#,
    );
    let ended = portal.cli(&["catalog", "apply", "catalog"]).with_code(1);
    assert_says(
        &ended,
        &["resource.json", "line 2", "column 2", "U+201C", "\""],
    );
    let good = portal.admin().get("/v1/blueprints/Good");
    assert_eq!(good.status, 404, "one apply is one transaction");
}

#[test]
fn an_apply_with_one_broken_document_changes_nothing() {
    let portal = Portal::start(program());
    let folder = portal.folder().join("catalog");
    write(
        &folder.join("blueprints/thing.json"),
        r#"{"identifier": "Thing", "title": "Thing", "schema": {"properties": {"size": {"type": "number"}}, "required": []}, "relations": {}}"#,
    );
    write(
        &folder.join("entities/Thing/a.json"),
        r#"{"identifier": "a", "properties": {"size": "large"}, "relations": {}}"#,
    );
    let ended = portal.cli(&["catalog", "apply", "catalog"]);
    assert_ne!(ended.code, 0, "{}", ended.stdout);
    assert_says(
        &ended,
        &[
            "catalog/entities/Thing/a.json:1: /properties/size",
            "entity `a`",
            "nothing was applied",
        ],
    );
    let thing = portal.admin().get("/v1/blueprints/Thing");
    assert_eq!(thing.status, 404, "{}", thing.text());
}

#[test]
fn a_busy_port_is_said_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let ended = serve(folder.path(), &folder.path().join("data"), &address).with_code(1);
    assert_says(&ended, &[&address, "another process", "--listen"]);
}

#[test]
fn a_data_folder_that_another_process_holds_is_left_alone() {
    let portal = Portal::start(program());
    let ended = serve(portal.folder(), &portal.data(), "127.0.0.1:0").with_code(1);
    assert_says(&ended, &["has it open", "--data"]);
    portal.admin().get("/health").with_status(200);
}

#[test]
fn a_data_folder_that_a_newer_version_wrote_is_left_alone() {
    let portal = Portal::start(program());
    portal.kill();
    let database = newest_database(&portal.data());
    set_format(&database, 9_999);
    let before = read(&database);
    let ended = serve(portal.folder(), &portal.data(), "127.0.0.1:0").with_code(1);
    assert_says(&ended, &["newer goldenpath", "9999"]);
    assert_eq!(read(&database), before, "not a byte was changed");
}

/// The main database of a data folder.
fn newest_database(data: &Path) -> std::path::PathBuf {
    let entries = data.read_dir().expect("the data folder");
    let mut databases: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "db"))
        .collect();
    databases.sort();
    databases
        .into_iter()
        .find(|path| !path.ends_with("logs.db"))
        .expect("a database")
}

/// Writes SQLite's `user_version`, four bytes of the file's header, as a newer program would.
#[expect(clippy::disallowed_methods, reason = "the test's own file")]
fn set_format(database: &Path, format: u32) {
    // What is not yet in the file proper would hide the change.
    for suffix in ["-wal", "-shm"] {
        let mut beside = database.as_os_str().to_owned();
        beside.push(suffix);
        let _ = std::fs::remove_file(beside);
    }
    let mut bytes = read(database);
    bytes[60..64].copy_from_slice(&format.to_be_bytes());
    std::fs::write(database, bytes).expect("a file");
}

#[expect(clippy::disallowed_methods, reason = "the test's own file")]
fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).expect("a file")
}

#[test]
fn exit_codes_say_what_went_wrong() {
    let portal = Portal::start(program());
    portal.cli(&["actions", "show", "nothing"]).with_code(4);
    portal.cli(&["run", "nothing"]).with_code(4);
    portal.cli(&["walk"]).with_code(2);
    portal.cli(&["user", "add", "ada@example.com"]).with_code(0);
    portal.cli(&["user", "add", "ada@example.com"]).with_code(5);
    let home = portal.folder().join("nobody");
    let stranger = Program::new(program(), home)
        .with("GOLDENPATH_URL", portal.url())
        .with("GOLDENPATH_CLIENT_ID", "nobody")
        .with("GOLDENPATH_CLIENT_SECRET", "nothing");
    stranger.run(["actions", "list"]).with_code(3);
    let url = portal.url().to_owned();
    portal.kill();
    stranger
        .with("GOLDENPATH_URL", url)
        .run(["actions", "list"])
        .with_code(6);
}
