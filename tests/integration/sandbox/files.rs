//! Guests that reach out of their folder.

use std::path::{Path, PathBuf};

use goldenpath_tests::{Evidence, Portal};
use serde_json::json;

use super::{assert_greets, ended, misbehave, portal};

fn granted(portal: &Portal) -> PathBuf {
    portal.data().join("files/misbehaves/box")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test lays its own traps on disk"
)]
pub(super) fn lay(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, text).expect("a file");
}

#[test]
pub(crate) fn a_folder_without_a_line_is_denied() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "opens-undeclared-folder", &json!({}));
    let message = run["failure"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("elsewhere"), "{message}");
    ended(&portal, &run)
}

#[test]
pub(crate) fn a_path_that_climbs_is_refused() -> Evidence {
    let portal = portal();
    for path in [
        "../secret",
        "a/../../secret",
        "/etc/passwd",
        "..",
        ".",
        "a//b",
        "a\\..\\b",
        "",
        "nul\u{0}byte",
    ] {
        for action in ["reads-a-path", "writes-a-path"] {
            let run = portal.admin().run(action, &json!({ "path": path }));
            assert_eq!(run["status"], "FAILURE", "{action} {path:?}: {run}");
            let outside = portal.data().join("files/misbehaves/secret");
            assert!(!outside.exists(), "{action} {path:?}");
        }
    }
    misbehave(&portal, "reads-a-path", &json!({"path": "../secret"}));
    let run = misbehave(&portal, "writes-a-path", &json!({"path": "../secret"}));
    ended(&portal, &run).seen("nine paths, and no file outside the folder")
}

#[test]
pub(crate) fn a_symbolic_link_is_never_followed() -> Evidence {
    let portal = portal();
    let secret = portal.folder().join("secret");
    lay(&secret, "the host's own");
    let inside = granted(&portal);
    lay(&inside.join("plain"), "its own");
    for (link, target) in [
        ("to-file", secret.clone()),
        ("to-folder", portal.folder().to_owned()),
    ] {
        let link = inside.join(link);
        if !link.is_symlink() {
            std::os::unix::fs::symlink(target, link).expect("a link");
        }
    }
    for path in ["to-file", "to-folder/secret"] {
        let run = portal.admin().run("reads-a-path", &json!({ "path": path }));
        assert_eq!(run["status"], "FAILURE", "{path}: {run}");
        let run = portal
            .admin()
            .run("writes-a-path", &json!({ "path": "to-folder/new" }));
        assert_eq!(run["status"], "FAILURE", "{path}: {run}");
        assert!(!portal.folder().join("new").exists());
    }
    assert_eq!(read(&secret), "the host's own");
    assert_greets(portal.admin());
    Evidence::fired("Links to a file and a folder outside lay in the folder")
        .seen("nothing was read or written through them")
}

#[test]
pub(crate) fn a_full_folder_takes_no_more() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "fills-the-folder", &json!({}));
    let bytes: u64 = granted(&portal)
        .read_dir()
        .expect("the granted folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.is_symlink())
        .map(|path| path.metadata().expect("metadata").len())
        .sum();
    assert!(bytes <= 64 * 1024, "{bytes} bytes on disk");
    ended(&portal, &run).seen("at most 64 KiB on disk")
}

#[expect(clippy::disallowed_methods, reason = "the test's own file")]
fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("a file")
}
