//! `goldenpath plugin …`, from a name to a run.

use std::path::{Path, PathBuf};

use goldenpath::model::{Sbom, SbomComponent, SbomOrigin, SbomScope, SbomTool};
use goldenpath_tests::{Answer, Portal, Program, Server};
use serde_json::json;

use super::write;
use crate::sdk::user_of_the_sdk;
use crate::{hello, program};

#[test]
fn inspect_shows_all_that_a_reviewer_needs_from_the_file_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hello.wasm");
    write(&file, hello().package());
    let shown = Program::new(program(), folder.path())
        .run([
            "plugin",
            "inspect",
            "--json",
            file.to_str().expect("a path in UTF-8"),
        ])
        .with_code(0)
        .stdout;
    for part in ["hello", "1.0.0", "sha256", "inputSchema", "wasi:"] {
        assert!(shown.contains(part), "`{part}`: {shown}");
    }
}

#[test]
fn what_a_package_was_built_from_is_inspected_compared_and_shown_to_reviewers() {
    let portal = Portal::start(program());
    for (version, library) in [("1.0.0", "2.1.0"), ("1.0.1", "2.1.1")] {
        let package = hello().with_version(version).package();
        let package = goldenpath::plugin::embed_sbom(&package, &sbom(library)).expect("a package");
        write(&portal.folder().join(format!("{version}.wasm")), package);
    }
    let inspected = portal
        .cli(&["plugin", "inspect", "1.0.0.wasm"])
        .with_code(0);
    let line = "made of    1 dependency; built by rustc 1.95.0";
    assert!(inspected.stdout.contains(line), "{}", inspected.stdout);
    let compared = portal
        .cli(&["plugin", "diff", "1.0.0.wasm", "1.0.1.wasm"])
        .with_code(1);
    let line = "~ dependency left-pad: 2.1.0 -> 2.1.1";
    assert!(compared.stdout.contains(line), "{}", compared.stdout);
    portal
        .cli(&["plugin", "install", "1.0.0.wasm"])
        .with_code(0);
    let report = portal
        .admin()
        .get("/v1/plugins/hello/versions/1.0.0/capabilities")
        .json();
    let part = &report["sbom"]["components"][0];
    assert_eq!(
        (&part["name"], &part["license"]),
        (&json!("left-pad"), &json!("MIT")),
        "{report}"
    );
    let approved = portal
        .cli(&["plugin", "approve", "hello", "1.0.0", "--yes"])
        .with_code(0);
    let line = "made of 1 dependency; built by rustc 1.95.0";
    assert!(approved.stdout.contains(line), "{}", approved.stdout);
}

fn sbom(version: &str) -> Sbom {
    Sbom {
        tools: vec![SbomTool {
            name: "rustc".to_owned(),
            version: "1.95.0".to_owned(),
        }],
        components: vec![SbomComponent {
            name: "left-pad".to_owned(),
            version: version.to_owned(),
            purl: None,
            license: Some("MIT".to_owned()),
            checksum: None,
            origin: Some(SbomOrigin::Registry),
            scope: SbomScope::Required,
        }],
    }
}

#[test]
fn inspect_shows_how_the_host_attaches_a_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("talker.wasm");
    let secret = r#"secret = { name = "token", header = "x-token", format = "Key {}" }"#;
    let manifest = TALKS.replace("methods", &format!("{secret}\nmethods"));
    let guest = user_of_the_sdk("talker")
        .with_manifest(&manifest)
        .with_action("sends");
    write(&file, guest.package());
    let file = file.to_str().expect("a path in UTF-8");
    let cli = Program::new(program(), folder.path());
    let shown = cli.run(["plugin", "inspect", file]).with_code(0).stdout;
    let line = "token goes into header `x-token` as `Key {}`";
    assert!(shown.contains(line), "{shown}");
    let json = cli
        .run(["plugin", "inspect", "--json", file])
        .with_code(0)
        .json();
    let attached = json!({"header": "x-token", "format": "Key {}", "read": false, "stored": null});
    assert_eq!(json["secrets"]["token"], attached, "{json}");
}

#[test]
fn inspect_says_what_is_wrong_with_a_file_that_is_no_package() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("no.wasm");
    for (bytes, part) in [
        (&b"text"[..], "component"),
        (&b"\0asm\x01\0\0\0"[..], "core WebAssembly module"),
    ] {
        write(&file, bytes);
        let file = file.to_str().expect("a path in UTF-8");
        let ended = Program::new(program(), folder.path()).run(["plugin", "inspect", file]);
        assert_ne!(ended.code, 0);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn install_with_approve_prints_the_lines_and_the_plugin_runs() {
    let portal = Portal::start(program());
    write(&portal.folder().join("hello.wasm"), hello().package());
    portal
        .cli(&["plugin", "install", "hello.wasm", "--approve"])
        .with_code(0);
    let run = portal
        .cli(&["run", "hello", "--input", "name=Ada", "--follow"])
        .with_code(0);
    assert!(run.stdout.contains("greets Ada"), "{}", run.stdout);
}

/// A new plugin's folder, made by the program itself.
fn new_plugin(cli: &Program, folder: &Path) -> PathBuf {
    cli.run_in(folder, ["plugin", "new", "greeter"])
        .with_code(0);
    folder.join("greeter")
}

#[test]
fn what_cannot_be_packaged_is_told_before_anything_is_compiled() {
    let folder = tempfile::tempdir().expect("a folder");
    // A cargo that compiles nothing: whatever is told is told without it.
    let cli = Program::new(program(), folder.path().join("home")).with("CARGO", "false");
    let greeter = new_plugin(&cli, folder.path());
    let manifest = greeter.join("plugin.toml");
    let text = read(&manifest);
    for (changed, parts) in [
        (
            text.replace("[limits]", "[limits]\nluck = 7"),
            ["`luck`", "line 24"],
        ),
        (
            text.replace("[limits]", "[limits]\nmemory = \"1MiB\""),
            ["`memory`", "line 27"],
        ),
        (
            text.replace(
                "[limits]",
                "[capabilities.teleport]\nreason = \"be away\"\n[limits]",
            ),
            ["`teleport`", "line 23"],
        ),
    ] {
        write(&manifest, changed);
        let ended = cli.run_in(&greeter, ["plugin", "build"]).with_code(1);
        for part in parts.iter().chain(&["plugin.toml"]) {
            assert!(ended.stderr.contains(part), "`{part}`: {}", ended.stderr);
        }
    }
    write(&manifest, text);
    write(
        &greeter.join("actions/greeter.json"),
        "{\u{201c}identifier\u{201d}: 1}",
    );
    let ended = cli.run_in(&greeter, ["plugin", "build"]).with_code(1);
    for part in ["actions/greeter.json", "line 1, column 2", "U+201C"] {
        assert!(ended.stderr.contains(part), "`{part}`: {}", ended.stderr);
    }
}

#[test]
fn an_endpoint_inside_is_bound_by_command_and_only_with_both_words() {
    let portal = Portal::start_with(program(), &["--egress-allow-private"]);
    let server = Server::start(|_| Answer::new(200, "inside"));
    let guest = user_of_the_sdk("talker")
        .with_manifest(TALKS)
        .with_action("sends");
    write(&portal.folder().join("talker.wasm"), guest.package());
    portal
        .cli(&["plugin", "install", "talker.wasm"])
        .with_code(0);
    let bind = format!("api={}", server.url());
    let approve = |more: &[&str]| {
        let first = ["plugin", "approve", "talker", "1.0.0", "--yes"];
        portal.cli(&[&first, more].concat())
    };
    let unbound = approve(&["--private", "api"]).with_code(2);
    assert!(
        unbound.stderr.contains("--bind api=URL"),
        "{}",
        unbound.stderr
    );
    let refused = approve(&["--bind", &bind]).with_code(1);
    assert!(
        refused.stderr.contains("allowPlaintext"),
        "{}",
        refused.stderr
    );
    let waiting = portal.cli(&["plugin", "show", "talker"]).with_code(0);
    for part in [
        "talker 1.0.0  pending",
        "http GET api /    # to talk",
        "api → nowhere yet",
        "plugin approve talker 1.0.0 --digest sha256:",
        "--bind api=URL",
    ] {
        assert!(
            waiting.stdout.contains(part),
            "`{part}`: {}",
            waiting.stdout
        );
    }
    approve(&["--bind", &bind, "--plaintext", "api", "--private", "api"]).with_code(0);
    let shown = portal.cli(&["plugin", "show", "talker"]).with_code(0);
    let (line, place) = (
        format!("http GET {}/ allow-private", server.url()),
        format!("api → {} allow-plaintext allow-private", server.url()),
    );
    for part in ["talker 1.0.0  active", &line, &place] {
        assert!(shown.stdout.contains(part), "`{part}`: {}", shown.stdout);
    }
    portal
        .cli(&["plugin", "show", "talker", "9.9.9"])
        .with_code(4);
    let input = json!({"method": "GET", "url": server.url()});
    let run = portal.admin().run("sends", &input);
    assert_eq!(run["output"]["body"], "inside", "{run}");
}

const TALKS: &str = r#"
[capabilities.state]
reason = "imported, never called"
[endpoints.api]
reason = "to talk"
[[capabilities.http]]
endpoint = "api"
methods = ["GET"]
paths = ["/"]
reason = "to talk"
"#;

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("a file")
}
