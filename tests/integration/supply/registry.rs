//! Packages in registries: a small one that keeps to the specification, hostile ones, and Debian's.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use goldenpath::model::Digest;
use goldenpath_tests::{Answer, Ended, Evidence, Portal, Program, Received, Server, external};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::write;
use crate::{hello, program};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Somebody with packages, and the client's command line.
struct Desk {
    folder: TempDir,
    program: Program,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for version in ["1.0.0", "1.0.1"] {
            let package = hello().with_version(version).package();
            write(&folder.path().join(format!("{version}.wasm")), package);
        }
        let program = Program::new(program(), folder.path().join("home"));
        Self { folder, program }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let arguments = [&["plugin"], arguments, &["--plain-http"]].concat();
        self.program.run_in(self.folder.path(), arguments)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        read(&self.folder.path().join(name))
    }
}

fn place(server: &Server, rest: &str) -> String {
    format!("oci://{}/{rest}", server.address())
}

/// A registry that keeps what is pushed; with a password where one is given.
struct Kept {
    password: Option<&'static str>,
    blobs: Mutex<BTreeMap<String, Vec<u8>>>,
    manifests: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Kept {
    fn start(password: Option<&'static str>) -> Server {
        let kept = Self {
            password,
            blobs: Mutex::default(),
            manifests: Mutex::default(),
        };
        Server::start(move |received| kept.answer(received))
    }

    fn answer(&self, received: &Received) -> Answer {
        let target = received.target.as_str();
        let authorization = received.header("authorization");
        if let Some(password) = self.password {
            let host = received.header("host").concat();
            if target.starts_with("/token?") {
                let body = json!({"token": "t-1"}).to_string();
                return match authorization == [password] {
                    true => Answer::new(200, body),
                    false => Answer::new(401, "who?"),
                };
            }
            if authorization != ["Bearer t-1"] {
                let challenge = format!(
                    "Bearer realm=\"http://{host}/token\",service=\"kept\",scope=\"repository:team/hello:pull,push\""
                );
                return Answer::new(401, "").with_header("www-authenticate", &challenge);
            }
        }
        let path = target.strip_prefix("/v2/team/hello").unwrap_or_default();
        let digest = path.rsplit(['/', '=']).next().unwrap_or_default();
        let mut blobs = self.blobs.lock().expect("no test panicked");
        let mut manifests = self.manifests.lock().expect("no test panicked");
        match received.method.as_str() {
            "POST" => Answer::new(202, "")
                .with_header("location", "/v2/team/hello/blobs/uploads/1?state=x"),
            "PUT" if path.starts_with("/blobs/uploads/1?state=x&digest=") => {
                blobs.insert(digest.to_owned(), received.body.clone());
                Answer::new(201, "")
            }
            "PUT" => {
                let by_digest = Digest::of(&received.body).to_string();
                manifests.insert(by_digest, received.body.clone());
                manifests.insert(digest.to_owned(), received.body.clone());
                Answer::new(201, "")
            }
            _ if path.starts_with("/manifests/") => match manifests.get(digest) {
                Some(manifest) => {
                    Answer::new(200, manifest.clone()).with_header("content-type", MANIFEST)
                }
                None => Answer::new(404, "no manifest"),
            },
            "HEAD" => Answer::new(if blobs.contains_key(digest) { 200 } else { 404 }, ""),
            _ => match blobs.get(digest) {
                Some(blob) => Answer::new(200, blob.clone()),
                None => Answer::new(404, "no blob"),
            },
        }
    }
}

#[test]
pub(crate) fn package_goes_to_a_registry_and_comes_back_and_a_moved_tag_is_seen() -> Evidence {
    let (desk, server) = (Desk::new(), Kept::start(None));
    there_and_back(&desk, &server.address().to_string());
    let manifest = server
        .received()
        .into_iter()
        .find(|of| of.method == "PUT" && of.target.contains("/manifests/"))
        .expect("a manifest was pushed");
    let manifest: Value = serde_json::from_slice(&manifest.body).expect("JSON");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    Evidence::fired("The tag was moved to another package")
        .seen("the digest brings the first one; tag with digest is refused as moved")
}

/// The way of a package, in whatever registry.
fn there_and_back(desk: &Desk, registry: &str) {
    let place = |rest: &str| format!("oci://{registry}/team/hello{rest}");
    let pushed = desk
        .run(&["push", &place(":1.0"), "1.0.0.wasm", "--json"])
        .with_code(0)
        .json();
    let pinned = pushed["pinned"].as_str().expect("a place").to_owned();
    // The same again is nothing new.
    desk.run(&["push", &place(":1.0"), "1.0.0.wasm"])
        .with_code(0);
    let pulled = desk
        .run(&["pull", &place(":1.0"), "-o", "a.wasm"])
        .with_code(0);
    assert!(pulled.stdout.contains(&pinned), "{}", pulled.stdout);
    assert_eq!(desk.read("a.wasm"), desk.read("1.0.0.wasm"));

    let taken = desk
        .run(&["push", &place(":1.0"), "1.0.1.wasm"])
        .with_code(5);
    assert!(taken.stderr.contains("--move-tag"), "{}", taken.stderr);
    desk.run(&["push", &place(":1.0"), "1.0.1.wasm", "--move-tag"])
        .with_code(0);
    desk.run(&["pull", &pinned, "-o", "b.wasm"]).with_code(0);
    assert_eq!(desk.read("b.wasm"), desk.read("1.0.0.wasm"));
    let digest = pinned.split_once('@').expect("a digest").1;
    let both = place(&format!(":1.0@{digest}"));
    let moved = desk.run(&["pull", &both, "-o", "c.wasm"]).with_code(5);
    assert!(moved.stderr.contains("was moved"), "{}", moved.stderr);
    // Without a tag it is called by its version.
    desk.run(&["push", &place(""), "1.0.1.wasm"]).with_code(0);
    desk.run(&["pull", &place(":1.0.1")]).with_code(0);
    assert_eq!(desk.read("hello-1.0.1.wasm"), desk.read("1.0.1.wasm"));
    desk.run(&["pull", &place(":9.9")]).with_code(4);
}

#[test]
fn portal_installs_from_a_registry_that_wants_a_token() {
    let (desk, server) = (Desk::new(), Kept::start(Some("Basic bWU6c2VjcmV0")));
    let place = place(&server, "team/hello");
    let stranger = desk.run(&["push", &place, "1.0.0.wasm"]).with_code(3);
    assert!(!stranger.stderr.is_empty());
    let host = server.address().to_string();
    let wrong = credential("wrong", &host);
    desk.run(&[&["push", &place, "1.0.0.wasm"], &wrong[..]].concat())
        .with_code(3);
    let right = credential("secret", &host);
    desk.run(&[&["push", &place, "1.0.0.wasm"], &right[..]].concat())
        .with_code(0);
    let portal = Portal::start(program());
    let tagged = format!("{place}:1.0.0");
    let install = ["plugin", "install", &tagged, "--approve", "--plain-http"];
    portal
        .cli(&[&install[..], &right[..]].concat())
        .with_code(0);
    let run = portal.admin().run("hello", &json!({"name": "Ada"}));
    assert_eq!(run["status"], "SUCCESS", "{run}");
}

/// Who somebody is, and at which registry.
fn credential<'a>(password: &'a str, host: &'a str) -> [&'a str; 6] {
    let (user, password_flag) = ("--registry-user", "--registry-password");
    [user, "me", password_flag, password, "--registry-host", host]
}

#[test]
fn credential_of_the_environment_goes_to_the_registry_that_it_is_for_and_to_no_other() {
    let asks =
        |_: &Received| Answer::new(401, "").with_header("www-authenticate", "Basic realm=\"x\"");
    let (own, other) = (Server::start(asks), Server::start(asks));
    let desk = Desk::new();
    let told = |server: &Server| {
        let received = server.received().into_iter();
        received
            .flat_map(|of| {
                of.header("authorization")
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    let program = desk
        .program
        .clone()
        .with("GOLDENPATH_REGISTRY_USER", "me")
        .with("GOLDENPATH_REGISTRY_PASSWORD", "secret");
    let pull = |program: &Program, server: &Server| {
        let place = place(server, "team/hello");
        program.run_in(
            desk.folder.path(),
            ["plugin", "pull", &place, "--plain-http"],
        )
    };
    let unsaid = pull(&program, &own).with_code(2);
    assert!(
        unsaid.stderr.contains("GOLDENPATH_REGISTRY_HOST"),
        "{}",
        unsaid.stderr
    );
    assert!(own.received().is_empty(), "it was not asked for anything");

    let program = program.with("GOLDENPATH_REGISTRY_HOST", own.address().to_string());
    pull(&program, &own).with_code(3);
    assert_eq!(told(&own), ["Basic bWU6c2VjcmV0"]);
    // The same machine, and another port of it.
    let stranger = pull(&program, &other).with_code(3);
    assert!(
        stranger.stderr.contains("asks who you are"),
        "{}",
        stranger.stderr
    );
    assert!(!other.received().is_empty());
    assert!(told(&other).is_empty(), "{:?}", told(&other));
}

#[test]
fn password_goes_to_the_host_of_tokens_by_its_port_too() {
    let tokens = Server::start(|_| Answer::new(401, "who?"));
    let realm = format!("Bearer realm=\"http://{}/token\"", tokens.address());
    let server =
        Server::start(move |_| Answer::new(401, "").with_header("www-authenticate", &realm));
    let desk = Desk::new();
    let (host, place) = (server.address().to_string(), place(&server, "team/hello"));
    let who = credential("secret", &host);
    let pull = |of: &str| {
        desk.run(&[&["pull", &place, "--token-host", of], &who[..]].concat())
            .with_code(3)
    };
    let whole = tokens.address().to_string();
    let hint = pull("127.0.0.1");
    let part = format!("--token-host {whole}");
    assert!(hint.stderr.contains(&part), "{}", hint.stderr);
    assert!(tokens.received().is_empty());
    pull(&whole);
    let received = tokens.received();
    assert_eq!(received.len(), 1);
    assert!(
        received
            .iter()
            .all(|of| of.header("authorization") == ["Basic bWU6c2VjcmV0"])
    );
}

/// A manifest with layers of one's own.
fn manifest(layers: &Value) -> Answer {
    let config = json!({"mediaType": "application/vnd.wasm.config.v0+json", "digest": Digest::of(b"{}").to_string(), "size": 2});
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
    Answer::new(200, manifest.to_string()).with_header("content-type", MANIFEST)
}

fn layer(content: &[u8]) -> Value {
    json!({"mediaType": "application/wasm", "digest": Digest::of(content).to_string(), "size": content.len()})
}

/// What one hostile repository answers; its name says what is wrong with it.
fn hostile(received: &Received) -> Answer {
    let path = received.target.strip_prefix("/v2/").unwrap_or_default();
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    let is_manifest = rest.starts_with("manifests/");
    let package: &[u8] = b"the package";
    let of = |layers: Value| match is_manifest {
        true => manifest(&layers),
        false => Answer::new(200, package),
    };
    match (name, is_manifest) {
        ("two-layers", _) => of(json!([layer(package), layer(package)])),
        ("claims-too-much", _) => {
            let mut large = layer(package);
            large["size"] = json!(33 << 20);
            of(json!([large]))
        }
        ("sends-more", false) => Answer::new(200, vec![b'x'; package.len() + 1]),
        ("sends-other", false) => Answer::new(200, "the pAckage"),
        ("no-package", _) => of(json!([layer(package)])),
        ("goes-in-circles", false) => {
            Answer::new(307, "").with_header("location", &received.target)
        }
        ("goes-to-metadata", false) => {
            Answer::new(307, "").with_header("location", "http://169.254.169.254/latest")
        }
        ("goes-to-metadata-by-tls", false) => {
            Answer::new(307, "").with_header("location", "https://0xa9fea9fe/latest")
        }
        ("goes-elsewhere", false) => {
            let url = format!("http://127.0.0.2:{}/blob", port(received));
            Answer::new(307, "").with_header("location", &url)
        }
        ("huge-manifest", true) => {
            Answer::new(200, vec![b' '; (64 << 10) + 1]).with_header("content-type", MANIFEST)
        }
        ("index", true) => {
            let kind = "application/vnd.oci.image.index.v1+json";
            Answer::new(200, "{}").with_header("content-type", kind)
        }
        ("wants-it-in-clear-text", _) => Answer::new(401, "").with_header(
            "www-authenticate",
            "Bearer realm=\"http://tokens.example/token\"",
        ),
        ("wants-another-password", _) => Answer::new(403, "not you"),
        ("wants-the-password", _) => Answer::new(401, "").with_header(
            "www-authenticate",
            &format!("Bearer realm=\"http://127.0.0.2:{}/token\"", port(received)),
        ),
        (
            "sends-more"
            | "sends-other"
            | "goes-in-circles"
            | "goes-to-metadata"
            | "goes-to-metadata-by-tls"
            | "goes-elsewhere",
            true,
        ) => manifest(&json!([layer(package)])),
        _ => Answer::new(404, ""),
    }
}

fn port(received: &Received) -> String {
    let host = received.header("host").concat();
    host.rsplit(':').next().unwrap_or_default().to_owned()
}

#[test]
pub(crate) fn hostile_registry_is_refused_by_what_is_wrong_with_it() -> Evidence {
    let (desk, server) = (Desk::new(), Server::start(hostile));
    let host = server.address().to_string();
    let credential = credential("secret", &host);
    for (name, code, part) in [
        ("two-layers", 1, "2 layers"),
        ("claims-too-much", 1, "at most 33554432"),
        ("sends-more", 1, "more than 11 bytes"),
        ("sends-other", 1, "not the one of the manifest"),
        ("no-package", 1, "file is text"),
        ("goes-in-circles", 1, "more than 3 times"),
        ("goes-to-metadata", 1, "clear text"),
        ("goes-to-metadata-by-tls", 1, "bare address 0xa9fea9fe"),
        ("goes-elsewhere", 1, "bare address 127.0.0.2"),
        ("huge-manifest", 1, "more than 65536 bytes"),
        ("index", 1, "image.index.v1+json"),
        ("wants-the-password", 3, "--token-host 127.0.0.2"),
        ("wants-it-in-clear-text", 1, "clear text"),
        ("wants-another-password", 3, "answered 403"),
        ("has-moved", 4, "is not there"),
    ] {
        let place = place(&server, name);
        let ended = desk.run(&[&["pull", &place, "-o", "x.wasm"], &credential[..]].concat());
        assert_eq!(ended.code, code, "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(part), "{name}: {}", ended.stderr);
        assert!(!desk.folder.path().join("x.wasm").exists(), "{name}");
    }
    // By its digest nothing else is taken either.
    let pinned = format!("{}@{}", place(&server, "no-package"), Digest::of(b"wanted"));
    let other = desk.run(&["pull", &pinned]).with_code(1);
    assert!(
        other.stderr.contains("the manifest that it sent is"),
        "{}",
        other.stderr
    );
    // The password went nowhere: nobody asked for it in a way that it may be told.
    let told = server.received();
    assert!(told.iter().all(|of| of.header("authorization").is_empty()));
    Evidence::fired(
        "Eleven repositories lied: layers, sizes, bytes, digests, indexes, redirects, challenges",
    )
    .seen("each refused by what is wrong")
    .seen("no file written, no password told")
}

#[test]
fn nobody_is_asked_for_a_token_at_an_address_that_nobody_named() {
    let inside = Server::start(|_| Answer::new(200, json!({"token": "t"}).to_string()));
    let port = inside.address().port();
    let registry = |host: &str| {
        let realm = format!("Bearer realm=\"http://{host}:{port}/token\"");
        Server::start(move |_| Answer::new(401, "").with_header("www-authenticate", &realm))
    };
    let desk = Desk::new();
    for host in ["127.0.0.1", "localhost"] {
        let server = registry(host);
        let place = place(&server, "team/hello");
        let refused = desk.run(&["pull", &place]).with_code(1);
        assert!(
            refused.stderr.contains("bare address"),
            "{}",
            refused.stderr
        );
    }
    assert!(inside.received().is_empty());
    // Where the operator named it, it is asked.
    let server = registry("127.0.0.1");
    let named = inside.address().to_string();
    desk.run(&[
        "pull",
        &place(&server, "team/hello"),
        "--token-host",
        &named,
    ])
    .with_code(3);
    assert_eq!(inside.received().len(), 1);
}

#[test]
fn nothing_goes_to_another_machine_in_clear_text() {
    let desk = Desk::new();
    let ended = desk
        .run(&["pull", "oci://registry.example/team/hello"])
        .with_code(2);
    assert!(ended.stderr.contains("clear text"), "{}", ended.stderr);
}

/// Debian's registry; it ends when this is dropped.
struct Debian {
    process: Child,
    storage: TempDir,
    address: String,
}

impl Debian {
    #[expect(
        clippy::disallowed_methods,
        reason = "the program of somebody else, which `.ci/run` gets"
    )]
    fn start() -> Self {
        let storage = tempfile::tempdir().expect("a folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        drop(listener);
        let config = storage.path().join("config.yml");
        let root = storage.path().join("data");
        write(
            &config,
            format!(
                "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
                root.display()
            ),
        );
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is there; `.ci/run` gets it");
        let debian = Self {
            process,
            storage,
            address,
        };
        while std::net::TcpStream::connect(&debian.address).is_err() {
            std::thread::yield_now();
        }
        debian
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn debians_registry_keeps_packages_and_what_is_changed_in_it_is_refused() {
    if !external("debians_registry_keeps_packages…: needs docker-registry") {
        return;
    }
    let (desk, debian) = (Desk::new(), Debian::start());
    there_and_back(&desk, &debian.address);
    // Somebody with access to its disk changes one byte.
    let package = desk.read("1.0.1.wasm");
    let hex = Digest::of(&package).hex();
    let blobs = debian
        .storage
        .path()
        .join("data/docker/registry/v2/blobs/sha256");
    let file = blobs.join(&hex[..2]).join(&hex).join("data");
    let mut changed = read(&file);
    assert_eq!(changed, package, "the layer is the package as it is");
    *changed.last_mut().expect("bytes") ^= 1;
    write(&file, changed);
    let place = format!("oci://{}/team/hello:1.0", debian.address);
    let pulled = desk.run(&["pull", &place, "-o", "d.wasm"]).with_code(1);
    assert!(
        pulled.stderr.contains("not the one of the manifest"),
        "{}",
        pulled.stderr
    );
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).expect("a file")
}
