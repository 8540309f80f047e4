//! What reviewers decide, over the doors and with real guests: upgrades, revocations, ways back, and what each shows.

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};

use goldenpath_tests::{Answer, Client, Evidence, Guest, Portal, Reply, Server};
use serde_json::{Value, json};

use crate::cli::write;
use crate::sdk::user_of_the_sdk;
use crate::{hello, program};

const CLOCK: &str = "[capabilities.clock]\nreason = \"to know how late it is\"\n";

const TALKS: &str = r#"
[capabilities.state]
reason = "imported, never called"
[endpoints.api]
reason = "to wait for its answer"
[[capabilities.http]]
endpoint = "api"
methods = ["GET"]
paths = ["/**"]
reason = "to wait for its answer"
"#;

fn send_package(portal: &Portal, guest: &Guest) -> Value {
    let headers = [("content-type", "application/wasm")];
    let reply = portal
        .admin()
        .send("POST", "/v1/plugins", &headers, guest.package());
    reply.with_status(201).json()["plugin"].clone()
}

fn version_path(plugin: &str, version: &str) -> String {
    format!("/v1/plugins/{plugin}/versions/{version}")
}

fn report(portal: &Portal, plugin: &str, version: &str) -> Value {
    let path = format!("{}/capabilities", version_path(plugin, version));
    portal.admin().get(&path).with_status(200).json()
}

/// Allows all that was asked for as it was read.
fn approve(client: &Client, plugin: &str, version: &str, read: &Value) -> Reply {
    let approval = json!({
        "digest": read["digest"],
        "manifestHash": read["manifestHash"],
        "policyRevision": read["policyRevision"],
    });
    client.post(
        &format!("{}/approve", version_path(plugin, version)),
        &approval,
    )
}

fn revoke(portal: &Portal, plugin: &str, version: &str, running: &str) {
    let body = json!({"reason": "it leaks", "running": running});
    let path = format!("{}/revoke", version_path(plugin, version));
    portal.admin().post(&path, &body).with_status(200);
}

fn active(portal: &Portal, plugin: &str) -> Value {
    let path = format!("/v1/plugins/{plugin}");
    portal.admin().get(&path).with_status(200).json()["plugin"]["activeVersion"].clone()
}

/// Starts a run and does not wait for it.
fn begin(portal: &Portal, action: &str, properties: &Value) -> String {
    let path = format!("/v1/actions/{action}/runs");
    let body = json!({"properties": properties});
    let reply = portal.admin().post(&path, &body).with_status(202).json();
    reply["run"]["id"].as_str().expect("an id").to_owned()
}

/// The run once it has ended.
pub(crate) fn end(portal: &Portal, run: &str) -> Value {
    portal.admin().events(run, None).for_each(drop);
    let path = format!("/v1/actions/runs/{run}");
    portal.admin().get(&path).with_status(200).json()["run"].clone()
}

/// A server that answers only once it is told to, so that a run that asks it is known to be under way.
pub(crate) struct Gate {
    server: Server,
    arrived: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let (arrive, arrived) = mpsc::channel();
        let (open, opened) = mpsc::channel();
        let (arrive, opened) = (Mutex::new(arrive), Mutex::new(opened));
        let server = Server::start(move |_| {
            let _ = arrive.lock().expect("one at a time").send(());
            let _ = opened.lock().expect("one at a time").recv();
            Answer::new(200, "at last")
        });
        Self {
            server,
            arrived,
            open,
        }
    }

    /// A plugin that asks the server, approved.
    pub(crate) fn admit(&self, portal: &Portal) {
        let guest = user_of_the_sdk("talker")
            .with_manifest(TALKS)
            .with_action("sends");
        let binding = json!({
            "urls": [self.server.url()], "allowPrivate": true, "allowPlaintext": true,
        });
        portal.install_bound(&guest, &json!({ "api": binding }));
    }

    /// Starts a run that is under way when this returns.
    pub(crate) fn enter(&self, portal: &Portal) -> String {
        let run = self.queue(portal);
        self.arrived.recv().expect("the run asks the server");
        run
    }

    fn queue(&self, portal: &Portal) -> String {
        let input = json!({"method": "GET", "url": self.server.url()});
        begin(portal, "sends", &input)
    }
}

#[test]
fn an_upgrade_that_asks_for_nothing_new_serves_at_once_and_one_that_asks_for_more_waits() {
    let portal = Portal::start(program());
    portal.install(&hello());
    let same = send_package(&portal, &hello().with_version("1.0.1"));
    assert_eq!(same["state"], "active", "{same}");
    assert_eq!(active(&portal, "hello"), "1.0.1");

    let more = hello().with_version("1.1.0").with_manifest(CLOCK);
    let more = send_package(&portal, &more);
    assert_eq!(more["state"], "pending", "{more}");
    assert_eq!(active(&portal, "hello"), "1.0.1", "the old one serves");
    let run = portal.admin().run("hello", &json!({"name": "Ada"}));
    assert_eq!(run["status"], "SUCCESS", "{run}");

    let read = report(&portal, "hello", "1.1.0");
    assert!(read["granted"].as_array().expect("lines").is_empty());
    let reviewer = portal.user("rita@example.com", "reviewer");
    approve(&reviewer, "hello", "1.1.0", &read).with_status(200);
    assert_eq!(active(&portal, "hello"), "1.1.0");
    let again = approve(&reviewer, "hello", "1.1.0", &read).with_status(409);
    assert_eq!(again.error(), "changed", "an approval is used up once");
    let granted = report(&portal, "hello", "1.1.0")["granted"].clone();
    assert!(granted.as_array().expect("lines").contains(&json!("clock")));
}

#[test]
fn every_upgrade_waits_where_the_operator_wants_a_review() {
    let portal = Portal::start_with(program(), &["--plugin-upgrades", "review"]);
    portal.install(&hello());
    let same = send_package(&portal, &hello().with_version("1.0.1"));
    assert_eq!(same["state"], "pending", "{same}");
}

#[test]
pub(crate) fn an_approval_without_all_that_was_read_is_refused() -> Evidence {
    let portal = Portal::start(program());
    send_package(&portal, &hello());
    let read = report(&portal, "hello", "1.0.0");
    for key in ["digest", "manifestHash", "policyRevision"] {
        let mut forgetful = read.clone();
        forgetful[key] = Value::Null;
        let status = approve(portal.admin(), "hello", "1.0.0", &forgetful).status;
        assert!(matches!(status, 400 | 422), "{key}: {status}");
        forgetful[key] = json!(format!("sha256:{}", "0".repeat(64)));
        approve(portal.admin(), "hello", "1.0.0", &forgetful).with_status(409);
    }
    assert_eq!(active(&portal, "hello"), Value::Null);
    Evidence::fired("Three parts were left out and three replaced")
        .seen("400 or 422, and 409")
        .seen("nothing became active")
}

#[test]
pub(crate) fn an_action_that_pins_a_version_keeps_it_until_that_is_revoked() -> Evidence {
    let portal = Portal::start(program());
    portal.install(&hello());
    let pinned = json!({
        "identifier": "hello-of-old",
        "trigger": {"type": "self-service", "operation": "CREATE"},
        "invocationMethod": {"type": "PLUGIN", "plugin": "hello", "version": "1.0.0", "action": "hello"},
    });
    portal.admin().post("/v1/actions", &pinned).with_status(201);
    send_package(&portal, &hello().with_version("1.0.1"));
    let input = json!({"name": "Ada"});
    let run = portal.admin().run("hello-of-old", &input);
    assert_eq!(run["status"], "SUCCESS", "{run}");

    revoke(&portal, "hello", "1.0.0", "finish");
    let run = portal.admin().run("hello-of-old", &input);
    assert_eq!(run["failure"]["code"], "plugin_revoked", "{run}");
    let run = portal.admin().run("hello", &input);
    assert_eq!(run["status"], "SUCCESS", "{run}");
    Evidence::fired("It ran before it was revoked")
        .seen("`plugin_revoked` after")
        .seen("other versions go on")
}

#[test]
pub(crate) fn a_revocation_lets_what_is_under_way_finish_and_what_is_queued_fail() -> Evidence {
    let portal = Portal::start_with(program(), &["--workers", "1", "--egress-allow-private"]);
    let gate = Gate::new();
    gate.admit(&portal);
    let (under_way, queued) = (gate.enter(&portal), gate.queue(&portal));
    revoke(&portal, "talker", "1.0.0", "finish");
    gate.open.send(()).expect("the server waits");
    let finished = end(&portal, &under_way);
    assert_eq!(finished["output"]["body"], "at last", "{finished}");
    let failed = end(&portal, &queued);
    assert_eq!(failed["failure"]["code"], "plugin_revoked", "{failed}");
    Evidence::fired("One run was under way and one queued")
        .seen("the first succeeded")
        .seen("`plugin_revoked` for the second")
}

#[test]
pub(crate) fn a_revocation_that_cancels_ends_what_is_under_way() -> Evidence {
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    let gate = Gate::new();
    gate.admit(&portal);
    portal.install(&hello());
    let under_way = gate.enter(&portal);
    revoke(&portal, "hello", "1.0.0", "cancel");
    revoke(&portal, "talker", "1.0.0", "cancel");
    let ended = end(&portal, &under_way);
    assert_eq!(ended["failure"]["code"], "plugin_revoked", "{ended}");
    Evidence::fired("The guest waited for an answer").seen("`plugin_revoked`")
}

#[test]
pub(crate) fn a_stop_ends_all_that_is_under_way_and_nothing_that_begins_later() -> Evidence {
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    let gate = Gate::new();
    gate.admit(&portal);
    let runs = [gate.enter(&portal), gate.enter(&portal)];
    let developer = portal.user("dev@example.com", "developer");
    let path = "/v1/plugins/stop";
    developer.post(path, &json!({})).with_status(403);
    let body = json!({"reason": "incident"});
    let stopped = portal.admin().post(path, &body).with_status(200).json();
    assert_eq!(stopped["ended"], 2, "{stopped}");
    for run in &runs {
        let ended = end(&portal, run);
        assert_eq!(ended["failure"]["code"], "stopped", "{ended}");
    }
    let later = gate.enter(&portal);
    for _ in 0..3 {
        gate.open.send(()).expect("the server waits");
    }
    assert_eq!(end(&portal, &later)["status"], "SUCCESS");
    Evidence::fired("Two runs were under way")
        .seen("`stopped` for both")
        .seen("403 for a developer")
        .seen("a later run succeeded")
}

#[test]
fn old_and_new_version_run_side_by_side_while_runs_of_the_old_one_finish() {
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    let gate = Gate::new();
    gate.admit(&portal);
    let of_old = gate.enter(&portal);
    let next = user_of_the_sdk("talker")
        .with_version("1.0.1")
        .with_manifest(TALKS)
        .with_action("sends");
    let upgraded = send_package(&portal, &next);
    assert_eq!(upgraded["state"], "active", "{upgraded}");
    let of_new = gate.enter(&portal);
    for _ in 0..2 {
        gate.open.send(()).expect("the server waits");
    }
    for run in [&of_old, &of_new] {
        let ended = end(&portal, run);
        assert_eq!(
            ended["status"], "SUCCESS",
            "the binding was taken over: {ended}"
        );
    }
}

#[test]
pub(crate) fn the_hosts_ceiling_is_above_every_approval() -> Evidence {
    let ceiling = [
        "--plugin-ceiling",
        "no clock",
        "--plugin-ceiling",
        "limit memory 32MiB",
    ];
    let portal = Portal::start_with(program(), &ceiling);
    send_package(&portal, &hello().with_manifest(CLOCK));
    let read = report(&portal, "hello", "1.0.0");
    let findings = read["findings"].to_string();
    assert!(findings.contains("beyond_ceiling"), "{findings}");
    let refused = approve(portal.admin(), "hello", "1.0.0", &read).with_status(422);
    assert!(refused.text().contains("`clock`"), "{}", refused.text());
    portal.install_denying(&hello().with_manifest(CLOCK), &["clock"]);
    let granted = report(&portal, "hello", "1.0.0")["granted"].to_string();
    assert!(granted.contains("limit memory 32MiB"), "{granted}");
    let run = portal.admin().run("hello", &json!({"name": "Ada"}));
    assert_eq!(run["status"], "SUCCESS", "{run}");
    Evidence::fired("The approval asked for the clock")
        .seen("422 with the line")
        .seen("the budget was lowered")
}

#[test]
fn a_ceiling_that_is_no_line_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = goldenpath_tests::Program::new(program(), folder.path()).run_in(
        folder.path(),
        [
            "serve",
            "--data",
            "data",
            "--listen",
            "127.0.0.1:0",
            "--plugin-ceiling",
            "http *",
        ],
    );
    assert_ne!(ended.code, 0);
    for part in ["plugin-ceiling", "`http *`"] {
        assert!(ended.stderr.contains(part), "`{part}`: {}", ended.stderr);
    }
}

#[test]
fn differences_are_told_by_file_and_by_route_alike() {
    let portal = Portal::start(program());
    let wider = hello()
        .with_version("1.1.0")
        .with_manifest(CLOCK)
        .with_manifest("[limits]\nmemory = \"128MiB\"");
    for (file, guest) in [("old.wasm", &hello()), ("new.wasm", &wider)] {
        write(&portal.folder().join(file), guest.package());
        send_package(&portal, guest);
    }
    let told = portal
        .admin()
        .get("/v1/plugins/hello/diff?from=1.0.0&to=1.1.0")
        .with_status(200)
        .json();
    assert_eq!(told["diff"]["added"], json!(["clock"]), "{told}");
    assert_eq!(told["diff"]["budgets"][0]["name"], "memory", "{told}");
    let more = told["diff"]["asksMore"].to_string();
    assert!(more.contains("use 128MiB of `memory`"), "{more}");

    let by_file = portal.cli(&["--json", "plugin", "diff", "old.wasm", "new.wasm"]);
    assert_eq!(by_file.with_code(1).json(), told);
    let shown = portal.cli(&["plugin", "diff", "old.wasm", "new.wasm"]);
    let shown = shown.with_code(1).stdout;
    for part in [
        "+ clock",
        "~ limit memory: 64MiB -> 128MiB",
        "asks for more",
    ] {
        assert!(shown.contains(part), "`{part}`: {shown}");
    }
    portal
        .cli(&["plugin", "diff", "old.wasm", "old.wasm"])
        .with_code(0);
    portal
        .cli(&["plugin", "diff", "old.wasm", "absent.wasm"])
        .with_code(2);
    let other = user_of_the_sdk("talker")
        .with_manifest(TALKS)
        .with_action("sends");
    write(&portal.folder().join("other.wasm"), other.package());
    let two = portal.cli(&["plugin", "diff", "old.wasm", "other.wasm"]);
    let two = two.with_code(2).stderr;
    assert!(two.contains("`hello`") && two.contains("`talker`"), "{two}");
    let path = "/v1/plugins/hello/diff?from=1.0.0";
    portal.admin().get(path).with_status(400);
    let path = "/v1/plugins/hello/diff?from=1.0.0&to=9.0.0";
    portal.admin().get(path).with_status(404);
}

#[test]
fn decisions_are_taken_on_the_command_line_too() {
    let portal = Portal::start(program());
    portal.install(&hello());
    send_package(&portal, &hello().with_version("1.0.1"));
    let back = portal.cli(&["plugin", "rollback", "hello"]).with_code(0);
    assert!(
        back.stdout.contains("1.0.0 serves again"),
        "{}",
        back.stdout
    );
    assert_eq!(active(&portal, "hello"), "1.0.0");
    portal
        .cli(&[
            "plugin",
            "rollback",
            "hello",
            "--to",
            "1.0.1",
            "--reason",
            "it was not that",
        ])
        .with_code(0);
    assert_eq!(active(&portal, "hello"), "1.0.1");
    portal
        .cli(&["plugin", "revoke", "hello", "1.0.0", "--cancel"])
        .with_code(0);
    portal.cli(&["plugin", "rollback", "hello"]).with_code(5);
    portal
        .cli(&["plugin", "stop", "--reason", "drill"])
        .with_code(0);
    send_package(&portal, &hello().with_version("1.0.2"));
    let blind = portal.cli(&["--json", "plugin", "approve", "hello", "1.0.2"]);
    let blind = blind.with_code(2).stderr;
    assert!(blind.contains("--json"), "{blind}");
    let shown = portal.cli(&["plugin", "approve", "hello", "1.0.2", "--yes"]);
    let shown = shown.with_code(0).stdout;
    assert!(shown.contains("action/hello"), "{shown}");
}

#[test]
fn a_report_marks_lines_by_the_harm_that_they_could_do() {
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    let gate = Gate::new();
    gate.admit(&portal);
    let read = report(&portal, "talker", "1.0.0");
    let risk = |line: &str| {
        let risks = read["risks"].as_array().expect("marks");
        let marked = risks.iter().find(|mark| mark["line"] == line);
        marked.unwrap_or_else(|| panic!("{line}: {read}"))["risk"].clone()
    };
    assert_eq!(risk("state"), "low");
    assert_eq!(risk("http GET api /**"), "medium");
    let bound = format!("http GET {}/** allow-private", gate.server.url());
    assert_eq!(risk(&bound), "high");
    assert!(
        read["granted"]
            .as_array()
            .expect("lines")
            .contains(&json!(bound))
    );
    assert_eq!(read["endpoints"], json!({"api": null}));
    assert_eq!(read["documents"], json!(["actions/sends.json"]));
}
