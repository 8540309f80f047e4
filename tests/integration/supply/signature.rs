//! Signatures and the revocation list, from the key to the run that is refused.

use std::process::Command;

use goldenpath_tests::{Evidence, Portal, Program};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::write;
use crate::review::{self, Gate};
use crate::{hello, program};

/// Somebody with a key, on a machine of their own.
struct Author {
    folder: TempDir,
    program: Program,
}

impl Author {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Program::new(program(), folder.path().join("home"));
        Self { folder, program }
    }

    fn run(&self, arguments: &[&str]) -> goldenpath_tests::Ended {
        self.program.run_in(self.folder.path(), arguments)
    }

    /// A new key: its public half, and its id.
    fn key(&self, name: &str) -> (String, String) {
        let made = self
            .run(&["plugin", "keygen", name, "--json"])
            .with_code(0)
            .json();
        let member = |key: &str| made[key].as_str().expect("a text").to_owned();
        (member("publicKey"), member("keyId"))
    }

    fn file(&self, name: &str) -> String {
        let file = self.folder.path().join(name);
        file.to_str().expect("a path in UTF-8").to_owned()
    }
}

fn refusals(portal: &Portal, code: &str) -> usize {
    let log = portal
        .admin()
        .get("/v1/audit-log?resources=plugin&action=DENY")
        .with_status(200)
        .json();
    let rows = log["audits"].as_array().expect("rows").iter();
    rows.filter(|row| row["after"]["refused"] == code).count()
}

#[test]
pub(crate) fn package_comes_in_with_as_many_signers_as_the_portal_asks_for() -> Evidence {
    let author = Author::new();
    let ((alice, alice_id), (bob, _)) = (author.key("alice.pem"), author.key("bob.pem"));
    let again = author.run(&["plugin", "keygen", "alice.pem"]).with_code(5);
    assert!(
        again.stderr.contains("never written over"),
        "{}",
        again.stderr
    );
    let (alice, bob) = (format!("alice={alice}"), format!("bob={bob}"));
    let portal = Portal::start_with(
        program(),
        &[
            "--plugin-trusted-keys",
            &alice,
            "--plugin-trusted-keys",
            &bob,
            "--plugin-signatures-required",
            "2",
        ],
    );
    write(
        author.folder.path().join("hello.wasm").as_path(),
        hello().package(),
    );
    let file = author.file("hello.wasm");
    let install = || portal.cli(&["plugin", "install", &file, "--approve"]);
    let unsigned = install().with_code(1);
    assert!(
        unsigned.stderr.contains("has no signature"),
        "{}",
        unsigned.stderr
    );

    let sign = |key: &str| {
        author
            .run(&["plugin", "sign", "hello.wasm", "--key", key])
            .with_code(0)
    };
    sign("alice.pem");
    let one = install().with_code(1);
    for part in ["asks for 2", "of alice, bob"] {
        assert!(one.stderr.contains(part), "`{part}`: {}", one.stderr);
    }
    let verify = |required: &str| {
        let trusted = ["--trusted-key", &alice, "--trusted-key", &bob];
        let first = ["plugin", "verify", "hello.wasm", "--required", required];
        author.run(&[&first[..], &trusted[..]].concat())
    };
    verify("1").with_code(0);
    verify("2").with_code(1);
    let twice = author
        .run(&["plugin", "sign", "hello.wasm", "--key", "alice.pem"])
        .with_code(1);
    assert!(twice.stderr.contains("already"), "{}", twice.stderr);

    sign("bob.pem");
    verify("2").with_code(0);
    install().with_code(0);
    let run = portal.admin().run("hello", &json!({"name": "Ada"}));
    assert_eq!(run["status"], "SUCCESS", "{run}");
    let report = portal
        .admin()
        .get("/v1/plugins/hello/versions/1.0.0/capabilities")
        .json();
    let provenance = &report["provenance"];
    assert_eq!(provenance["signers"], json!(["alice", "bob"]), "{report}");
    assert_eq!(
        provenance["signatures"][0],
        json!({"key": alice_id, "signer": "alice", "verdict": "trusted"})
    );
    assert_ne!(provenance["signedDigest"], report["digest"]);
    let log = portal
        .admin()
        .get("/v1/audit-log?resources=plugin&action=CREATE")
        .json();
    let row = &log["audits"][0]["after"];
    assert_eq!(row["signatures"], provenance["signatures"], "{log}");
    Evidence::fired("It was sent unsigned, and with one signer of two")
        .seen("refused each time, with who may sign; one key signs once")
        .seen("installed with two signers, and both are shown")
}

#[test]
fn package_is_signed_in_place_as_a_whole_and_a_key_is_made_only_where_nothing_is() {
    let author = Author::new();
    author.key("alice.pem");
    let package = hello().package();
    write(author.file("a.wasm").as_ref(), &package);
    // Who opened the old file keeps the old file.
    std::fs::hard_link(author.file("a.wasm"), author.file("opened.wasm")).expect("a link");
    let sign = ["plugin", "sign", "a.wasm", "--key", "alice.pem"];
    author.run(&sign).with_code(0);
    assert_eq!(read(&author.file("opened.wasm")), package);
    assert!(read(&author.file("a.wasm")).starts_with(&package));
    assert!(!author.folder.path().join("a.wasm.partial").exists());

    // A link to nowhere is no file, and is in the way all the same.
    let taken = author.file("taken.pem");
    std::os::unix::fs::symlink("nowhere", &taken).expect("a link");
    let made = author.run(&["plugin", "keygen", "taken.pem"]).with_code(5);
    assert!(
        made.stderr.contains("never written over"),
        "{}",
        made.stderr
    );
    assert!(author.folder.path().join("taken.pem").is_symlink());
}

#[test]
pub(crate) fn byte_that_changes_after_signing_is_refused() -> Evidence {
    let author = Author::new();
    let (alice, _) = author.key("alice.pem");
    let mut package = hello().package();
    write(author.folder.path().join("a.wasm").as_path(), &package);
    let sign = [
        "plugin",
        "sign",
        "a.wasm",
        "--key",
        "alice.pem",
        "-o",
        "b.wasm",
    ];
    author.run(&sign).with_code(0);
    let signed = read(&author.file("b.wasm"));
    let at = package
        .windows(12)
        .position(|window| window == b"For a test\"\n")
        .expect("the description");
    let section = &signed[package.len()..];
    package[at] = b'f';
    write(
        author.folder.path().join("c.wasm").as_path(),
        [&package[..], section].concat(),
    );
    let trusted = format!("alice={alice}");
    let verified = author
        .run(&["plugin", "verify", "c.wasm", "--trusted-key", &trusted])
        .with_code(1);
    assert!(
        verified.stderr.contains("changed after it was signed"),
        "{}",
        verified.stderr
    );
    // Also where nobody has to sign.
    let portal = Portal::start(program());
    let installed = portal
        .cli(&["plugin", "install", &author.file("c.wasm")])
        .with_code(1);
    assert!(
        installed.stderr.contains("changed after it was signed"),
        "{}",
        installed.stderr
    );
    Evidence::fired("A byte of a signed package was changed")
        .seen("refused, also where nobody has to sign")
}

#[test]
pub(crate) fn what_comes_onto_the_revocation_list_runs_no_more_and_does_not_come_back() -> Evidence
{
    let author = Author::new();
    write(
        author.folder.path().join("revoked").as_path(),
        "# nothing yet\n",
    );
    let list = author.file("revoked");
    let portal = Portal::start_with(program(), &["--plugin-revoked-file", &list]);
    portal.install(&hello());
    let run = || portal.admin().run("hello", &json!({"name": "Ada"}));
    assert_eq!(run()["status"], "SUCCESS");

    let path = "/v1/plugins/hello/versions/1.0.0/capabilities";
    let report = portal.admin().get(path).json();
    let digest = report["digest"].as_str().expect("a digest");
    write(list.as_ref(), format!("{digest}  # leaks\n"));
    hang_up(&portal);
    // The signal takes its time.
    let refused = std::iter::repeat_with(run)
        .take(10_000)
        .find(|run| run["status"] != "SUCCESS")
        .expect("the list is read");
    assert_eq!(refused["failure"]["code"], "plugin_revoked", "{refused}");
    assert_eq!(refusals(&portal, "plugin_revoked"), 1);
    let report = portal.admin().get(path).json();
    let codes = report["findings"].as_array().expect("findings").iter();
    assert!(
        codes
            .map(|finding| &finding["code"])
            .any(|code| code == "untrusted"),
        "{report}"
    );
    let approved = portal.admin().post(
        "/v1/plugins/hello/versions/1.0.0/approve",
        &approval(&report),
    );
    assert_eq!(
        (approved.status, approved.error()),
        (422, "plugin_revoked".to_owned())
    );

    // A list that is not understood does not take the place of the one before.
    write(list.as_ref(), "sha256:nothing\n");
    hang_up(&portal);
    while !portal.log().contains("the one before stays in force") {
        std::thread::yield_now();
    }
    assert_eq!(run()["failure"]["code"], "plugin_revoked");

    // Neither does a file without a byte, as one is that is being written; what is left of a list on purpose does.
    write(list.as_ref(), "");
    hang_up(&portal);
    while !portal.log().contains("the revocation file is empty") {
        std::thread::yield_now();
    }
    assert_eq!(run()["failure"]["code"], "plugin_revoked");
    write(list.as_ref(), "# nothing any more\n");
    hang_up(&portal);
    std::iter::repeat_with(run)
        .take(10_000)
        .find(|run| run["status"] == "SUCCESS")
        .expect("the list is read");
    for part in ["added=1 removed=0 total=1", "added=0 removed=1 total=0"] {
        assert!(portal.log().contains(part), "`{part}`: {}", portal.log());
    }
    Evidence::fired("An active version came onto the list")
        .seen("`plugin_revoked` and audited; an approval is refused")
        .seen("a list that is not understood changes nothing")
}

#[test]
fn call_under_way_of_what_comes_onto_the_revocation_list_is_ended() {
    let author = Author::new();
    let list = author.file("revoked");
    write(list.as_ref(), "# nothing yet\n");
    let portal = Portal::start_with(
        program(),
        &["--plugin-revoked-file", &list, "--egress-allow-private"],
    );
    let gate = Gate::new();
    gate.admit(&portal);
    let under_way = gate.enter(&portal);
    let path = "/v1/plugins/talker/versions/1.0.0/capabilities";
    let report = portal.admin().get(path).json();
    let digest = report["digest"].as_str().expect("a digest");
    write(list.as_ref(), format!("{digest}  # leaks\n"));
    hang_up(&portal);
    let ended = review::end(&portal, &under_way);
    assert_eq!(ended["failure"]["code"], "plugin_revoked", "{ended}");
}

#[test]
pub(crate) fn listed_package_is_not_installed() -> Evidence {
    let package = hello().package();
    let author = Author::new();
    let file = author.folder.path().join("hello.wasm");
    write(&file, &package);
    let inspected = author
        .run(&["plugin", "inspect", "--json", "hello.wasm"])
        .with_code(0)
        .json();
    let digest = inspected["digest"].as_str().expect("a digest");
    let portal = Portal::start_with(program(), &["--plugin-revoked", digest]);
    let refused = portal
        .cli(&["plugin", "install", &author.file("hello.wasm")])
        .with_code(1);
    assert!(
        refused.stderr.contains("revocation list"),
        "{}",
        refused.stderr
    );
    Evidence::fired("The package was on the list").seen("refused by the list")
}

fn approval(report: &Value) -> Value {
    json!({
        "digest": report["digest"],
        "manifestHash": report["manifestHash"],
        "policyRevision": report["policyRevision"],
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a signal to the portal of this test"
)]
fn hang_up(portal: &Portal) {
    let id = portal.process_id().expect("a process").to_string();
    let sent = Command::new("kill").args(["-HUP", &id]).status();
    assert!(sent.expect("kill runs").success());
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn read(file: &str) -> Vec<u8> {
    std::fs::read(file).expect("a file")
}
