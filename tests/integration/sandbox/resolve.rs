//! Names that lead somewhere else than a grant says, told by a DNS server that lies. What would be dialled is seen at
//! the proxy; nothing is.

use std::net::IpAddr;
use std::path::PathBuf;

use goldenpath_tests::{
    Answer, Asked, Evidence, Portal, Program, Proxy, Resolver, Said, Server, TlsServer,
};
use serde_json::{Value, json};

use super::egress::{MANIFEST, assert_denied};
use crate::sdk::user_of_the_sdk;
use crate::{program, tls_fixture};

/// Anybody's addresses, none of which is ever dialled.
const PUBLIC: &str = "93.184.216.34";
const PUBLIC_V6: &str = "2606:2800:220:1::1";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn all(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

/// What the server says of a name, by its first label.
fn say(asked: &Asked) -> Said {
    let public = || vec![ip(PUBLIC)];
    match asked.name.split('.').next().unwrap_or_default() {
        "public" => Said::Addresses(all(&[PUBLIC, PUBLIC_V6])),
        "gateway" => Said::Addresses(all(&["64:ff9b::5db8:d822"])),
        "alias" => Said::Alias("elsewhere.example", public()),
        "cut" => Said::Cut(public()),
        "forged" => Said::Forged(all(&["127.0.0.1"]), public()),
        "turns" if asked.before == 0 => Said::Addresses(public()),
        "turns" => Said::Addresses(all(&["127.0.0.1"])),
        "mixed" => Said::Addresses(all(&[PUBLIC, "10.0.0.1"])),
        "mixed-kinds" => Said::Addresses(all(&[PUBLIC, "fd00::1"])),
        "alias-inside" => Said::Alias("inside.example", all(&["192.168.1.1"])),
        "cut-inside" => Said::Cut(all(&["172.16.0.1"])),
        "loopback" => Said::Addresses(all(&["127.0.0.1"])),
        "loopback-v6" => Said::Addresses(all(&["::1"])),
        "mapped" => Said::Addresses(all(&["::ffff:10.0.0.1"])),
        "padded" => Said::Addresses(all(&["::10.0.0.1"])),
        "translated" => Said::Addresses(all(&["::ffff:0:10.0.0.1"])),
        "nat64" => Said::Addresses(all(&["64:ff9b::a00:1"])),
        "isatap" => Said::Addresses(all(&["2606:2800::5efe:a00:1"])),
        "link-local" => Said::Addresses(all(&["fe80::1"])),
        "carrier" => Said::Addresses(all(&["100.64.0.1"])),
        "nobody" => Said::Addresses(all(&["0.0.0.0"])),
        "metadata" => Said::Addresses(all(&["169.254.169.254"])),
        "metadata-v6" => Said::Addresses(all(&["fd00:ec2::254"])),
        "metadata-nat64" => Said::Addresses(all(&["64:ff9b::a9fe:a9fe"])),
        "tunnel" => Said::Addresses(all(&["2002:a00:1::"])),
        "teredo" => Said::Addresses(all(&["2001::1"])),
        "local-nat64" => Said::Addresses(all(&["64:ff9b:1::a00:1"])),
        "many" => Said::Cut(vec![ip(PUBLIC); 2_000]),
        "garbage" => Said::Garbage,
        "refused" => Said::Code(5),
        "silent" => Said::Silence,
        _ => Said::Code(3),
    }
}

/// Refused unless reviewer and host both allow inside addresses.
const INSIDE: &[&str] = &[
    "alias-inside",
    "carrier",
    "cut-inside",
    "isatap",
    "link-local",
    "loopback",
    "loopback-v6",
    "mapped",
    "mixed",
    "mixed-kinds",
    "nat64",
    "padded",
    "translated",
];

/// Refused whatever anybody allows.
const NEVER: &[&str] = &[
    "local-nat64",
    "metadata",
    "metadata-nat64",
    "metadata-v6",
    "nobody",
    "teredo",
    "tunnel",
];

/// No answers.
const BROKEN: &[&str] = &["garbage", "many", "refused", "unknown"];

/// Addresses of anybody.
const OUTSIDE: &[&str] = &["alias", "cut", "forged", "gateway", "public", "turns"];

fn url(label: &str) -> String {
    format!("http://{label}.example.com")
}

/// A portal whose plugins ask one server, and leave through one proxy.
struct Place {
    portal: Portal,
    resolver: Resolver,
    proxy: Proxy,
    server: Server,
}

impl Place {
    fn new(more: &[&str]) -> Self {
        let server = Server::start(|_| Answer::new(200, "arrived"));
        let (resolver, proxy) = (Resolver::start(say), Proxy::start(server.address()));
        let asks = resolver.address().to_string();
        let leaves = proxy.address().to_string();
        let own = ["--egress-resolver", &asks, "--egress-proxy", &leaves];
        let portal = Portal::start_with(program(), &[&own, more].concat());
        let mut guest = user_of_the_sdk("talker")
            .with_manifest("[capabilities.state]\nreason = \"imported, never called\"")
            .with_action("sends");
        let mut bindings = json!({});
        // An endpoint has sixteen URLs at most.
        for (endpoint, labels) in [
            ("inside", INSIDE),
            ("never", NEVER),
            ("outside", &[OUTSIDE, BROKEN, &["silent"]].concat()),
        ] {
            guest = guest.with_manifest(&format!(
                "[endpoints.{endpoint}]\nreason = \"to be sent elsewhere\"\n[[capabilities.http]]\n\
                 endpoint = \"{endpoint}\"\nmethods = [\"GET\"]\npaths = [\"/**\"]\nreason = \"the same\""
            ));
            let urls: Vec<String> = labels.iter().map(|label| url(label)).collect();
            bindings[endpoint] =
                json!({"urls": urls, "allowPrivate": true, "allowPlaintext": true});
        }
        portal.install_bound(&guest, &bindings);
        Self {
            portal,
            resolver,
            proxy,
            server,
        }
    }

    fn send(&self, label: &str, patience: u32) -> Value {
        let input = json!({"method": "GET", "url": url(label), "patience": patience});
        let run = self.portal.admin().run("sends", &input);
        assert_eq!(run["status"], "SUCCESS", "{run}");
        run["output"].clone()
    }

    /// How often a name was asked for: the attack took place.
    #[track_caller]
    fn assert_asked(&self, label: &str) {
        let name = format!("{label}.example.com");
        assert!(
            !self.resolver.asked(&name).is_empty(),
            "{name} was asked for"
        );
    }
}

#[test]
pub(crate) fn a_name_that_turns_inside_is_asked_for_once_by_each_request_and_refused_from_then_on()
-> Evidence {
    let place = Place::new(&[]);
    let first = place.send("turns", 5_000);
    assert_eq!(first["body"], "arrived", "{first}");
    // Once for each kind of address: what was checked is what was dialled.
    assert_eq!(place.resolver.asked("turns.example.com").len(), 2);
    assert_eq!(
        place.proxy.asked(),
        [format!("CONNECT {PUBLIC}:80 HTTP/1.1")]
    );
    assert_denied(
        &place.portal,
        &url("turns"),
        "inside address",
        "allowPrivate",
    );
    assert_eq!(place.resolver.asked("turns.example.com").len(), 4);
    assert_eq!(place.proxy.asked().len(), 1);
    assert_eq!(place.server.received().len(), 1);
    Evidence::fired("The second answer was inside")
        .seen("the address of the first was dialled, once")
        .seen("then `denied` and audited")
}

#[test]
pub(crate) fn an_answer_with_an_inside_address_in_any_spelling_is_refused_whole() -> Evidence {
    let place = Place::new(&[]);
    for label in INSIDE {
        assert_denied(&place.portal, &url(label), "inside address", "allowPrivate");
        place.assert_asked(label);
    }
    for label in NEVER {
        let what = "no plugin may reach";
        assert_denied(&place.portal, &url(label), what, "no grant can allow");
        place.assert_asked(label);
    }
    assert!(place.proxy.asked().is_empty(), "{:?}", place.proxy.asked());
    // Addresses of anybody are dialled as they were answered.
    for (label, address) in [
        ("public", format!("{PUBLIC}:80")),
        ("alias", format!("{PUBLIC}:80")),
        ("gateway", "[64:ff9b::5db8:d822]:80".to_owned()),
        ("cut", format!("{PUBLIC}:80")),
        ("forged", format!("{PUBLIC}:80")),
    ] {
        let got = place.send(label, 5_000);
        assert_eq!(got["body"], "arrived", "{label}: {got}");
        let asked = place.proxy.asked();
        let line = format!("CONNECT {address} HTTP/1.1");
        assert_eq!(asked.last(), Some(&line), "{label}");
    }
    let last = place.server.received();
    let hosts = last.iter().flat_map(|received| received.header("host"));
    assert!(hosts.eq(
        ["public", "alias", "gateway", "cut", "forged"].map(|label| format!("{label}.example.com"))
    ));
    Evidence::fired("Twenty names were asked for")
        .seen("each `denied` and audited, none dialled")
        .seen("five names with addresses of anybody were reached")
}

#[test]
pub(crate) fn metadata_stays_out_of_reach_where_reviewer_and_host_allow_inside_addresses()
-> Evidence {
    let place = Place::new(&["--egress-allow-private"]);
    for label in NEVER {
        let what = "no plugin may reach";
        assert_denied(&place.portal, &url(label), what, "no grant can allow");
        place.assert_asked(label);
    }
    assert!(place.proxy.asked().is_empty(), "{:?}", place.proxy.asked());
    assert_eq!(place.send("mapped", 5_000)["body"], "arrived");
    Evidence::fired("Seven names were asked for").seen("each `denied` and audited, none dialled")
}

#[test]
pub(crate) fn what_is_no_answer_is_an_error_and_silence_is_waited_for_as_long_as_the_guest_wants()
-> Evidence {
    let place = Place::new(&[]);
    for label in BROKEN {
        let got = place.send(label, 5_000);
        assert_eq!(got["error"], "connect", "{label}: {got}");
        place.assert_asked(label);
    }
    let silent = place.send("silent", 200);
    assert_eq!(silent["error"], "timeout", "{silent}");
    place.assert_asked("silent");
    assert!(place.proxy.asked().is_empty(), "{:?}", place.proxy.asked());
    Evidence::fired("Five names were asked for")
        .seen("`connect`, and `timeout` for silence, none dialled")
}

#[test]
pub(crate) fn a_proxy_that_only_the_environment_names_is_not_used() -> Evidence {
    let server = Server::start(|_| Answer::new(200, "arrived"));
    let proxy = Proxy::start(server.address());
    let named = format!("http://{}", proxy.address());
    let variables = [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
    ]
    .map(|name| (name, named.as_str()));
    let portal = Portal::start_among(program(), &["--egress-allow-private"], &variables);
    let guest = user_of_the_sdk("talker")
        .with_manifest(MANIFEST)
        .with_action("sends");
    let bindings = json!({"api": {
        "urls": [server.url()], "allowPrivate": true, "allowPlaintext": true,
    }});
    portal.install_bound(&guest, &bindings);
    let input = json!({"method": "GET", "url": format!("{}/", server.url())});
    let run = portal.admin().run("sends", &input);
    assert_eq!(run["output"]["body"], "arrived", "{run}");
    assert!(proxy.asked().is_empty(), "{:?}", proxy.asked());
    assert_eq!(server.received().len(), 1);
    Evidence::fired("Five variables named a proxy")
        .seen("the server was reached, the proxy was not")
}

#[test]
pub(crate) fn a_configured_authority_is_trusted_for_the_names_and_the_time_that_it_vouches_for()
-> Evidence {
    let file = |name: &str| PathBuf::from(tls_fixture(name));
    let servers = [
        "egress-chain.pem",
        "egress-other-name.pem",
        "egress-expired.pem",
    ]
    .map(|chain| TlsServer::start(&file(chain), &file("egress-key.pem")));
    let urls = servers.each_ref().map(TlsServer::url);
    let flags = ["--egress-allow-private"];
    let authority = tls_fixture("egress-authority.pem");
    let trusting = [&flags[..], &["--egress-ca-file", &authority]].concat();
    let send = |portal: &Portal, url: &str| {
        let input = json!({"method": "GET", "url": format!("{url}/")});
        portal.admin().run("sends", &input)["output"].clone()
    };
    let start = |flags: &[&str]| {
        let portal = Portal::start_with(program(), flags);
        let guest = user_of_the_sdk("talker")
            .with_manifest(MANIFEST)
            .with_action("sends");
        portal.install_bound(
            &guest,
            &json!({"api": {"urls": urls, "allowPrivate": true}}),
        );
        portal
    };
    let portal = start(&trusting);
    let trusted = send(&portal, &urls[0]);
    assert_eq!(trusted["body"], "arrived", "{trusted}");
    let stranger = start(&flags);
    let refused = [
        send(&portal, &urls[1]),
        send(&portal, &urls[2]),
        send(&stranger, &urls[0]),
    ];
    for got in refused {
        assert_eq!(got["error"], "connect", "{got}");
        let message = got["message"].as_str().expect("a text");
        assert!(message.contains("TLS"), "{message}");
    }
    // All were tried, and one request came through.
    assert!(servers.iter().all(|server| server.tried() > 0));
    let received: usize = servers.iter().map(TlsServer::received).sum();
    assert_eq!(received, 1);
    Evidence::fired("All servers were connected to")
        .seen("one request came through")
        .seen("`connect` for another name, an expired certificate and an unknown authority")
}

#[test]
fn a_file_of_authorities_without_any_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let program = Program::new(program(), folder.path().join("home"));
    for (file, why) in [
        (tls_fixture("key.pem"), "no certificate"),
        (tls_fixture("missing.pem"), "missing.pem"),
    ] {
        let ended = program.run([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            data.to_str().expect("a path in UTF-8"),
            "--egress-ca-file",
            &file,
        ]);
        assert_ne!(ended.code, 0, "{}", ended.stderr);
        assert!(ended.stderr.contains("egress-ca-file"), "{}", ended.stderr);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
}
