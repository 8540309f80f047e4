//! `goldenpath plugin build`: from a folder with Rust sources to one package file.
//!
//! The same source and toolchain give the same bytes in whatever folder they are built: the profile is fixed here, and
//! the paths of this machine are mapped away.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::{Value, json};

use super::super::exit::{Exit, Failure, chain};
use super::super::output::Output;
use super::super::serve::block_on;
use super::sbom::{self, Compiled};
use super::target::{GUEST_TARGET, install_target};
use crate::catalog::parse_documents;
use crate::config;
use crate::plugin::{self, Inspection};

/// Manifests and readmes are pages of text.
const MAX_TEXT_BYTES: u64 = 1024 * 1024;

/// Folders of documents that a package may ship.
const SHIPPED: [&str; 2] = ["actions", "blueprints"];

/// Folders whose documents a later version takes.
const LATER: &str = "scorecards";

/// Small first, then fast: a component is loaded far more often than its loops run long.
const PROFILE: [&str; 7] = [
    "opt-level=\"s\"",
    "lto=true",
    "codegen-units=1",
    "panic=\"abort\"",
    "strip=true",
    "debug=false",
    "incremental=false",
];

/// A package that was just built.
pub(in crate::cli) struct Built {
    pub(in crate::cli) file: PathBuf,
    pub(in crate::cli) package: Vec<u8>,
    pub(in crate::cli) inspection: Inspection,
}

pub(super) fn run(dir: &Path, file: Option<&Path>, output: &Output) -> Result<Exit, Failure> {
    let built = build(dir, file, output)?;
    let Inspection {
        name,
        version,
        digest,
        size,
        ..
    } = &built.inspection;
    let answer = json!({
        "ok": true, "name": name, "version": version, "digest": digest, "size": size, "file": built.file,
    });
    output.result(&answer, |output| {
        output.line(&format!("{}", built.file.display()));
        output.line(&format!("{name} {version}"));
        output.line(&format!("{digest}"));
        output.line(&format!("{} KiB", size.div_ceil(1024)));
    });
    Ok(Exit::Done)
}

/// Builds the plugin in a folder and writes its package.
pub(in crate::cli) fn build(
    dir: &Path,
    file: Option<&Path>,
    output: &Output,
) -> Result<Built, Failure> {
    let source = Source::read(dir)?;
    install_target(dir, output)?;
    output.note(&format!("building {}", source.dir.display()));
    let (component, compiled) = source.compile(output)?;
    let bytes = config::read_file(&component, super::MAX_PACKAGE_BYTES)
        .map_err(|error| Failure::of(format!("read `{}`", component.display()), &error))?;
    output.note("asking the component for its actions, in the sandbox with nothing granted");
    let described = bytes.clone();
    let description = block_on(async {
        plugin::describe(described)
            .await
            .map_err(|error| Failure::of("describe the component", &error))
    })?;
    let package = plugin::assemble(
        &bytes,
        &source.manifest,
        &description,
        &source.readme,
        &source.resources,
    )
    .map_err(|error| Failure::of(format!("package `{}`", source.dir.display()), &error))?;
    let sbom = sbom::collect(&compiled, &source.dir.join("Cargo.toml"))?;
    let package = plugin::embed_sbom(&package, &sbom)
        .map_err(|error| Failure::of("embed what the package was built from", &error))?;
    let inspection =
        plugin::inspect(&package).map_err(|error| Failure::of("read the package back", &error))?;
    let file = match file {
        Some(file) => file.to_owned(),
        // The component lies in <target folder>/wasm32-wasip2/release.
        None => component
            .ancestors()
            .nth(3)
            .unwrap_or(&source.dir)
            .join("plugin")
            .join(format!("{}-{}.wasm", inspection.name, inspection.version)),
    };
    write_package(&file, &package)
        .map_err(|error| Failure::of(format!("write `{}`", file.display()), &error))?;
    Ok(Built {
        file,
        package,
        inspection,
    })
}

/// What a plugin's folder holds beside its code.
struct Source {
    dir: PathBuf,
    manifest: String,
    readme: String,
    resources: BTreeMap<String, String>,
    locked: bool,
}

impl Source {
    fn read(dir: &Path) -> Result<Self, Failure> {
        let missing = |file: &str, error: &io::Error| {
            Failure::usage(format!(
                "read `{}`: {error}; a plugin's folder has plugin.toml and Cargo.toml, make one with \
                 `goldenpath plugin new NAME`",
                dir.join(file).display()
            ))
        };
        let absolute = dir.canonicalize().map_err(|error| missing("", &error))?;
        let opened = Dir::open_ambient_dir(&absolute, ambient_authority())
            .map_err(|error| missing("", &error))?;
        let manifest = read_text(&opened, Path::new("plugin.toml"))
            .map_err(|error| missing("plugin.toml", &error))?;
        if !opened.is_file("Cargo.toml") {
            return Err(missing("Cargo.toml", &io::ErrorKind::NotFound.into()));
        }
        let reading = |path: &Path| {
            let path = dir.join(path);
            move |error: io::Error| Failure::of(format!("read `{}`", path.display()), &error)
        };
        let readme = match read_text(&opened, Path::new("README.md")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(reading(Path::new("README.md")))?,
        };
        let mut resources = BTreeMap::new();
        for folder in SHIPPED.iter().filter(|folder| opened.is_dir(folder)) {
            for entry in opened
                .read_dir(folder)
                .map_err(reading(Path::new(folder)))?
            {
                let entry = entry.map_err(reading(Path::new(folder)))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.ends_with(".json") && !name.starts_with('.') {
                    let path = format!("{folder}/{name}");
                    let text =
                        read_text(&opened, Path::new(&path)).map_err(reading(Path::new(&path)))?;
                    resources.insert(path, text);
                }
            }
        }
        check(&absolute, &manifest, &resources)?;
        let workspace = locate(&absolute, Locate::Workspace)?;
        let locked = workspace
            .parent()
            .is_some_and(|root| root.join("Cargo.lock").is_file());
        Ok(Self {
            dir: absolute,
            manifest,
            readme,
            resources,
            locked,
        })
    }

    /// Runs cargo; the answer is the component's file, and what was compiled for it.
    #[expect(
        clippy::disallowed_methods,
        reason = "the build step runs the tools of the toolchain"
    )]
    fn compile(&self, output: &Output) -> Result<(PathBuf, Compiled), Failure> {
        let failed = |error: io::Error| Failure::of("run cargo", &error);
        let manifest = self.dir.join("Cargo.toml");
        let mut cargo = Command::new(cargo());
        cargo
            .args(["build", "--release", "--lib", "--target", GUEST_TARGET])
            .arg("--manifest-path")
            .arg(&manifest)
            .arg("--message-format=json-render-diagnostics");
        if self.locked {
            cargo.arg("--locked");
        }
        for setting in PROFILE {
            cargo
                .arg("--config")
                .arg(format!("profile.release.{setting}"));
        }
        // These flags replace any others, so that a setting of this machine does not end up in the bytes.
        cargo
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags()?)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET")
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut running = cargo.spawn().map_err(failed)?;
        let (mut component, mut compiled) = (None, Compiled::default());
        if let Some(messages) = running.stdout.take() {
            for line in BufReader::new(messages).lines() {
                let line = line.map_err(failed)?;
                let Ok(message) = serde_json::from_str(&line) else {
                    continue;
                };
                compiled.take(&message, &manifest);
                component = component_of(&message, &manifest).or(component);
            }
        }
        let status = running.wait().map_err(failed)?;
        if !status.success() {
            return Err(Failure::failed(if self.locked {
                "the plugin does not compile; cargo says why above (with --locked: `cargo update --workspace` brings \
                 Cargo.lock in line with Cargo.toml)"
            } else {
                "the plugin does not compile; cargo says why above"
            }));
        }
        let component = component.ok_or_else(|| {
            output.note("Cargo.toml needs: [lib] crate-type = [\"cdylib\", \"lib\"]");
            Failure::failed(
                "cargo built no component; the package must have a library of crate type cdylib",
            )
        })?;
        Ok((component, compiled))
    }

    /// Compiler flags that take the paths of this machine out of panic messages and symbols.
    fn flags(&self) -> Result<OsString, Failure> {
        let workspace = locate(&self.dir, Locate::Workspace)?;
        let root = workspace.parent().unwrap_or(&self.dir);
        let cargo_home = config::environment("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| config::environment("HOME").map(|home| PathBuf::from(home).join(".cargo")));
        let sysroot = ask(&self.dir, "rustc", &["--print", "sysroot"])?;
        // The last match wins, so the most special path stands last.
        let mut mapped = vec![(PathBuf::from(sysroot), "/rust")];
        mapped.extend(cargo_home.map(|home| (home.canonicalize().unwrap_or(home), "/cargo")));
        mapped.push((root.to_owned(), "/plugin"));
        let mut flags = OsString::new();
        for (from, to) in mapped {
            if !flags.is_empty() {
                flags.push("\u{1f}");
            }
            flags.push("--remap-path-prefix=");
            flags.push(from);
            flags.push("=");
            flags.push(to);
        }
        Ok(flags)
    }
}

/// Refuses what would only be refused after minutes of compiling.
fn check(dir: &Path, manifest: &str, resources: &BTreeMap<String, String>) -> Result<(), Failure> {
    let place = |error: &dyn std::error::Error| Failure::of(dir.display(), error);
    plugin::check_manifest(manifest).map_err(|error| place(&error))?;
    for (path, text) in resources {
        parse_documents(path, text.as_bytes()).map_err(|error| place(&error))?;
    }
    if dir.join(LATER).is_dir() {
        return Err(Failure::failed(format!(
            "`{}`: this version does not know these documents yet; leave the folder out",
            dir.join(LATER).display()
        )));
    }
    Ok(())
}

/// The component's file, where a message of cargo's says that it was built for this manifest.
fn component_of(message: &Value, manifest: &Path) -> Option<PathBuf> {
    let member = |name: &str| message.get(name).and_then(Value::as_str);
    if member("reason") != Some("compiler-artifact")
        || Path::new(member("manifest_path")?) != manifest
    {
        return None;
    }
    let files = message.get("filenames")?.as_array()?;
    let mut files = files.iter().filter_map(Value::as_str).map(PathBuf::from);
    files.find(|file| {
        file.extension()
            .is_some_and(|extension| extension == "wasm")
    })
}

#[derive(Clone, Copy)]
enum Locate {
    Workspace,
}

/// The manifest of the workspace that a folder belongs to.
fn locate(dir: &Path, Locate::Workspace: Locate) -> Result<PathBuf, Failure> {
    let cargo = cargo();
    let arguments = ["locate-project", "--workspace", "--message-format=plain"];
    Ok(PathBuf::from(ask(dir, cargo, &arguments)?))
}

/// Runs a tool in a folder and reads the line that it answers.
#[expect(
    clippy::disallowed_methods,
    reason = "the build step runs the tools of the toolchain"
)]
pub(super) fn ask(
    dir: &Path,
    program: impl Into<OsString>,
    arguments: &[&str],
) -> Result<String, Failure> {
    let program = program.into();
    let shown = Path::new(&program).display().to_string();
    let answered = Command::new(&program)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            Failure::failed(format!(
                "run `{shown}`: {error}; building plugins needs Rust, see https://rustup.rs"
            ))
        })?;
    if !answered.status.success() {
        let said = String::from_utf8_lossy(&answered.stderr);
        return Err(Failure::failed(format!(
            "`{shown} {}` failed: {}",
            arguments.join(" "),
            said.trim()
        )));
    }
    Ok(String::from_utf8_lossy(&answered.stdout).trim().to_owned())
}

/// The cargo that started us, else the one of the path.
pub(super) fn cargo() -> OsString {
    config::environment("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

fn read_text(dir: &Dir, path: &Path) -> io::Result<String> {
    let mut text = String::new();
    dir.open(path)?
        .take(MAX_TEXT_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_TEXT_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {MAX_TEXT_BYTES} bytes"),
        ));
    }
    Ok(text)
}

/// Writes a package beside its place and moves it there: whoever reads it, and whoever stops this, finds the old one or
/// the new one, whole.
pub(super) fn write_package(file: &Path, package: &[u8]) -> io::Result<()> {
    let name = file
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    Dir::create_ambient_dir_all(parent, ambient_authority())?;
    let dir = Dir::open_ambient_dir(parent, ambient_authority())?;
    let mut partial = name.to_owned();
    partial.push(".partial");
    let mut file = dir.create(&partial)?;
    let written = file
        .write_all(package)
        .and_then(|()| file.sync_all())
        .and_then(|()| dir.rename(&partial, &dir, name));
    if written.is_err() {
        // Why it could not be written says more than why it stays.
        drop(dir.remove_file(&partial));
    }
    written
}

/// What a failure to read a package says.
pub(super) fn unreadable(file: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::failed(format!("`{}`: {}", file.display(), chain(error)))
}
