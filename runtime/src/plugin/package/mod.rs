//! A package: one component file that carries its own manifest, schemas, README and documents.

mod outline;
mod power;
mod sbom;
#[cfg(test)]
pub(super) mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use wasm_encoder::{ComponentSection as _, CustomSection};

use super::capability::Power;
use super::error::InstallError;
use super::manifest::Manifest;
use super::signature::Signed;
use crate::model::{Digest, Finding, Sbom};
use outline::Outline;

/// The largest package; a component of a megabyte is already a big one.
pub(crate) const MAX_BYTES: usize = 32 << 20;

const MANIFEST: &str = "goldenpath:manifest";
const SCHEMAS: &str = "goldenpath:schemas";
const README: &str = "goldenpath:readme";
const RESOURCES: &str = "goldenpath:resources";
const SBOM: &str = "goldenpath:sbom";

/// Our sections and the most bytes of each: they are read by people and kept in memory.
const SECTIONS: [(&str, usize); 5] = [
    (MANIFEST, super::manifest::MAX_BYTES),
    (SCHEMAS, 2 << 20),
    (README, 256 << 10),
    (RESOURCES, 4 << 20),
    (SBOM, sbom::MAX_BYTES),
];

/// What a plugin says of one of its actions.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ActionDescription {
    /// Its name, as in the manifest.
    pub(crate) name: String,
    /// What it does, for people.
    #[serde(default, rename = "description")]
    _description: String,
    /// JSON Schema of its input.
    pub(crate) input_schema: Value,
    /// JSON Schema of its output.
    pub(crate) output_schema: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    #[serde(rename = "sdk")]
    _sdk: String,
    actions: Vec<ActionDescription>,
}

/// A package that was read and whose parts fit together. Nothing in it was run or compiled yet.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    /// Hash of the whole file.
    pub(crate) digest: Digest,
    /// Hash of the manifest's text.
    pub(crate) manifest_hash: Digest,
    /// The manifest.
    pub(crate) manifest: Manifest,
    /// Its actions, in the manifest's order.
    pub(crate) actions: Vec<ActionDescription>,
    /// The embedded description as it stands.
    pub(crate) schemas: Value,
    /// The README, empty where there is none.
    pub(crate) readme: String,
    /// Documents by path.
    pub(crate) resources: BTreeMap<String, Value>,
    /// Imported interfaces, sorted.
    pub(crate) imports: Vec<String>,
    /// Exported interfaces, sorted.
    pub(crate) exports: Vec<String>,
    /// What it says that it was built from.
    pub(crate) sbom: Option<Sbom>,
    /// Who signed it, as it says.
    pub(crate) signed: Signed,
    /// What a reviewer should look at.
    pub(crate) findings: Vec<Finding>,
}

impl Package {
    /// The powers of which it needs at least one line: without, its component cannot be linked.
    pub(crate) fn needed(&self) -> BTreeSet<Power> {
        power::needed(&self.imports)
    }

    /// As [`Self::read`], away from the async threads: hashing and parsing megabytes takes its time. Gives the bytes
    /// back.
    pub(crate) async fn read_blocking(bytes: Vec<u8>) -> Result<(Self, Vec<u8>), InstallError> {
        let read =
            tokio::task::spawn_blocking(move || Self::read(&bytes).map(|package| (package, bytes)));
        read.await
            .unwrap_or_else(|_| Err(unusable("the package could not be read: the host failed")))
    }

    /// Reads a package file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, InstallError> {
        refuse_what_is_no_component(bytes)?;
        let outline = Outline::read(bytes)?;
        let manifest_text = outline.text(MANIFEST)?.ok_or_else(|| {
            unusable("the component has no embedded manifest; make the package with `goldenpath plugin build`")
        })?;
        let manifest =
            Manifest::parse(manifest_text).map_err(|e| InstallError::Manifest(e.to_string()))?;
        let schemas_text = outline.text(SCHEMAS)?.ok_or_else(|| {
            unusable("the component has no embedded schemas; make the package with `goldenpath plugin build`")
        })?;
        let (schemas, actions) = describe(schemas_text, &manifest)?;
        let findings = power::check(&outline.imports, &outline.exports, &manifest)?;
        Ok(Self {
            digest: Digest::of(bytes),
            manifest_hash: Digest::of(manifest_text.as_bytes()),
            actions,
            schemas,
            readme: outline.text(README)?.unwrap_or_default().to_owned(),
            resources: resources(&outline)?,
            signed: Signed::read(bytes)?,
            sbom: outline.text(SBOM)?.map(sbom::read).transpose()?,
            imports: outline.imports.into_iter().collect(),
            exports: outline.exports.into_iter().collect(),
            findings,
            manifest,
        })
    }
}

/// Appends our sections to a component. The same parts give the same bytes.
pub(crate) fn assemble(
    component: &[u8],
    manifest: &str,
    description: &Value,
    readme: &str,
    resources: &BTreeMap<String, String>,
) -> Result<Vec<u8>, InstallError> {
    refuse_what_is_no_component(component)?;
    if let Some(name) = Outline::read(component)?.sections.keys().next() {
        return Err(unusable(format!(
            "the component has a section `{name}` already; start from the compiler's output"
        )));
    }
    let mut package = component.to_vec();
    append(&mut package, MANIFEST, manifest.as_bytes());
    append(&mut package, SCHEMAS, description.to_string().as_bytes());
    if !readme.is_empty() {
        append(&mut package, README, readme.as_bytes());
    }
    if !resources.is_empty() {
        let resources = Value::from_iter(resources.clone()).to_string();
        append(&mut package, RESOURCES, resources.as_bytes());
    }
    // What cannot be installed must not be built either.
    Package::read(&package)?;
    Ok(package)
}

/// Appends what a package was built from.
pub(crate) fn embed_sbom(package: &[u8], sbom: &Sbom) -> Result<Vec<u8>, InstallError> {
    let read = Package::read(package)?;
    let mut package = package.to_vec();
    let document = sbom::write(&read.manifest, sbom);
    append(&mut package, SBOM, document.to_string().as_bytes());
    Package::read(&package)?;
    Ok(package)
}

fn append(package: &mut Vec<u8>, name: &'static str, data: &[u8]) {
    CustomSection {
        name: Cow::Borrowed(name),
        data: Cow::Borrowed(data),
    }
    .append_to_component(package);
}

/// Refuses by the first bytes, before any parser sees the file.
pub(crate) fn refuse_what_is_no_component(bytes: &[u8]) -> Result<(), InstallError> {
    if bytes.len() > MAX_BYTES {
        return Err(unusable(format!(
            "the file has {} bytes; a package has at most {MAX_BYTES}",
            bytes.len()
        )));
    }
    if bytes.starts_with(b"\x7fELF") {
        return Err(unusable(
            "the file is precompiled machine code, not a component; install the `.wasm` that it was made from",
        ));
    }
    if !bytes.starts_with(b"\0asm") {
        let readable = std::str::from_utf8(bytes.get(..bytes.len().min(64)).unwrap_or_default());
        let is_text =
            readable.is_ok_and(|t| t.chars().all(|c| !c.is_control() || c.is_whitespace()));
        return Err(unusable(match (bytes.is_empty(), is_text) {
            (true, _) => "the file is empty; a package is a WebAssembly component (`.wasm`)",
            (_, true) => {
                "the file is text; a package is a WebAssembly component in binary form (`.wasm`)"
            }
            _ => "the file is not WebAssembly; a package is a WebAssembly component (`.wasm`)",
        }));
    }
    match bytes.get(4..8) {
        Some([0x0d, 0, 1, 0]) => Ok(()),
        Some([1, 0, 0, 0]) => Err(unusable(
            "the file is a core WebAssembly module, not a component; build it for the target `wasm32-wasip2`",
        )),
        Some(_) => Err(unusable(
            "the file is WebAssembly of a version that this host does not know",
        )),
        None => Err(unusable(
            "the file is cut off after the WebAssembly magic bytes",
        )),
    }
}

fn describe(
    text: &str,
    manifest: &Manifest,
) -> Result<(Value, Vec<ActionDescription>), InstallError> {
    let odd = |e: serde_json::Error| {
        unusable(format!(
            "section `{SCHEMAS}` is not a plugin's description: {e}"
        ))
    };
    let schemas = super::json::parse(text).map_err(odd)?;
    let description = Description::deserialize(&schemas).map_err(odd)?;
    let mut described: BTreeMap<_, _> = BTreeMap::new();
    for action in description.actions {
        if manifest.action(&action.name).is_none() {
            return Err(InstallError::Manifest(format!(
                "the plugin describes action `{}`, but plugin.toml has no `[[actions]]` of that name",
                shown(&action.name)
            )));
        }
        if let Some(twice) = described.insert(action.name.clone(), action) {
            return Err(unusable(format!(
                "the plugin describes action `{}` twice",
                twice.name
            )));
        }
    }
    let mut actions = Vec::new();
    for declared in &manifest.actions {
        let action = described.remove(&declared.name).ok_or_else(|| {
            InstallError::Manifest(format!(
                "plugin.toml declares action `{}`, but the plugin does not describe it",
                declared.name
            ))
        })?;
        for schema in [&action.input_schema, &action.output_schema] {
            super::schema::compile(schema).map_err(|e| {
                unusable(format!(
                    "a schema of action `{}` cannot be used: {e}",
                    action.name
                ))
            })?;
        }
        actions.push(action);
    }
    Ok((schemas, actions))
}

fn resources(outline: &Outline<'_>) -> Result<BTreeMap<String, Value>, InstallError> {
    let Some(embedded) = outline.text(RESOURCES)? else {
        return Ok(BTreeMap::new());
    };
    let files = super::json::parse_object(embedded).map_err(|e| {
        unusable(format!(
            "section `{RESOURCES}` is not a map of path to text: {e}"
        ))
    })?;
    let mut documents = BTreeMap::new();
    for (path, content) in files {
        let known = path.split_once('/').is_some_and(|(folder, name)| {
            ["actions", "blueprints", "scorecards"].contains(&folder)
                && name.ends_with(".json")
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        });
        if !known {
            return Err(unusable(format!(
                "the package ships `{}`; only `actions/*.json`, `blueprints/*.json` and `scorecards/*.json` are known",
                shown(&path)
            )));
        }
        let document = content
            .as_str()
            .ok_or_else(|| unusable(format!("`{path}` in the package is not text")))?;
        let document = super::json::parse(document)
            .map_err(|e| unusable(format!("`{path}` in the package is not JSON: {e}")))?;
        documents.insert(path, document);
    }
    Ok(documents)
}

pub(super) fn unusable(message: impl Into<String>) -> InstallError {
    InstallError::Unusable(message.into())
}

/// The beginning of a name that a stranger chose, for a message.
fn shown(text: &str) -> String {
    text.chars()
        .take(128)
        .flat_map(char::escape_debug)
        .collect()
}
