//! What the SDK and `plugin build` promise to authors.

pub(crate) mod http;
pub(crate) mod state;

use std::path::Path;

use goldenpath_tests::{Guest, Program, component, external, guests_dir, plugins_dir};

use crate::{guest_target, plugin_component, program};

/// What `hello` may weigh: the SDK's share of every plugin.
const HELLO_BYTES: usize = 180 * 1024;

/// The guest that uses what the SDK wraps, without its manifest's lines.
pub(crate) fn user_of_the_sdk(name: &str) -> Guest {
    let component = component(&guest_target(), &guests_dir(), Some("uses_the_sdk"));
    let description = Guest::describe(&component);
    Guest::new(name, component, &description)
}

#[test]
fn hello_is_twenty_lines_and_small() {
    let source = include_str!("../../../plugins/hello/src/lib.rs");
    let lines = source
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count();
    assert!(lines <= 20, "{lines} lines");
    let bytes = plugin_component("hello").len();
    assert!(bytes <= HELLO_BYTES, "{bytes} bytes");
}

#[test]
fn the_same_source_in_two_folders_has_the_same_digest() {
    if !external("the_same_source_in_two_folders_has_the_same_digest: compiles for minutes") {
        return;
    }
    let first = tempfile::tempdir().expect("a folder");
    let second = tempfile::tempdir().expect("a folder");
    let nested = second.path().join("deeper");
    let builds: Vec<(String, String)> = [first.path(), nested.as_path()]
        .into_iter()
        .enumerate()
        .map(|(number, folder)| {
            copy(&plugins_dir().join(".."), folder);
            let program = Program::new(program(), folder.join("home")).with(
                "CARGO_TARGET_DIR",
                guest_target().join(format!("digest-{number}")),
            );
            let built = program
                .run_in(&folder.join("plugins/hello"), ["plugin", "build", "--json"])
                .with_code(0)
                .json();
            let member = |name: &str| built[name].as_str().expect("a text").to_owned();
            (member("digest"), member("file"))
        })
        .collect();
    assert_eq!(builds[0].0, builds[1].0);
    // What it was built from is told, without where that was.
    let inspected = Program::new(program(), first.path())
        .run(["plugin", "inspect", "--json", builds[0].1.as_str()])
        .with_code(0)
        .json();
    let sbom = &inspected["sbom"];
    let find = |name: &str| {
        let components = sbom["components"].as_array().expect("a list");
        let found = components.iter().find(|part| part["name"] == name);
        found.unwrap_or_else(|| panic!("`{name}`: {sbom}")).clone()
    };
    let sdk = find("goldenpath-sdk");
    assert_eq!(
        (&sdk["scope"], &sdk["origin"]),
        (&"required".into(), &"path".into())
    );
    let json = find("serde_json");
    assert_eq!(
        (&json["scope"], &json["origin"]),
        (&"required".into(), &"registry".into())
    );
    assert_eq!(json["license"], "MIT OR Apache-2.0");
    assert_eq!(json["checksum"].as_str().map(str::len), Some(64));
    assert_eq!(find("goldenpath-sdk-macros")["scope"], "excluded");
    assert_eq!(sbom["tools"][1]["name"], "rustc");
    let folder = first.path().to_str().expect("a path in UTF-8");
    assert!(!sbom.to_string().contains(folder), "{sbom}");
}

/// Copies what git tracks, as a clone would be.
#[expect(
    clippy::disallowed_methods,
    reason = "git knows which files belong to the project"
)]
fn copy(root: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    let prefix = format!("--prefix={}/", to.display());
    let status = std::process::Command::new("git")
        .current_dir(root)
        .args(["checkout-index", "--all", &prefix])
        .status()
        .expect("git runs");
    assert!(status.success(), "git copies the project");
}
