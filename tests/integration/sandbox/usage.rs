//! What runs used is counted, line by line, and what they did not use can be taken away.

use goldenpath_tests::{Answer, Portal, Server};
use serde_json::{Value, json};

use crate::program;
use crate::sdk::user_of_the_sdk;

const MANIFEST: &str = r#"
[limits]
memory = "64MiB"

[capabilities.clock]
reason = "asked for, never looked at"

[capabilities.state]
reason = "imported, never called"

[endpoints.api]
reason = "to have somebody to talk to"

[[capabilities.http]]
endpoint = "api"
methods = ["GET", "POST"]
paths = ["/items/**"]
reason = "wider than it has to be"

[[capabilities.http]]
endpoint = "api"
methods = ["GET"]
paths = ["/old"]
reason = "asked for, never sent"
"#;

struct Place {
    portal: Portal,
    server: Server,
}

impl Place {
    fn new() -> Self {
        let portal = Portal::start_with(program(), &["--egress-allow-private"]);
        let server = Server::start(|_| Answer::new(200, "fine"));
        let place = Self { portal, server };
        let guest = user_of_the_sdk("talker")
            .with_manifest(MANIFEST)
            .with_action("sends");
        place.portal.install_bound(&guest, &place.bindings());
        place
    }

    fn bindings(&self) -> Value {
        json!({"api": {"urls": [self.server.url()], "allowPrivate": true, "allowPlaintext": true}})
    }

    fn send(&self, method: &str, path: &str) -> Value {
        let url = format!("{}{path}", self.server.url());
        let input = json!({"method": method, "url": url});
        let run = self.portal.admin().run("sends", &input);
        assert_eq!(run["status"], "SUCCESS", "{run}");
        run["output"].clone()
    }

    fn usage(&self) -> Value {
        let answer = self.portal.admin().get("/v1/plugins/talker/usage");
        answer.with_status(200).json()["usage"].clone()
    }

    /// The line of this kind of request, as the grant has it.
    fn line(&self, method: &str, path: &str) -> String {
        format!("http {method} {}{path} allow-private", self.server.url())
    }

    /// The terms of another approval of the version, as it is now.
    fn approve(&self, mut terms: Value) {
        terms["bindings"] = self.bindings();
        let approved = self.portal.admin().approve("talker", "1.0.0", terms);
        approved.with_status(200);
    }
}

fn found<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let mut all = list.as_array().expect("a list").iter();
    all.find(|one| one[key] == value)
        .unwrap_or_else(|| panic!("no {value} in {list}"))
}

#[test]
fn used_lines_are_counted_and_what_was_not_used_can_be_denied() {
    let place = Place::new();
    assert_eq!(place.usage()["suggested"], Value::Null, "nothing ran yet");
    for path in ["/items/1", "/items/2", "/items/1?page=2"] {
        assert_eq!(place.send("GET", path)["status"], 200);
    }
    for path in ["/users", "/users"] {
        assert_eq!(place.send("GET", path)["error"], "denied");
    }

    let usage = place.usage();
    assert_eq!(usage["runs"], 5, "{usage}");
    let wide = place.line("GET", "/items/**");
    let uses = |line: &str| found(&usage["lines"], "line", line)["uses"].clone();
    assert_eq!(uses(&wide), 3, "{usage}");
    for unused in [
        "clock",
        "state",
        &place.line("POST", "/items/**"),
        &place.line("GET", "/old"),
    ] {
        assert_eq!(uses(unused), 0, "{unused}: {usage}");
    }
    let denied = found(&usage["denied"], "missing", "http GET api /users");
    assert_eq!(denied["count"], 2, "{usage}");
    let memory = found(&usage["budgets"], "budget", "memory");
    assert!(
        memory["highest"]
            .as_str()
            .is_some_and(|text| text.ends_with("iB")),
        "{usage}"
    );
    let requests = found(&usage["budgets"], "budget", "http-requests");
    assert_eq!(requests["highest"], "1", "{usage}");

    let suggested = &usage["suggested"];
    let unneeded = json!(["clock", "http GET api /old", "http POST api /items/**"]);
    assert_eq!(suggested["deny"], unneeded, "{usage}");
    assert_eq!(
        suggested["rebuild"],
        json!(["state"]),
        "its component imports it"
    );
    let instead = [place.line("GET", "/items/1"), place.line("GET", "/items/2")];
    let narrower = json!([{"line": wide, "instead": instead}]);
    assert_eq!(suggested["narrower"], narrower, "{usage}");

    let shown = place
        .portal
        .cli(&["plugin", "usage", "talker"])
        .with_code(0);
    let shown = shown.stdout;
    assert!(
        shown.contains("5 run(s) counted") && shown.contains("--deny 'http POST api /items/**'"),
        "{shown}"
    );

    place.approve(json!({"deny": suggested["deny"], "limits": suggested["limits"]}));
    assert_eq!(place.send("GET", "/items/2")["status"], 200);
    assert_eq!(place.send("POST", "/items/2")["error"], "denied");
    let usage = place.usage();
    assert_eq!(usage["runs"], 7, "{usage}");
    // An approval stands by itself: it says again what it denies already.
    assert_eq!(usage["suggested"]["deny"], unneeded, "{usage}");
}

#[test]
fn what_ended_runs_used_outlives_the_process_and_a_run_that_fails_counts_too() {
    let mut place = Place::new();
    place.send("GET", "/items/1");
    let unknown = json!({"method": "GET", "url": "nonsense"});
    place.portal.admin().run("sends", &unknown);
    place.portal.restart();
    let usage = place.usage();
    assert_eq!(usage["runs"], 2, "{usage}");
    let wide = place.line("GET", "/items/**");
    assert_eq!(found(&usage["lines"], "line", &wide)["uses"], 1, "{usage}");
}

#[test]
fn the_requests_of_a_run_are_in_the_audit_log_once_it_has_ended() {
    let place = Place::new();
    place.send("GET", "/items/1");
    place.send("POST", "/items/2");
    // Nothing of a denied request leaves: it has a row of another kind.
    assert_eq!(place.send("POST", "/old")["error"], "denied");

    let log = place
        .portal
        .admin()
        .get("/v1/audit-log?limit=1000")
        .with_status(200)
        .json();
    let rows = log["audits"].as_array().expect("rows").iter();
    let rows: Vec<&Value> = rows.filter(|row| row["action"] == "REQUEST").collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    for method in ["GET", "POST"] {
        let line = place.line(method, "/items/**");
        let told = |row: &&&Value| row["after"]["requests"]["lines"][0]["line"] == line;
        let row = rows.iter().find(told).expect("a row of the run");
        assert_eq!(row["identifier"], "talker", "{row}");
        assert_eq!(row["after"]["version"], "1.0.0", "{row}");
        assert!(row["runId"].is_string() && row["after"]["digest"].is_string());
        let expected = json!({
            "line": line, "count": 1, "answered": 1, "refused": 0, "failed": 0, "firstStatus": 200, "lastStatus": 200,
            "sentBytes": 0, "receivedBytes": 4,
        });
        assert_eq!(
            row["after"]["requests"],
            json!({"lines": [expected]}),
            "{row}"
        );
    }
}

#[test]
fn usage_is_asked_for_of_a_version_that_is_there_and_in_days_that_can_be() {
    let place = Place::new();
    let admin = place.portal.admin();
    for (query, status) in [
        ("", 200),
        ("?version=1.0.0&days=1", 200),
        ("?version=2.0.0", 404),
        ("?version=x", 400),
        ("?days=0", 400),
        ("?days=99999", 400),
    ] {
        let answer = admin.get(&format!("/v1/plugins/talker/usage{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
    assert_eq!(admin.get("/v1/plugins/nobody/usage").status, 404);
    let developer = place.portal.user("dora@example.com", "developer");
    assert_eq!(developer.get("/v1/plugins/talker/usage").status, 403);
    let reviewer = place.portal.user("rita@example.com", "reviewer");
    assert_eq!(reviewer.get("/v1/plugins/talker/usage").status, 200);
}
