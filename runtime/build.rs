//! Lists the files that the program carries with it: the demo's catalog, the template of a plugin, and the SDK that
//! `plugin new` puts beside it.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script is told its folders by the environment and writes into one of them"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or(io::ErrorKind::NotFound)
    };
    let runtime = variable("CARGO_MANIFEST_DIR")?;
    let root = runtime.parent().ok_or(io::ErrorKind::NotFound)?;
    let trees = [
        ("DEMO", runtime.join("demo"), vec![""]),
        (
            "TEMPLATE",
            runtime.join("src/cli/plugin/template"),
            vec![""],
        ),
        (
            "SDK",
            root.to_owned(),
            vec![
                "plugin-sdk/src",
                "plugin-sdk/macros/src",
                "plugin-sdk/Cargo.toml",
                "plugin-sdk/macros/Cargo.toml",
                "plugin-sdk/README.md",
                "wit/v0.1",
            ],
        ),
    ];
    let mut code = String::new();
    for (name, base, parts) in trees {
        let mut files = Vec::new();
        for part in parts {
            let path = if part.is_empty() {
                base.clone()
            } else {
                base.join(part)
            };
            println!("cargo::rerun-if-changed={}", path.display());
            collect(&path, &mut files)?;
        }
        files.sort();
        // Writing to a string cannot fail.
        let _ = writeln!(
            code,
            "pub(in crate::cli) static {name}: &[(&str, &str)] = &["
        );
        for file in files {
            let below = file.strip_prefix(&base).map_err(io::Error::other)?;
            let (below, file) = (below.to_string_lossy(), file.to_string_lossy());
            let _ = writeln!(code, "    ({below:?}, include_str!({file:?})),");
        }
        code.push_str("];\n");
    }
    let manifest = root.join("Cargo.toml");
    println!("cargo::rerun-if-changed={}", manifest.display());
    let lock = root.join("Cargo.lock");
    let _ = writeln!(
        code,
        "pub(in crate::cli) static ROOT_MANIFEST: &str = include_str!({manifest:?});"
    );
    let _ = writeln!(
        code,
        "pub(in crate::cli) static ROOT_LOCK: &str = include_str!({lock:?});"
    );
    fs::write(variable("OUT_DIR")?.join("embedded.rs"), code)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    if !path.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // Editors leave hidden files behind.
        if !entry.file_name().to_string_lossy().starts_with('.') {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}
