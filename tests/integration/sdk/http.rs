//! The wrapper of outgoing HTTP, through the real host to a real server.

use std::path::Path;

use goldenpath_tests::{Answer, Evidence, Guest, Portal, Received, Server};
use serde_json::{Value, json};

use super::user_of_the_sdk;
use crate::{program, tls_fixture};

const MANIFEST: &str = r#"
[limits]
http-requests = 40
http-bytes = "256KiB"

[capabilities.state]
reason = "imported, never called"

[endpoints.api]
reason = "to have somebody to talk to"

[[capabilities.http]]
endpoint = "api"
methods = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]
paths = ["/items/**"]
reason = "to send what is allowed"

[[capabilities.http]]
endpoint = "api"
methods = ["GET"]
paths = ["/old"]
reason = "to be sent elsewhere"
"#;

fn guest() -> Guest {
    user_of_the_sdk("talker")
        .with_manifest(MANIFEST)
        .with_action("sends")
        .with_action("expects-success")
        .with_action("sends-all")
}

/// Where an endpoint is, for a server on this machine.
fn bound(url: &str) -> Value {
    json!({"api": {"urls": [url], "allowPrivate": true, "allowPlaintext": true}})
}

/// A portal with the guest in it, bound to a server.
struct Place {
    portal: Portal,
    server: Server,
}

impl Place {
    fn new(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let portal = Portal::start_with(program(), &["--egress-allow-private"]);
        let server = Server::start(answer);
        portal.install_bound(&guest(), &bound(&server.url()));
        Self { portal, server }
    }

    /// A run of `sends`; the answer is what came of the request.
    fn send(&self, method: &str, path: &str, more: Value) -> Value {
        let run = self
            .portal
            .admin()
            .run("sends", &self.input(method, path, more));
        assert_eq!(run["status"], "SUCCESS", "{run}");
        run["output"].clone()
    }

    /// The lines that the audit log says were missing in a run.
    fn denied(&self, run: &Value) -> Vec<String> {
        let of_run = audited(&self.portal, run, "DENY");
        let missing = of_run.iter().map(|row| row["after"]["missing"].as_str());
        missing.flatten().map(str::to_owned).collect()
    }

    fn input(&self, method: &str, path: &str, mut more: Value) -> Value {
        more["method"] = json!(method);
        more["url"] = json!(format!("{}{path}", self.server.url()));
        more
    }
}

/// The rows that the audit log has of a run.
fn audited(portal: &Portal, run: &Value, action: &str) -> Vec<Value> {
    let log = portal.admin().get("/v1/audit-log?limit=1000");
    let log = log.with_status(200).json();
    let rows = log["audits"].as_array().expect("rows").iter();
    rows.filter(|row| row["runId"] == run["id"] && row["action"] == action)
        .cloned()
        .collect()
}

#[test]
pub(crate) fn requests_arrive_whole_and_so_do_their_answers() {
    let place = Place::new(|request| match request.target.as_str() {
        "/items/made" => Answer::new(201, "made").with_header("location", "/items/7"),
        "/items/gone" => Answer::new(404, r#"{"error":"gone"}"#),
        "/items/nothing" => Answer::new(204, ""),
        _ => Answer::new(200, request.body.clone()).with_header("x-twice", "a"),
    });

    let got = place.send(
        "GET",
        "/items?page=2&q=a%20b",
        json!({"headers": {"accept": "text/plain"}}),
    );
    assert_eq!(got["status"], 200, "{got}");
    assert_eq!(got["headers"]["x-twice"], "a", "{got}");

    let body = "ü".repeat(20_000);
    let echoed = place.send(
        "POST",
        "/items/echo",
        json!({"body": body, "headers": {"content-type": "text/plain"}}),
    );
    assert_eq!(echoed["status"], 200, "{echoed}");
    assert_eq!(echoed["body"].as_str(), Some(body.as_str()));

    let made = place.send("PUT", "/items/made", json!({}));
    assert_eq!(
        (&made["status"], &made["headers"]["location"]),
        (&json!(201), &json!("/items/7"))
    );
    let gone = place.send("PATCH", "/items/gone", json!({"body": "{}"}));
    assert_eq!(
        (&gone["status"], &gone["body"]),
        (&json!(404), &json!(r#"{"error":"gone"}"#))
    );
    let nothing = place.send("DELETE", "/items/nothing", json!({}));
    assert_eq!(
        (&nothing["status"], &nothing["body"]),
        (&json!(204), &json!(""))
    );
    let head = place.send("HEAD", "/items/echo", json!({}));
    assert_eq!((&head["status"], &head["body"]), (&json!(200), &json!("")));

    let received = place.server.received();
    let sent: Vec<(&str, &str)> = received
        .iter()
        .map(|request| (request.method.as_str(), request.target.as_str()))
        .collect();
    assert_eq!(
        sent,
        [
            ("GET", "/items?page=2&q=a%20b"),
            ("POST", "/items/echo"),
            ("PUT", "/items/made"),
            ("PATCH", "/items/gone"),
            ("DELETE", "/items/nothing"),
            ("HEAD", "/items/echo"),
        ]
    );
    let host = place.server.address().to_string();
    assert!(
        received
            .iter()
            .all(|request| request.header("host") == [host.as_str()])
    );
    assert_eq!(received[0].header("accept"), ["text/plain"]);
    assert_eq!(received[1].header("content-length"), ["40000"]);
    // Servers of all ages know the length of a body that is not there.
    assert_eq!(received[2].header("content-length"), ["0"]);
    assert_eq!(received[4].header("content-length"), ["0"]);
    for request in &received {
        assert!(
            request.header("transfer-encoding").is_empty(),
            "{request:?}"
        );
    }
}

#[test]
pub(crate) fn a_status_that_is_no_success_fails_a_run_that_expects_one() {
    let place = Place::new(|_| Answer::new(503, "try later"));
    let run = place
        .portal
        .admin()
        .run("expects-success", &place.input("GET", "/items", json!({})));
    assert_eq!(run["failure"]["code"], "http_status", "{run}");
    let message = run["failure"]["message"].as_str().expect("a text");
    assert!(
        message.contains("503") && message.contains("try later"),
        "{message}"
    );
}

#[test]
pub(crate) fn what_no_line_allows_is_never_sent_and_the_run_says_which_line_is_missing() {
    let place = Place::new(|_| Answer::new(200, ""));
    for (method, path, missing) in [
        ("GET", "/users?token=x", "http GET api /users"),
        ("OPTIONS", "/items", "http OPTIONS api /items"),
        ("POST", "/old", "http POST api /old"),
        ("GET", "/items/../users", ""),
        ("GET", "/items/%2e%2e/users", ""),
    ] {
        let run = place
            .portal
            .admin()
            .run("expects-success", &place.input(method, path, json!({})));
        let message = run["failure"]["message"].as_str().expect("a text");
        assert!(message.contains(missing), "{message}");
        assert!(!message.contains("token"), "{message}");
        if missing.is_empty() {
            assert_eq!(run["failure"]["code"], "invalid_request", "{run}");
            continue;
        }
        assert_eq!(run["failure"]["code"], "denied", "{run}");
        let log = place.portal.admin().log_of(&run).join("\n");
        assert!(
            log.contains(missing) && log.contains("[[capabilities.http]]"),
            "{log}"
        );
        assert_eq!(place.denied(&run), [missing]);
    }
    let elsewhere = Server::start(|_| Answer::new(200, ""));
    let other = json!({"method": "GET", "url": format!("{}/items", elsewhere.url())});
    let run = place.portal.admin().run("sends", &other);
    assert_eq!(run["output"]["error"], "denied", "{run}");
    let line = format!("http GET {}/items", elsewhere.url());
    assert_eq!(place.denied(&run), [line]);
    assert!(place.server.received().is_empty());
    assert!(elsewhere.received().is_empty());
}

#[test]
pub(crate) fn a_plugin_asks_by_name_where_its_endpoint_is_and_learns_of_no_other() {
    let place = Place::new(|request| Answer::new(200, request.target.clone()));
    let portal = &place.portal;
    let urls = [place.server.url(), format!("{}/items", place.server.url())];
    let named = user_of_the_sdk("named")
        .with_manifest(MANIFEST)
        .with_action("calls-by-name");
    let bindings = json!({"api": {"urls": urls, "allowPrivate": true, "allowPlaintext": true}});
    portal.install_bound(&named, &bindings);
    let call = |endpoint: &str| {
        let input = json!({"endpoint": endpoint, "path": "/items/7"});
        portal.admin().run("calls-by-name", &input)
    };
    let run = call("api");
    assert_eq!(run["output"]["body"], "/items/7", "{run}");
    assert_eq!(run["output"]["message"], urls.join(" "), "{run}");
    let run = call("other");
    assert_eq!(run["failure"]["code"], "denied", "{run}");
    let message = run["failure"]["message"].as_str().expect("a text");
    assert!(message.contains("endpoint other"), "{message}");
}

#[test]
pub(crate) fn a_query_has_no_other_keys_than_its_line_lists() {
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    let server = Server::start(|_| Answer::new(200, ""));
    let listed = MANIFEST.replace(
        "paths = [\"/items/**\"]",
        "paths = [\"/items/**\"]\nquery = [\"page\", \"size\"]",
    );
    let guest = user_of_the_sdk("talker")
        .with_manifest(&listed)
        .with_action("sends");
    portal.install_bound(&guest, &bound(&server.url()));
    let send = |path: &str| {
        let input = json!({"method": "GET", "url": format!("{}{path}", server.url())});
        portal.admin().run("sends", &input)
    };
    for path in ["/items", "/items?page=2&s%69ze=9"] {
        assert_eq!(send(path)["output"]["status"], 200, "{path}");
    }
    let run = send("/items?page=2&sudo=root");
    assert_eq!(run["output"]["error"], "denied", "{run}");
    let log = portal.admin().log_of(&run).join("\n");
    assert!(log.contains("query page,size,sudo"), "{log}");
    assert_eq!(
        send("/items?page=1;sudo=1")["output"]["error"],
        "invalid_request"
    );
    let audit = portal.admin().get("/v1/audit-log").with_status(200).json();
    let rows = audit["audits"].as_array().expect("rows");
    let told = |row: &&Value| row["runId"] == run["id"] && row["action"] == "DENY";
    assert_eq!(rows.iter().filter(told).count(), 1, "{audit}");
    let sent: Vec<String> = server
        .received()
        .iter()
        .map(|request| request.target.clone())
        .collect();
    assert_eq!(sent, ["/items", "/items?page=2&size=9"]);
}

#[test]
pub(crate) fn a_redirect_is_an_answer_and_is_not_followed() -> Evidence {
    let elsewhere = Server::start(|_| Answer::new(200, "secret"));
    let target = format!("{}/items", elsewhere.url());
    let place = Place::new(move |_| Answer::new(302, "").with_header("location", &target));
    let answer = place.send("GET", "/old", json!({}));
    assert_eq!(answer["status"], 302, "{answer}");
    assert_eq!(
        answer["headers"]["location"],
        format!("{}/items", elsewhere.url())
    );
    assert_eq!(place.server.received().len(), 1);
    assert!(elsewhere.received().is_empty());
    Evidence::fired("The server sent the guest elsewhere")
        .seen("302")
        .seen("nothing received there")
}

#[test]
pub(crate) fn answers_over_a_limit_are_errors_that_name_it() {
    let place = Place::new(|request| {
        let kib = request
            .target
            .trim_start_matches("/items/")
            .parse()
            .unwrap_or(0);
        Answer::new(200, vec![b'x'; kib * 1024])
    });
    let fits = place.send("GET", "/items/100", json!({}));
    assert_eq!(fits["body"].as_str().map(str::len), Some(100 * 1024));

    let own = place.send("GET", "/items/9", json!({"max_body_bytes": 8 * 1024}));
    assert_eq!(own["error"], "too_large", "{own}");
    assert!(
        own["message"]
            .as_str()
            .is_some_and(|text| text.contains("8192")),
        "{own}"
    );

    let granted = place.send("GET", "/items/300", json!({}));
    assert_eq!(granted["error"], "over_budget", "{granted}");
    assert!(
        granted["message"]
            .as_str()
            .is_some_and(|text| text.contains("http-bytes")),
        "{granted}"
    );
}

#[test]
pub(crate) fn a_run_that_needs_more_of_the_network_than_it_has_fails_and_its_end_is_audited() {
    let server = Server::start(|_| Answer::new(200, vec![b'x'; 2048]));
    for (budget, key) in [
        ("http-requests = 0", "http-requests"),
        ("http-bytes = \"1KiB\"", "http-bytes"),
    ] {
        let portal = Portal::start_with(program(), &["--egress-allow-private"]);
        let lines = MANIFEST.split_once("\n[cap").expect("limits stand first").1;
        let guest = user_of_the_sdk("talker")
            .with_manifest(&format!("[limits]\n{budget}\n[cap{lines}"))
            .with_action("expects-success");
        portal.install_bound(&guest, &bound(&server.url()));
        let input = json!({"method": "GET", "url": format!("{}/items", server.url())});
        let run = portal.admin().run("expects-success", &input);
        assert_eq!(run["failure"]["code"], "over_budget", "{run}");
        let ends = audited(&portal, &run, "UPDATE");
        let failure = &ends.first().expect("the run's end")["after"]["failure"];
        assert_eq!(failure["code"], "over_budget", "{failure}");
        assert!(failure["message"].to_string().contains(key), "{failure}");
    }
}

#[test]
pub(crate) fn many_requests_at_once_are_all_answered_up_to_the_budget() -> Evidence {
    let place = Place::new(|request| Answer::new(200, request.target.clone()));
    let requests: Vec<Value> = (0..50)
        .map(|number| place.input("GET", &format!("/items/{number}"), json!({})))
        .collect();
    let run = place
        .portal
        .admin()
        .run("sends-all", &json!({"requests": requests}));
    let outcomes = run["output"]["outcomes"]
        .as_array()
        .expect("outcomes")
        .clone();
    assert_eq!(outcomes.len(), 50);
    for (number, outcome) in outcomes.iter().enumerate() {
        if number < 40 {
            assert_eq!(outcome["body"], format!("/items/{number}"), "{outcome}");
        } else {
            assert_eq!(outcome["error"], "over_budget", "{outcome}");
            let message = outcome["message"].as_str().expect("a text");
            assert!(message.contains("http-requests"), "{message}");
        }
    }
    assert_eq!(place.server.received().len(), 40);
    Evidence::fired("Requests over the budget were tried")
        .seen("`over_budget` for each of them")
        .seen("forty received")
}

#[test]
fn encrypted_requests_go_to_servers_that_this_machine_trusts_and_to_no_others() {
    let (chain, key) = (tls_fixture("chain.pem"), tls_fixture("key.pem"));
    // Any server will do, and this one speaks TLS.
    let server = Portal::start_with(program(), &["--tls-cert", &chain, "--tls-key", &key]);
    let (flag, authority) = (["--egress-allow-private"], tls_fixture("authority.pem"));
    let input = json!({"method": "GET", "url": format!("{}/items", server.url())});
    let binding = json!({"api": {"urls": [server.url()], "allowPrivate": true}});

    let trusting = Portal::start_trusting(program(), &flag, Path::new(&authority));
    trusting.install_bound(&guest(), &binding);
    let run = trusting.admin().run("sends", &input);
    assert_eq!(run["output"]["status"], 404, "{run}");
    assert!(
        run["output"]["body"]
            .as_str()
            .is_some_and(|body| body.contains("unknown_route"))
    );

    let stranger = Portal::start_with(program(), &flag);
    stranger.install_bound(&guest(), &binding);
    let run = stranger.admin().run("sends", &input);
    assert_eq!(run["output"]["error"], "connect", "{run}");
    let message = run["output"]["message"].as_str().expect("a text");
    assert!(message.contains("TLS"), "{message}");
}

#[test]
fn a_server_that_says_nothing_or_is_not_there_is_a_typed_error() {
    let place = Place::new(|_| Answer::never());
    let silent = place.send("GET", "/items", json!({"patience": 200}));
    assert_eq!(silent["error"], "timeout", "{silent}");

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", nobody.local_addr().expect("its address"));
    drop(nobody);
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    portal.install_bound(&guest(), &bound(&url));
    let input = json!({"method": "GET", "url": format!("{url}/items")});
    let run = portal.admin().run("sends", &input);
    assert_eq!(run["output"]["error"], "connect", "{run}");

    for wrong in ["nonsense", "ftp://127.0.0.1/items", "http://a b/items"] {
        let input = json!({"method": "GET", "url": wrong});
        let run = portal.admin().run("sends", &input);
        assert_eq!(run["output"]["error"], "invalid_request", "{run}");
    }
}
