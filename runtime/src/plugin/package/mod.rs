//! A package: one component file that carries its own manifest, schemas, README and documents.

#[cfg(test)]
pub(super) mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use wasm_encoder::{ComponentSection as _, CustomSection};
use wasmparser::{Encoding, Parser, Payload};

use super::capability::{Capability, Power};
use super::error::InstallError;
use super::manifest::Manifest;
use crate::model::{Digest, Finding};

/// The largest package; a component of a megabyte is already a big one.
pub(crate) const MAX_BYTES: usize = 32 << 20;

/// The track of `goldenpath:plugin` that this host serves.
const TRACK: &str = "0.1";

const MANIFEST: &str = "goldenpath:manifest";
const SCHEMAS: &str = "goldenpath:schemas";
const README: &str = "goldenpath:readme";
const RESOURCES: &str = "goldenpath:resources";

/// Our sections and the most bytes of each: they are read by people and kept in memory.
const SECTIONS: [(&str, usize); 4] = [
    (MANIFEST, super::manifest::MAX_BYTES),
    (SCHEMAS, 2 << 20),
    (README, 256 << 10),
    (RESOURCES, 4 << 20),
];

/// Interfaces that every std program imports; they are linked inert and need no line.
const BASELINE: [&str; 18] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    "wasi:random/random",
];

/// The rest of the baseline: harmless, and seldom imported.
const BASELINE_RANDOM: [&str; 2] = ["wasi:random/insecure", "wasi:random/insecure-seed"];

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
    /// What a reviewer should look at.
    pub(crate) findings: Vec<Finding>,
}

/// A component before its parts are understood.
#[derive(Default)]
struct Outline<'a> {
    sections: BTreeMap<&'static str, &'a [u8]>,
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

impl Package {
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
        let manifest_text = text(&outline, MANIFEST)?.ok_or_else(|| {
            unusable("the component has no embedded manifest; make the package with `goldenpath plugin build`")
        })?;
        let manifest =
            Manifest::parse(manifest_text).map_err(|e| InstallError::Manifest(e.to_string()))?;
        let schemas_text = text(&outline, SCHEMAS)?.ok_or_else(|| {
            unusable("the component has no embedded schemas; make the package with `goldenpath plugin build`")
        })?;
        let (schemas, actions) = describe(schemas_text, &manifest)?;
        let findings = outline.check(&manifest)?;
        Ok(Self {
            digest: Digest::of(bytes),
            manifest_hash: Digest::of(manifest_text.as_bytes()),
            actions,
            schemas,
            readme: text(&outline, README)?.unwrap_or_default().to_owned(),
            resources: resources(&outline)?,
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
    let mut append = |name: &'static str, data: &[u8]| {
        CustomSection {
            name: Cow::Borrowed(name),
            data: Cow::Borrowed(data),
        }
        .append_to_component(&mut package);
    };
    append(MANIFEST, manifest.as_bytes());
    append(SCHEMAS, description.to_string().as_bytes());
    if !readme.is_empty() {
        append(README, readme.as_bytes());
    }
    if !resources.is_empty() {
        append(
            RESOURCES,
            Value::from_iter(resources.clone()).to_string().as_bytes(),
        );
    }
    // What cannot be installed must not be built either.
    Package::read(&package)?;
    Ok(package)
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

impl<'a> Outline<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, InstallError> {
        let broken = |e: wasmparser::BinaryReaderError| {
            unusable(format!(
                "the component is damaged or cut off at byte {}: {}",
                e.offset(),
                e.message()
            ))
        };
        let mut outline = Self::default();
        // 0 outside, 1 in the component itself, more in what is nested inside: only our own level speaks for us.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(broken)? {
                Payload::Version { encoding, .. } => {
                    depth += 1;
                    if depth == 1 && encoding != Encoding::Component {
                        return Err(unusable(
                            "the file is a core WebAssembly module, not a component",
                        ));
                    }
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 1 => {
                    outline.keep(section.name(), section.data())?
                }
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        outline
                            .imports
                            .insert(import.map_err(broken)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        outline
                            .exports
                            .insert(export.map_err(broken)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    fn keep(&mut self, name: &str, data: &'a [u8]) -> Result<(), InstallError> {
        let Some((name, most)) = SECTIONS.iter().find(|(known, _)| *known == name) else {
            return Ok(());
        };
        if data.len() > *most {
            return Err(unusable(format!(
                "section `{name}` has {} bytes; at most {most} are allowed",
                data.len()
            )));
        }
        match self.sections.insert(name, data) {
            // Two readers could take different ones for the truth.
            Some(_) => Err(unusable(format!("section `{name}` is there twice"))),
            None => Ok(()),
        }
    }

    /// Holds imports and exports against the manifest.
    fn check(&self, manifest: &Manifest) -> Result<Vec<Finding>, InstallError> {
        let mut used = BTreeSet::new();
        for import in &self.imports {
            if let Some(power) = power_of(import)? {
                used.insert(power);
            }
        }
        let declared: BTreeSet<_> = manifest.request.iter().map(Capability::power).collect();
        for (power, interface, table) in OUR_POWERS {
            if used.contains(&power) && !declared.contains(&power) {
                return Err(unusable(format!(
                    "the component imports `{interface}`, but its manifest has no `{table}`; declare what it needs there"
                )));
            }
        }
        for name in ["action", "descriptor"] {
            let exported =
                self.exports
                    .iter()
                    .filter_map(|e| split(e))
                    .any(|(interface, version)| {
                        interface.strip_prefix("goldenpath:plugin/") == Some(name)
                            && on_track(version)
                    });
            if !exported {
                return Err(unusable(format!(
                    "the component does not export `goldenpath:plugin/{name}@{TRACK}`; write the plugin with `goldenpath-sdk`"
                )));
            }
        }
        Ok(findings(manifest, &used, &self.imports))
    }
}

/// Powers that are visible as an import, with the manifest table that asks for them.
const OUR_POWERS: [(Power, &str, &str); 4] = [
    (
        Power::Catalog,
        "goldenpath:plugin/catalog",
        "[[capabilities.catalog]]",
    ),
    (
        Power::Files,
        "goldenpath:plugin/files",
        "[[capabilities.files]]",
    ),
    (
        Power::Http,
        "wasi:http/outgoing-handler",
        "[[capabilities.http]]",
    ),
    (
        Power::State,
        "goldenpath:plugin/state",
        "[capabilities.state]",
    ),
];

/// The power that an import stands for, `None` for the baseline; anything unknown is refused by name.
fn power_of(import: &str) -> Result<Option<Power>, InstallError> {
    let Some((interface, version)) = split(import) else {
        return Err(unusable(format!(
            "the component imports `{}`, which this host does not know",
            shown(import)
        )));
    };
    if let Some(ours) = interface.strip_prefix("goldenpath:plugin/") {
        if !on_track(version) {
            return Err(unusable(format!(
                "the plugin was built for `goldenpath:plugin@{}`; this host knows {TRACK}.x: rebuild it with the SDK of that version",
                shown(version)
            )));
        }
        return match ours {
            "types" | "log" => Ok(None),
            "catalog" => Ok(Some(Power::Catalog)),
            "files" => Ok(Some(Power::Files)),
            "state" => Ok(Some(Power::State)),
            _ => Err(unusable(format!(
                "the component imports `{}`, which this host does not know",
                shown(import)
            ))),
        };
    }
    if interface.starts_with("wasi:sockets/") {
        return Err(unusable(format!(
            "the component imports `{}`; plugins have no sockets, they send requests through `wasi:http`",
            shown(import)
        )));
    }
    if ["wasi:http/types", "wasi:http/outgoing-handler"].contains(&interface)
        && version.starts_with("0.2.")
    {
        return Ok(Some(Power::Http));
    }
    let baseline = BASELINE.contains(&interface) || BASELINE_RANDOM.contains(&interface);
    if baseline && version.starts_with("0.2.") {
        return Ok(None);
    }
    Err(unusable(format!(
        "the component imports `{}`, which this host does not know",
        shown(import)
    )))
}

fn findings(
    manifest: &Manifest,
    used: &BTreeSet<Power>,
    imports: &BTreeSet<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (power, interface, _) in OUR_POWERS {
        if used.contains(&power) {
            continue;
        }
        for capability in manifest.request.iter().filter(|c| c.power() == power) {
            findings.push(Finding {
                code: "unused_capability".to_owned(),
                message: format!(
                    "`{capability}` is asked for, but the component never imports `{interface}`"
                ),
            });
        }
    }
    let random = imports
        .iter()
        .any(|import| import.starts_with("wasi:random/random@"));
    if !random && manifest.request.contains(&Capability::Random) {
        findings.push(Finding {
            code: "unused_capability".to_owned(),
            message: "`random` is asked for, but the component never imports `wasi:random/random`"
                .to_owned(),
        });
    }
    findings
}

/// `ns:package/interface` and its version.
fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once('@')
        .filter(|(interface, _)| interface.contains(':') && interface.contains('/'))
}

fn on_track(version: &str) -> bool {
    version == TRACK
        || version
            .strip_prefix(TRACK)
            .is_some_and(|rest| rest.starts_with('.') && !rest.contains('-'))
}

fn text<'a>(outline: &Outline<'a>, name: &'static str) -> Result<Option<&'a str>, InstallError> {
    let decoded = outline
        .sections
        .get(name)
        .map(|bytes| std::str::from_utf8(bytes))
        .transpose();
    decoded.map_err(|e| {
        unusable(format!(
            "section `{name}` is not UTF-8 at byte {}",
            e.valid_up_to()
        ))
    })
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
    let Some(embedded) = text(outline, RESOURCES)? else {
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

fn unusable(message: impl Into<String>) -> InstallError {
    InstallError::Unusable(message.into())
}

/// The beginning of a name that a stranger chose, for a message.
fn shown(text: &str) -> String {
    text.chars()
        .take(128)
        .flat_map(char::escape_debug)
        .collect()
}
