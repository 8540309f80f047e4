//! `goldenpath plugin new`: a project that builds, tests and runs as it is, with the SDK of this very version beside it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::json;
use toml::{Table, Value};

use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::build::cargo;
use super::embedded::{ROOT_LOCK, ROOT_MANIFEST, SDK, TEMPLATE};
use crate::model::PluginName;

/// Manifests of the SDK's packages, which take versions and lints from the workspace's.
const SDK_MANIFESTS: [&str; 2] = ["plugin-sdk/Cargo.toml", "plugin-sdk/macros/Cargo.toml"];

pub(super) fn run(name: &str, output: &Output) -> Result<Exit, Failure> {
    let name = PluginName::parse(name).map_err(|error| Failure::usage(error.to_string()))?;
    let folder = PathBuf::from(name.as_str());
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(
            Exit::Conflict,
            format!("`{name}` is here already; choose another name or remove it"),
        ),
        _ => Failure::of(format!("make plugin `{name}`"), &error),
    };
    let here = Dir::open_ambient_dir(".", ambient_authority()).map_err(failed)?;
    here.create_dir(&folder).map_err(failed)?;
    let dir = here.open_dir(&folder).map_err(failed)?;
    write_project(&dir, &name).map_err(failed)?;
    lock(&dir, &folder, output).map_err(failed)?;
    let answer = json!({"ok": true, "name": name, "folder": folder});
    output.result(&answer, |output| {
        output.line(&format!("made {name}/; next:"));
        output.line(&format!("  cd {name}"));
        output.line("  cargo test");
        output.line("  goldenpath plugin test");
    });
    Ok(Exit::Done)
}

fn write_project(dir: &Dir, name: &PluginName) -> io::Result<()> {
    let ident = name.as_str().replace('-', "_");
    for (path, text) in TEMPLATE {
        let path = match *path {
            // Under its own name it would hide the template's files from the version control of this project.
            "gitignore" => ".gitignore".to_owned(),
            path => path.replace("NAME", name.as_str()),
        };
        let text = text
            .replace("{{name}}", name.as_str())
            .replace("{{ident}}", &ident);
        write(dir, &path, &text)?;
    }
    for (path, text) in SDK {
        write(dir, &format!("sdk/{path}"), text)?;
    }
    write(dir, "sdk/Cargo.toml", &sdk_manifest()?)
}

fn write(dir: &Dir, path: &str, text: &str) -> io::Result<()> {
    if let Some(parent) = Path::new(path)
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        dir.create_dir_all(parent)?;
    }
    dir.create(path)?.write_all(text.as_bytes())
}

/// The workspace manifest of the SDK alone: what its packages take from ours, and nothing else.
fn sdk_manifest() -> io::Result<String> {
    let odd = |what: &str| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the SDK's manifests lack {what}"),
        )
    };
    let root: Table = toml::from_str(ROOT_MANIFEST).map_err(io::Error::other)?;
    let root = root
        .get("workspace")
        .and_then(Value::as_table)
        .ok_or_else(|| odd("a workspace"))?;
    let versions = root
        .get("dependencies")
        .and_then(Value::as_table)
        .ok_or_else(|| odd("dependencies"))?;
    let mut dependencies = Table::new();
    for manifest in SDK_MANIFESTS {
        let text = SDK
            .iter()
            .find(|(path, _)| *path == manifest)
            .ok_or_else(|| odd(manifest))?
            .1;
        let package: Table = toml::from_str(text).map_err(io::Error::other)?;
        for name in inherited(&Value::Table(package)) {
            let version = versions.get(&name).ok_or_else(|| odd(&name))?;
            dependencies.insert(name, version.clone());
        }
    }
    let mut workspace = Table::new();
    workspace.insert("resolver".to_owned(), Value::String("3".to_owned()));
    let members = ["plugin-sdk", "plugin-sdk/macros"].map(|path| Value::String(path.to_owned()));
    workspace.insert("members".to_owned(), Value::Array(members.into()));
    for key in ["package", "lints"] {
        workspace.insert(
            key.to_owned(),
            root.get(key).ok_or_else(|| odd(key))?.clone(),
        );
    }
    workspace.insert("dependencies".to_owned(), Value::Table(dependencies));
    let mut manifest = Table::new();
    manifest.insert("workspace".to_owned(), Value::Table(workspace));
    toml::to_string(&manifest).map_err(io::Error::other)
}

/// Names of the dependencies that a manifest takes from its workspace, in whatever table they stand.
fn inherited(manifest: &Value) -> Vec<String> {
    let Some(table) = manifest.as_table() else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for (key, value) in table {
        if matches!(
            key.as_str(),
            "dependencies" | "dev-dependencies" | "build-dependencies"
        ) {
            let entries = value.as_table().into_iter().flatten();
            let from_workspace =
                |entry: &Value| entry.get("workspace").and_then(Value::as_bool) == Some(true);
            names.extend(
                entries
                    .filter(|(_, entry)| from_workspace(entry))
                    .map(|(name, _)| name.clone()),
            );
        } else if matches!(key.as_str(), "target") || key.starts_with("cfg(") {
            names.extend(inherited(value));
        }
    }
    names
}

/// Gives the project the versions that this program was tested with: our own lock, which cargo cuts down to what the
/// plugin needs. Where cargo cannot, the first build finds versions by itself.
#[expect(
    clippy::disallowed_methods,
    reason = "the build step runs the tools of the toolchain"
)]
fn lock(dir: &Dir, folder: &Path, output: &Output) -> io::Result<()> {
    write(dir, "Cargo.lock", ROOT_LOCK)?;
    for offline in [&["--offline"][..], &[]] {
        let cut = Command::new(cargo())
            .args(["update", "--workspace", "--quiet"])
            .args(offline)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if cut.is_ok_and(|status| status.success()) {
            return Ok(());
        }
    }
    output.note("cargo could not lock the versions now; the first build does");
    dir.remove_file("Cargo.lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_s_own_workspace_has_all_that_its_packages_inherit() {
        let manifest: Table = toml::from_str(&sdk_manifest().unwrap()).unwrap();
        let workspace = &manifest["workspace"];
        assert_eq!(
            workspace["dependencies"]["goldenpath-sdk-macros"]["path"].as_str(),
            Some("plugin-sdk/macros")
        );
        assert!(workspace["dependencies"].get("wit-bindgen").is_some());
        assert!(workspace["dependencies"].get("wasmtime").is_none());
        assert!(workspace["package"].get("edition").is_some());
    }

    #[test]
    fn a_project_has_no_placeholder_left() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        write_project(&dir, &PluginName::parse("my-greeter").unwrap()).unwrap();
        for path in [
            "Cargo.toml",
            "plugin.toml",
            "README.md",
            "src/lib.rs",
            "actions/my-greeter.json",
            "tests/exchanges/greets-by-name.yaml",
            ".gitignore",
        ] {
            let text = dir.read_to_string(path).unwrap();
            assert!(!text.contains("{{"), "{path}");
        }
        assert!(
            dir.read_to_string("Cargo.toml")
                .unwrap()
                .contains("my_greeter_plugin")
        );
        assert!(dir.is_file("sdk/wit/v0.1/world.wit"));
        assert!(dir.is_file("sdk/plugin-sdk/macros/src/lib.rs"));
    }
}
