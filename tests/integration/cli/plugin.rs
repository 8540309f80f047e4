//! `goldenpath plugin …`, from a name to a run.

use goldenpath_tests::{Portal, Program, external};
use serde_json::json;

use super::write;
use crate::{guest_target, hello, program};

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

#[test]
fn a_new_plugin_builds_tests_installs_and_runs_as_it_is() {
    if !external(
        "a_new_plugin_builds_tests_installs_and_runs_as_it_is: fetches crates, compiles for minutes",
    ) {
        return;
    }
    let portal = Portal::start(program());
    let target = guest_target().join("greeter");
    let cli =
        Program::new(program(), portal.folder().join("home")).with("CARGO_TARGET_DIR", &target);
    cli.run_in(portal.folder(), ["plugin", "new", "greeter"])
        .with_code(0);
    let greeter = portal.folder().join("greeter");
    assert!(cargo_test(&greeter, &target), "its own tests pass");
    cli.run_in(&greeter, ["plugin", "build", "-o", "greeter.wasm"])
        .with_code(0);
    cli.run_in(&greeter, ["plugin", "inspect", "greeter.wasm"])
        .with_code(0);
    portal
        .cli(&["plugin", "install", "greeter/greeter.wasm", "--approve"])
        .with_code(0);
    let run = portal.admin().run("greeter", &json!({"name": "Ada"}));
    assert_eq!(run["status"], "SUCCESS", "{run}");
}

#[expect(clippy::disallowed_methods, reason = "the new project's own tests")]
fn cargo_test(folder: &std::path::Path, target: &std::path::Path) -> bool {
    std::process::Command::new(env!("CARGO"))
        .arg("test")
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .status()
        .expect("cargo runs")
        .success()
}
