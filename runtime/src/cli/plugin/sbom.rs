//! What a plugin was built from: what cargo says that it compiled, with what the manifests and the lock file say of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::super::exit::Failure;
use super::build::{ask, cargo};
use super::target::GUEST_TARGET;
use crate::config;
use crate::model::{Sbom, SbomComponent, SbomOrigin, SbomScope, SbomTool};

/// A lock file of some thousand packages.
const MAX_LOCK_BYTES: u64 = 16 << 20;

/// The packages that cargo compiled in one build, as its messages tell, by their ids there.
#[derive(Debug, Default)]
pub(super) struct Compiled(BTreeMap<String, SbomScope>);

impl Compiled {
    /// Takes a message of cargo's; `plugin` is the manifest of what is built, which is no part of itself.
    pub(super) fn take(&mut self, message: &Value, plugin: &Path) {
        let member = |name: &str| message.get(name).and_then(Value::as_str);
        let (Some("compiler-artifact"), Some(id)) = (member("reason"), member("package_id")) else {
            return;
        };
        if member("manifest_path").map(Path::new) == Some(plugin) {
            return;
        }
        let files = message.get("filenames").and_then(Value::as_array);
        let mut files = files.into_iter().flatten().filter_map(Value::as_str);
        // <target folder>/wasm32-wasip2/release/deps holds what becomes part of the component.
        let guest = files.any(|file| {
            let folder = Path::new(file).ancestors().nth(3);
            folder.and_then(Path::file_name) == Some(GUEST_TARGET.as_ref())
        });
        let scope = self.0.entry(id.to_owned()).or_insert(SbomScope::Excluded);
        if guest {
            *scope = SbomScope::Required;
        }
    }
}

/// What the packages of a build are.
pub(super) fn collect(compiled: &Compiled, manifest: &Path) -> Result<Sbom, Failure> {
    let dir = manifest.parent().unwrap_or(Path::new("."));
    let target = format!("--filter-platform={GUEST_TARGET}");
    // The build that just ended has written the lock file.
    let arguments = [
        "metadata",
        "--format-version=1",
        "--locked",
        target.as_str(),
    ];
    let metadata = ask(dir, cargo(), &arguments)?;
    let metadata: Metadata = serde_json::from_str(&metadata)
        .map_err(|error| Failure::of("read what `cargo metadata` says", &error))?;
    let lock = Path::new(&metadata.workspace_root).join("Cargo.lock");
    let reading =
        |error: &dyn std::error::Error| Failure::of(format!("read `{}`", lock.display()), error);
    let text = config::read_file(&lock, MAX_LOCK_BYTES).map_err(|error| reading(&error))?;
    let text = String::from_utf8(text).map_err(|error| reading(&error))?;
    let lock: Lock = toml::from_str(&text).map_err(|error| reading(&error))?;
    let rustc = ask(dir, "rustc", &["--version"])?;
    Ok(Sbom {
        tools: vec![
            SbomTool {
                name: "goldenpath".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            SbomTool {
                name: "rustc".to_owned(),
                version: rustc.strip_prefix("rustc ").unwrap_or(&rustc).to_owned(),
            },
        ],
        components: components(compiled, metadata.packages, &lock),
    })
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: String,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// Absent for what lies in a folder.
    source: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

fn components(compiled: &Compiled, packages: Vec<Package>, lock: &Lock) -> Vec<SbomComponent> {
    let checksums: BTreeMap<_, _> = lock
        .package
        .iter()
        .map(|locked| {
            let key = (&*locked.name, &*locked.version, locked.source.as_deref());
            (key, &locked.checksum)
        })
        .collect();
    let known = packages.into_iter().filter_map(|package| {
        let scope = *compiled.0.get(&package.id)?;
        let key = (&*package.name, &*package.version, package.source.as_deref());
        let checksum = checksums.get(&key).and_then(|checksum| (*checksum).clone());
        let origin = match package.source.as_deref() {
            None => SbomOrigin::Path,
            Some(source) if source.starts_with("git+") => SbomOrigin::Git,
            Some(_) => SbomOrigin::Registry,
        };
        Some(SbomComponent {
            purl: purl(&package),
            // The old way to write a choice, which is no expression of SPDX.
            license: package.license.map(|text| {
                let choices: Vec<&str> = text.split('/').map(str::trim).collect();
                choices.join(" OR ")
            }),
            checksum,
            origin: Some(origin),
            scope,
            name: package.name,
            version: package.version,
        })
    });
    known.collect()
}

/// Where cargo says that a package is from which it got out of the public registry, by whatever way.
const PUBLIC: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The package URL of what is in the public registry. One without more says that it is, and of what has the same name
/// elsewhere that would be a lie.
fn purl(package: &Package) -> Option<String> {
    if package.source.as_deref() != Some(PUBLIC) {
        return None;
    }
    // A plus sign stands for a space in some readers of package URLs.
    let version = package.version.replace('+', "%2B");
    Some(format!("pkg:cargo/{}@{version}", package.name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn artifact(id: &str, manifest: &str, file: &str) -> Value {
        json!({"reason": "compiler-artifact", "package_id": id, "manifest_path": manifest, "filenames": [file]})
    }

    fn package(id: &str, license: &str, source: Option<&str>) -> Package {
        Package {
            id: id.to_owned(),
            name: id.to_owned(),
            version: "1.0.0+w".to_owned(),
            license: Some(license.to_owned()),
            source: source.map(str::to_owned),
        }
    }

    #[test]
    fn what_was_compiled_is_told_and_what_is_in_the_component_apart_from_what_ran_in_the_build() {
        let mut compiled = Compiled::default();
        let plugin = Path::new("/p/Cargo.toml");
        for message in [
            artifact("plugin", "/p/Cargo.toml", "/t/wasm32-wasip2/release/p.wasm"),
            artifact("both", "/b/Cargo.toml", "/t/release/deps/libb.rlib"),
            artifact(
                "both",
                "/b/Cargo.toml",
                "/t/wasm32-wasip2/release/deps/libb.rlib",
            ),
            artifact("macro", "/m/Cargo.toml", "/t/release/deps/libm.so"),
            artifact(
                "forked",
                "/f/Cargo.toml",
                "/t/wasm32-wasip2/release/deps/libf.rlib",
            ),
            json!({"reason": "build-finished", "success": true}),
        ] {
            compiled.take(&message, plugin);
        }
        let lock = Lock {
            package: vec![Locked {
                name: "both".to_owned(),
                version: "1.0.0+w".to_owned(),
                source: Some(PUBLIC.to_owned()),
                checksum: Some("ab".repeat(32)),
            }],
        };
        let packages = vec![
            package("both", "MIT/Apache-2.0", Some(PUBLIC)),
            package("macro", "MIT", None),
            package("forked", "MIT", Some("git+https://git.example/f")),
            package("of-another-member", "MIT", Some(PUBLIC)),
        ];
        let components = components(&compiled, packages, &lock);
        let told: Vec<_> = components
            .iter()
            .map(|c| (c.name.as_str(), c.scope, c.origin, c.checksum.is_some()))
            .collect();
        let (required, excluded) = (SbomScope::Required, SbomScope::Excluded);
        assert_eq!(
            told,
            [
                ("both", required, Some(SbomOrigin::Registry), true),
                ("macro", excluded, Some(SbomOrigin::Path), false),
                ("forked", required, Some(SbomOrigin::Git), false),
            ]
        );
        assert_eq!(components[0].license.as_deref(), Some("MIT OR Apache-2.0"));
        let purls: Vec<_> = components.iter().map(|c| c.purl.as_deref()).collect();
        assert_eq!(purls, [Some("pkg:cargo/both@1.0.0%2Bw"), None, None]);
    }
}
