//! The README's commands, word for word, as somebody types them who has just read it.

use std::path::Path;
use std::process::{Command, Stdio};

use goldenpath_tests::{Portal, external};

use crate::{guest_target, program};

const README: &str = include_str!("../../README.md");

/// The shell commands of the README, block by block.
fn blocks() -> Vec<&'static str> {
    let fenced = README.split("```sh\n").skip(1);
    fenced
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect()
}

/// The one block that has a line which begins so.
#[track_caller]
fn block(beginning: &str) -> &'static str {
    let begins = |block: &&str| block.lines().any(|line| line.starts_with(beginning));
    let mut found = blocks().into_iter().filter(begins);
    match (found.next(), found.next()) {
        (Some(block), None) => block,
        _ => panic!("one block of the README has a line `{beginning}…`"),
    }
}

/// A demo that serves from a clone, as far as the commands can tell.
struct Reader {
    portal: Portal,
}

impl Reader {
    fn new() -> Self {
        let portal = Portal::demo(program(), &guest_target());
        let clone = portal.folder().join("clone");
        make_folder(&clone.join("target/release"));
        link(&portal.data(), &clone.join("goldenpath-data"));
        link(program(), &clone.join("target/release/goldenpath"));
        Self { portal }
    }

    /// Types commands in the folder of the clone, after the two lines that each block counts on; the answer is all
    /// that was shown. Stops at the first that ends with another code than 0.
    #[expect(clippy::disallowed_methods, reason = "a person has a shell")]
    fn types(&self, commands: &str) -> String {
        let two_lines: Vec<&str> = block("set -a").lines().take(2).collect();
        let script = format!("set -e\n{}\n{commands}", two_lines.join("\n"));
        let mut shell = Command::new("sh");
        for name in ["CARGO_TARGET_DIR", "GOLDENPATH_TEST_EXTERNAL"] {
            shell.env_remove(name);
        }
        let done = shell
            .args(["-c", &format!("exec 2>&1\n{script}")])
            .current_dir(self.portal.folder().join("clone"))
            .stdin(Stdio::null())
            .output()
            .expect("sh runs");
        let shown = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{commands}\n{shown}");
        shown
    }
}

#[track_caller]
fn assert_shows(shown: &str, parts: &[&str]) {
    for part in parts {
        assert!(shown.contains(part), "`{part}`: {shown}");
    }
}

#[test]
fn the_two_commands_are_those_that_the_continuous_checks_run() {
    assert_eq!(block("cargo run"), "cargo run --release -- demo\n");
    assert_eq!(block("cargo test --workspace"), "cargo test --workspace\n");
    let checks = include_str!("../../.ci/run");
    assert!(
        checks.contains("stage test cargo test --workspace\n"),
        "{checks}"
    );
}

#[test]
fn a_developers_five_minutes_and_the_catalog_as_code_are_as_the_readme_says() {
    let reader = Reader::new();
    let shown = reader.types(block("set -a"));
    assert_shows(
        &shown,
        &["succeeded", "Component orders-api", "system: Cart"],
    );

    // The code of `diff` says that something would change.
    let as_code = block("goldenpath catalog export").replace(
        "goldenpath catalog diff ../catalog\n",
        "goldenpath catalog diff ../catalog && exit 9 || test $? -eq 1\n",
    );
    let shown = reader.types(&as_code);
    assert_shows(&shown, &["CartService", "1 updated"]);

    let shown = reader.types(block("cat > ../catalog-info.yaml"));
    assert_shows(&shown, &["price-list"]);
    let entity = reader
        .portal
        .admin()
        .get("/v1/blueprints/Component/entities/price-list")
        .with_status(200)
        .json();
    assert_eq!(entity["entity"]["relations"]["system"], "Cart", "{entity}");
}

#[test]
fn a_first_plugin_is_written_tested_and_run_as_the_readme_says() {
    if !external("a_first_plugin_is_written_tested_and_run…: fetches crates, compiles for minutes")
    {
        return;
    }
    let reader = Reader::new();
    let shown = reader.types(block("goldenpath plugin new"));
    assert_shows(
        &shown,
        &[
            "test result: ok",
            "sha256:",
            "approved greeter 0.1.0",
            "greets Ada",
            "succeeded",
        ],
    );

    let shown = reader.types(block("sed -i 's/^version"));
    assert_shows(&shown, &["installed greeter 0.2.0 pending"]);
    let reviewed =
        block("goldenpath plugin show").replace("0.2.0.wasm\n", "0.2.0.wasm || test $? -eq 1\n");
    let shown = reader.types(&reviewed);
    assert_shows(
        &shown,
        &[
            "greeter 0.2.0  pending",
            "catalog delete Component    # tidy up",
            "+ catalog delete Component",
            "asks for more",
        ],
    );
    let shown = reader.types(block("goldenpath plugin approve"));
    assert_shows(
        &shown,
        &[
            "deny catalog delete Component",
            "approved greeter 0.2.0",
            "succeeded",
            "catalog read Component",
            "greeter 0.1.0 serves again",
            "revoked greeter 0.2.0",
        ],
    );
}

#[expect(clippy::disallowed_methods, reason = "the test's own folder")]
fn make_folder(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
}

fn link(to: &Path, from: &Path) {
    std::os::unix::fs::symlink(to, from).expect("a link");
}
