//! Guests that ask for one thing and mean another, and servers that answer in ways that no client should take.

use std::io::Write as _;
use std::net::TcpStream;

use goldenpath_tests::{Answer, Evidence, Portal, RawServer, Server};
use serde_json::{Value, json};

use crate::program;
use crate::sdk::user_of_the_sdk;

const MANIFEST: &str = r#"
[limits]
wall-time = "20s"
http-requests = 200
http-bytes = "256KiB"

[capabilities.state]
reason = "imported, never called"

[endpoints.api]
reason = "to be asked in odd ways"

[[capabilities.http]]
endpoint = "api"
methods = ["GET", "POST"]
paths = ["/pub/**"]
reason = "to be asked in odd ways"
"#;

/// A portal whose plugin may ask one server, below `/pub`.
fn bound_to(url: &str) -> Portal {
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    let guest = user_of_the_sdk("talker")
        .with_manifest(MANIFEST)
        .with_action("hoards")
        .with_action("sends");
    let bindings = json!({"api": {"urls": [url], "allowPrivate": true, "allowPlaintext": true}});
    portal.install_bound(&guest, &bindings);
    portal
}

/// What the guest is told of a request.
fn send(portal: &Portal, input: &Value) -> Value {
    let run = portal.admin().run("sends", input);
    assert_eq!(run["status"], "SUCCESS", "{input}: {run}");
    run["output"].clone()
}

#[track_caller]
fn assert_refused(portal: &Portal, input: &Value) {
    let got = send(portal, input);
    let error = got["error"].as_str().unwrap_or_default();
    assert!(
        matches!(error, "denied" | "invalid_request"),
        "{input}: {got}"
    );
}

#[test]
pub(crate) fn paths_hosts_and_methods_that_mean_another_are_refused_before_they_are_sent()
-> Evidence {
    let server = Server::start(|_| Answer::new(200, "arrived"));
    let portal = bound_to(&server.url());
    let here = server.url();
    let port = server.address().port();
    for path in [
        "/pub/../admin",
        "/pub/%2e%2e/admin",
        "/pub/..;/admin",
        "/pub//admin",
        "/pub/%2Fadmin",
        "/pub/%5cadmin",
        "/pub/%00",
        "/pub/%",
        "/pub/%252e%252e/admin",
        "/PUB/x",
        "//pub/x",
        "/admin",
        "/",
    ] {
        assert_refused(
            &portal,
            &json!({"method": "GET", "url": format!("{here}{path}")}),
        );
    }
    for host in [
        format!("http://localhost:{port}@evil.example"),
        format!("http://user@127.0.0.1:{port}"),
        format!("http://127.1:{port}"),
        format!("http://0x7f.1:{port}"),
        format!("http://2130706433:{port}"),
        format!("http://0177.0.0.1:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        format!("http://localhost.:{port}"),
        format!("http://127.0.0.1:{port}0000"),
        "http://127.0.0.1:0".to_owned(),
        format!("https://127.0.0.1:{port}"),
    ] {
        assert_refused(
            &portal,
            &json!({"method": "GET", "url": format!("{host}/pub/x")}),
        );
    }
    for method in [
        "get",
        "TRACE",
        "CONNECT",
        "PUT",
        "PURGE",
        "GET /admin HTTP/1.1\r\nx:",
    ] {
        assert_refused(
            &portal,
            &json!({"method": method, "url": format!("{here}/pub/x")}),
        );
    }
    assert!(server.received().is_empty(), "{:?}", server.received());
    // What is only spelled in another way is sent in the one that was matched.
    let spelled = json!({"method": "GET", "url": format!("{here}/pub/%61%2D?q=%2e")});
    assert_eq!(send(&portal, &spelled)["body"], "arrived");
    assert_eq!(server.received()[0].target, "/pub/a-?q=%2e");
    Evidence::fired("Thirty requests were tried")
        .seen("`denied` or `invalid_request`, nothing received")
        .seen("an odd spelling arrived as `/pub/a-`")
}

#[test]
pub(crate) fn headers_that_change_where_a_request_ends_are_refused_before_it_is_sent() -> Evidence {
    let server = Server::start(|_| Answer::new(200, "arrived"));
    let portal = bound_to(&server.url());
    for (name, value) in [
        ("host", "evil.example"),
        ("proxy-authorization", "Basic eDp5"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-other"),
        ("upgrade", "h2c"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/admin"),
        ("x-split", "a\r\nhost: evil.example"),
        ("x-split", "a\nb"),
        ("x split", "a"),
        ("", "a"),
    ] {
        let url = format!("{}/pub/x", server.url());
        assert_refused(
            &portal,
            &json!({"method": "GET", "url": url, "headers": {name: value}}),
        );
    }
    assert!(server.received().is_empty(), "{:?}", server.received());
    Evidence::fired("Eleven headers were set").seen("`invalid_request`, nothing received")
}

#[test]
pub(crate) fn more_headers_or_body_than_a_server_takes_are_errors_of_their_own() -> Evidence {
    let server = Server::start(|_| Answer::new(200, "arrived"));
    let portal = bound_to(&server.url());
    let url = format!("{}/pub/x", server.url());
    let long = "x".repeat(64 << 10);
    let many: serde_json::Map<String, Value> = (0..4_000)
        .map(|number| (format!("x-{number}"), json!("value")))
        .collect();
    for headers in [json!({"x-long": long}), Value::Object(many)] {
        let input = json!({"method": "GET", "url": url, "headers": headers});
        let run = portal.admin().run("sends", &input);
        // The interface has no word for it, so that the call ends the guest.
        assert_eq!(run["failure"]["code"], "plugin_crashed");
    }
    let body = "x".repeat(768 << 10);
    let got = send(
        &portal,
        &json!({"method": "POST", "url": url, "body": body}),
    );
    let error = got["error"].as_str().unwrap_or_default();
    assert!(matches!(error, "broken" | "over_budget"), "{error}");
    let arrived = server.received();
    assert!(
        arrived
            .iter()
            .all(|received| received.body.len() < 512 << 10)
    );
    Evidence::fired("64 KiB in one header, 4,000 headers and a body of 768 KiB were set")
        .seen("`plugin_crashed` for the headers; the body was broken off")
}

#[test]
pub(crate) fn times_that_are_none_or_without_end_are_no_harm() -> Evidence {
    let server = Server::start(|_| Answer::new(200, "arrived"));
    let portal = bound_to(&server.url());
    let url = format!("{}/pub/x", server.url());
    let none = send(
        &portal,
        &json!({"method": "GET", "url": url, "patience": 0}),
    );
    // Whether there is time for anything in no time at all is up to the machine.
    assert!(
        none["error"] == "timeout" || none["body"] == "arrived",
        "{none}"
    );
    let all = send(
        &portal,
        &json!({"method": "GET", "url": url, "patience": u32::MAX}),
    );
    assert_eq!(all["body"], "arrived", "{all}");
    Evidence::fired("Timeouts of nothing and of seven weeks were set")
        .seen("`timeout` at most for the one, an answer for the other")
}

#[test]
pub(crate) fn headers_that_are_never_given_back_end_the_run() -> Evidence {
    let server = Server::start(|_| Answer::new(200, "arrived"));
    let portal = bound_to(&server.url());
    let few = portal.admin().run("hoards", &json!({"many": 1_000}));
    assert_eq!(few["status"], "SUCCESS", "{few}");
    let run = portal.admin().run("hoards", &json!({"many": 1_000_000}));
    assert_eq!(run["failure"]["code"], "handle_budget", "{run}");
    Evidence::fired("A thousand were let, a million were not").seen("`handle_budget`")
}

#[test]
pub(crate) fn answers_without_end_are_cut_off_by_size_and_time() -> Evidence {
    type Speak = fn(&mut TcpStream) -> std::io::Result<()>;
    let ways: [(&str, Speak); 4] = [
        ("body", |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        }),
        ("head", |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                stream.write_all(b"x-more: and more\r\n")?;
            }
        }),
        ("promises", |stream| {
            loop {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
        }),
        ("silence", |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx")?;
            std::io::copy(stream, &mut std::io::sink()).map(drop)
        }),
    ];
    for (what, speak) in ways {
        let server = RawServer::start(speak);
        let portal = bound_to(&server.url());
        let url = format!("{}/pub/x", server.url());
        let got = send(
            &portal,
            &json!({"method": "GET", "url": url, "patience": 500}),
        );
        let error = got["error"].as_str().unwrap_or_default();
        let expected: &[&str] = match what {
            "body" => &["over_budget", "too_large"],
            "head" => &["broken"],
            _ => &["timeout", "broken"],
        };
        assert!(expected.contains(&error), "{what}: {got}");
        assert_eq!(server.asked(), 1, "{what}");
    }
    Evidence::fired("Bodies, heads and promises without end, and silence in the middle were sent")
        .seen("each an error of its own, and the run went on")
}
