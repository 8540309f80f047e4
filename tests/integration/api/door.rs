//! Who comes in, by which name, from where, and whether anybody can listen.

use goldenpath_tests::{Client, Ended, Evidence, Portal, Program};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use crate::{program, tls_fixture as fixture};

/// What a server answers to bytes as they are; nothing where it closes the connection.
fn ask(url: &str, request: &str) -> String {
    let address = url.split("://").nth(1).expect("a URL");
    let mut stream = TcpStream::connect(address).expect("the portal listens");
    stream
        .write_all(request.as_bytes())
        .expect("it takes bytes");
    let mut answer = String::new();
    // A server that has had enough resets the connection.
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn ask_as(url: &str, host: &str) -> String {
    ask(
        url,
        &format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
    )
}

/// A `serve` that is expected to end at once.
fn refused(arguments: &[&str]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut all = vec!["serve", "--data", data.to_str().expect("a path in UTF-8")];
    all.extend_from_slice(arguments);
    let ended = Program::new(program(), folder.path()).run(all);
    assert!(
        !data.exists(),
        "nothing was made for settings that cannot be"
    );
    ended
}

#[test]
fn with_a_certificate_nothing_is_said_in_clear_text() {
    let (chain, key) = (fixture("chain.pem"), fixture("key.pem"));
    let portal = Portal::start_with(program(), &["--tls-cert", &chain, "--tls-key", &key]);
    assert!(
        portal.url().starts_with("https://127.0.0.1:"),
        "{}",
        portal.url()
    );
    portal.admin().get("/v1/blueprints").with_status(200);
    let clear = ask_as(portal.url(), "localhost");
    assert!(!clear.contains("HTTP/1.1 200"), "{clear}");

    let authority = fixture("authority.pem");
    portal
        .cli(&["actions", "list", "--ca-cert", &authority])
        .with_code(0);
    let stranger = portal.cli(&["actions", "list"]).with_code(6);
    assert!(
        stranger.stderr.contains("certificate"),
        "{}",
        stranger.stderr
    );
}

#[test]
fn half_of_a_certificate_and_clear_text_on_a_network_are_refused() {
    let chain = fixture("chain.pem");
    let named = refused(&["--listen", "localhost:4000"]).with_code(2);
    assert!(named.stderr.contains("127.0.0.1:4000"), "{}", named.stderr);
    let half = refused(&["--tls-cert", &chain]).with_code(2);
    assert!(half.stderr.contains("--tls-key"), "{}", half.stderr);
    let wrong = refused(&["--tls-cert", &chain, "--tls-key", &chain]).with_code(1);
    assert!(wrong.stderr.contains("chain.pem"), "{}", wrong.stderr);
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let open = refused(&["--listen", address]).with_code(2);
        assert!(open.stderr.contains("--behind-proxy"), "{}", open.stderr);
    }
}

#[test]
fn a_bootstrap_secret_that_anybody_could_guess_is_refused_with_its_rule() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = Program::new(program(), folder.path())
        .with("GOLDENPATH_CLIENT_ID", "me")
        .with("GOLDENPATH_CLIENT_SECRET", "admin")
        .run_in(folder.path(), ["serve", "--listen", "127.0.0.1:0"])
        .with_code(1);
    assert!(
        ended.stderr.contains("/clientSecret: use 16 to"),
        "{}",
        ended.stderr
    );
}

#[test]
pub(crate) fn behind_a_proxy_the_public_name_is_known_and_others_are_misdirected() -> Evidence {
    let portal = Portal::start_with(
        program(),
        &[
            "--listen",
            "0.0.0.0:0",
            "--behind-proxy",
            "--public-url",
            "https://portal.example.com",
        ],
    );
    for known in [
        "portal.example.com",
        "PORTAL.example.com:443",
        "localhost",
        "127.0.0.1:1",
    ] {
        let answer = ask_as(portal.url(), known).to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 200"), "{known}: {answer}");
        assert!(
            answer.contains("\r\nstrict-transport-security:"),
            "{answer}"
        );
    }
    for other in ["evil.example.com", "portal.example.com.evil.com", "0.0.0.0"] {
        let answer = ask_as(portal.url(), other);
        assert!(answer.starts_with("HTTP/1.1 421"), "{other}: {answer}");
        assert!(answer.contains("--public-url"), "{answer}");
    }
    let nameless = ask(portal.url(), "GET /health HTTP/1.0\r\n\r\n");
    assert!(nameless.starts_with("HTTP/1.0 400"), "{nameless}");
    Evidence::fired("Three other names were asked for")
        .seen("421")
        .seen("400 without a name")
}

#[test]
fn failed_logins_are_limited_by_the_address_that_a_trusted_proxy_names() {
    let portal = Portal::start_with(program(), &["--trusted-proxy", "127.0.0.1"]);
    let fail = |from: &str| Client::try_log_in(portal.url(), "nobody", "nothing", Some(from));
    for left in (0..10).rev() {
        let reply = fail("198.51.100.9, 203.0.113.1").with_status(401);
        assert_eq!(reply.headers["x-ratelimit-remaining"], left.to_string());
    }
    let refused = fail("203.0.113.1").with_status(429);
    assert_eq!(refused.error(), "too_many_failed_logins");
    assert!(refused.headers.contains_key("retry-after"));
    fail("203.0.113.2").with_status(401);
    // Who comes from elsewhere still gets in.
    portal.admin().get("/v1/blueprints").with_status(200);
    portal.user("ada@example.com", "developer");
}

#[test]
fn nobody_gets_a_new_count_by_claiming_another_address() {
    let portal = Portal::start(program());
    for number in 0..10 {
        let from = format!("203.0.113.{number}");
        Client::try_log_in(portal.url(), "nobody", "nothing", Some(&from)).with_status(401);
    }
    Client::try_log_in(portal.url(), "nobody", "nothing", Some("203.0.113.99")).with_status(429);
    // A token that was given out before is not a login.
    portal.admin().get("/v1/blueprints").with_status(200);
}

#[test]
fn an_answer_that_came_before_the_end_of_its_request_is_not_cut_off() {
    let portal = Portal::start(program());
    let address = portal.url().split("://").nth(1).expect("a URL");
    let stream = TcpStream::connect(address).expect("the portal listens");
    let send = |text: String| (&stream).write_all(text.as_bytes()).expect("it is open");
    let host = format!("Host: {address}");
    send(format!(
        "POST /v1/backup HTTP/1.1\r\n{host}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    // The portal has refused it by the time that its body comes.
    let early = read_answer(&stream);
    assert!(early.starts_with("HTTP/1.1 401"), "{early}");
    send("5\r\nhello\r\n0\r\n\r\n".to_owned());
    send(format!("GET /health HTTP/1.1\r\n{host}\r\n\r\n"));
    let next = read_answer(&stream);
    assert!(next.starts_with("HTTP/1.1 200"), "{next}");
}

/// The next answer on a connection, up to the end of its body.
fn read_answer(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("an answer comes");
        if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = told.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("its body comes");
    head
}

#[test]
pub(crate) fn one_address_cannot_hold_all_connections() -> Evidence {
    let portal = Portal::start_with(program(), &["--max-connections", "8"]);
    let address = portal.url().split("://").nth(1).expect("a URL");
    // Idle, from the address that most of this machine comes from.
    let held: Vec<_> = (0..8)
        .filter_map(|_| TcpStream::connect(address).ok())
        .collect();
    let other = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let answer = other.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket
            .bind("127.0.0.2:0".parse().expect("an address"))
            .expect("loopback has many");
        let to = address.parse().expect("an address");
        let stream = socket.connect(to).await.expect("the portal listens");
        let mut stream = stream.into_std().expect("it is a socket");
        stream.set_nonblocking(false).expect("it can wait");
        let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it is open");
        read_answer(&stream)
    });
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(held);
    Evidence::fired("Eight connections of eight were asked for")
        .seen("another address was answered")
}
