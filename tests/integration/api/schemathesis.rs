//! The contract held against the portal by somebody who reads nothing else: schemathesis.

use std::path::{Path, PathBuf};
use std::process::Command;

use goldenpath_tests::{Portal, external};

use crate::{hello, program};

fn settings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("external")
}

/// Every kind of answer that the portal gave is one that the contract names, in the form that it names, and none is a
/// fault of the server: thousands of requests, right and wrong ones, the same at each run.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the program of somebody else, which the external tests install"
)]
fn whatever_the_contract_allows_is_answered_as_the_contract_says() {
    if !external(
        "whatever_the_contract_allows_is_answered_as_the_contract_says: needs schemathesis and a minute",
    ) {
        return;
    }
    let portal = Portal::start(program());
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/demo");
    let demo = demo.to_str().expect("a path in UTF-8");
    portal.cli(&["catalog", "apply", demo]).with_code(0);
    portal.install(&hello());
    portal
        .admin()
        .run("hello", &serde_json::json!({"name": "Ada"}));
    let report = portal.folder().join("report.json");
    let ended = Command::new("schemathesis")
        .arg("--config-file")
        .arg(settings().join("schemathesis.toml"))
        .args(["run", "--no-color"])
        .arg(format!("{}/openapi.json", portal.url()))
        .arg("--header")
        .arg(format!("Authorization: Bearer {}", portal.admin().token()))
        .arg("--report-json-path")
        .arg(&report)
        .current_dir(portal.folder())
        .env("PYTHONPATH", settings())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .output()
        .expect("schemathesis is installed; `.ci/run` does that");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let log = portal.log();
    assert!(
        !log.contains("request failed") && !log.contains("panicked"),
        "{log}"
    );
}
