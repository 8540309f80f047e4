//! Everything around a package file that needs no data folder: reading, building, describing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::capability::line::Line;
use super::capability::log::LogBook;
use super::denial::Denials;
use super::engine::Compiler;
use super::error::{CallError, InstallError};
use super::grant::Effective;
use super::instance::{self, Caller, Provision};
use super::journal::Pages;
use super::manifest::Manifest;
use super::package::{self, Package};
use super::risk::mark;
use super::signature::{self, SigningKey};
use super::trust::{Revoked, TrustPolicy};
use super::usage::Tally;
use super::{EventSink, json as strict, loaded};
use crate::model::{
    Actor, Digest, EventBody, Finding, LineRisk, PluginName, Provenance, RunId, Sbom,
    SecretRequest, Timestamp,
};

/// Everything that a reviewer can know from a package file alone.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Hash of the whole file.
    pub digest: Digest,
    /// Hash of the manifest alone.
    pub manifest_hash: Digest,
    /// Name in the manifest.
    pub name: PluginName,
    /// Version in the manifest.
    pub version: semver::Version,
    /// Title in the manifest.
    pub title: String,
    /// Description in the manifest.
    pub description: String,
    /// Canonical lines that it asks for, sorted.
    pub requested: Vec<String>,
    /// Why it asks, by line.
    pub reasons: BTreeMap<String, String>,
    /// How much harm each line could do, budgets aside.
    pub risks: Vec<LineRisk>,
    /// Endpoint name to its default URL.
    pub endpoints: BTreeMap<String, Option<String>>,
    /// Secret name to how the host attaches it; which stored one it is, an approval says.
    pub secrets: BTreeMap<String, SecretRequest>,
    /// Interfaces that the component imports.
    pub imports: Vec<String>,
    /// Interfaces that the component exports.
    pub exports: Vec<String>,
    /// What it says that it was built from; absent where it says nothing.
    pub sbom: Option<Sbom>,
    /// Who signed it; nobody is trusted by the file alone.
    pub provenance: Provenance,
    /// What a reviewer should look at.
    pub findings: Vec<Finding>,
    /// The embedded description with the schemas of its actions.
    pub schemas: Value,
    /// The embedded README, empty where there is none.
    pub readme: String,
    /// Documents that it ships, by path.
    pub resources: BTreeMap<String, Value>,
    /// Size of the file in bytes.
    pub size: usize,
}

/// Reads a package without running anything.
///
/// # Errors
/// The file is no package that could be installed.
pub fn inspect(package: &[u8]) -> Result<Inspection, InstallError> {
    let size = package.len();
    let package = Package::read(package)?;
    let request = package.manifest.request.iter().cloned();
    let risks = request.filter_map(|capability| mark(&Line::Capability(capability)));
    let mut risks: Vec<LineRisk> = risks.collect();
    risks.sort_unstable_by(|a, b| a.line.cmp(&b.line));
    let trust = TrustPolicy::default();
    let provenance = trust.judge(&package.signed, Timestamp(0), &Revoked::default());
    let secrets = package.manifest.secret_requests();
    Ok(Inspection {
        risks,
        secrets: secrets.collect(),
        digest: package.digest,
        manifest_hash: package.manifest_hash,
        requested: package.manifest.lines(),
        reasons: package.manifest.reasons,
        name: package.manifest.name,
        version: package.manifest.version,
        title: package.manifest.title,
        description: package.manifest.description,
        endpoints: package.manifest.endpoints,
        imports: package.imports,
        exports: package.exports,
        sbom: package.sbom,
        provenance,
        findings: package.findings,
        schemas: package.schemas,
        readme: package.readme,
        resources: package.resources,
        size,
    })
}

/// Reads the text of a `plugin.toml` alone, before anything is compiled for it.
///
/// # Errors
/// It is no manifest that this host takes; the text names key and line.
pub fn check_manifest(manifest: &str) -> Result<(), InstallError> {
    Manifest::parse(manifest)
        .map(drop)
        .map_err(|error| InstallError::Manifest(error.to_string()))
}

/// Embeds manifest, description, README and shipped documents (path to text) in a component: the package.
///
/// # Errors
/// The parts do not fit together: what could not be installed is not built.
pub fn assemble(
    component: &[u8],
    manifest: &str,
    description: &Value,
    readme: &str,
    resources: &BTreeMap<String, String>,
) -> Result<Vec<u8>, InstallError> {
    package::assemble(component, manifest, description, readme, resources)
}

/// Embeds what a package was built from, as a CycloneDX document. The same parts give the same bytes.
///
/// # Errors
/// The bytes are no package, say already what they were built from, or the document would be too large to be read back.
pub fn embed_sbom(package: &[u8], sbom: &Sbom) -> Result<Vec<u8>, InstallError> {
    package::embed_sbom(package, sbom)
}

/// Adds a signature to a package, which is known by another digest then.
///
/// # Errors
/// The file is no package that could be installed, or the key has signed it already.
pub fn sign(package: &[u8], key: &SigningKey) -> Result<Vec<u8>, InstallError> {
    Package::read(package)?;
    signature::sign(package, key)
}

/// Whether a package has the signatures that a policy asks for, if it were to come in at that time.
///
/// # Errors
/// The file is no package that could be installed, or [`InstallError::Untrusted`] says what is missing.
pub fn verify(
    package: &[u8],
    policy: &TrustPolicy,
    at: Timestamp,
) -> Result<Provenance, InstallError> {
    Ok(policy.admit(&Package::read(package)?, at, &Revoked::default())?)
}

/// Asks a freshly built component, in the sandbox with nothing granted, what it is:
/// `{"sdk", "actions": [{"name", "description", "inputSchema", "outputSchema"}]}`.
///
/// # Errors
/// The component cannot be compiled, or its `describe` ended badly.
pub async fn describe(component: Vec<u8>) -> Result<Value, CallError> {
    struct Nowhere;
    impl EventSink for Nowhere {
        fn emit(&self, _: EventBody) {}
    }
    let host = |message: String| CallError::Host(message);
    package::refuse_what_is_no_component(&component).map_err(|e| host(e.to_string()))?;
    let compiler = Compiler::throwaway().map_err(|e| host(e.to_string()))?;
    let digest = Digest::of(&component);
    let component = compiler
        .load(component.into(), digest)
        .await
        .map_err(host)?;
    let pre = loaded::prelink_to_describe(&component).map_err(host)?;
    let power = Arc::new(Effective::nothing());
    let caller = Caller {
        plugin: PluginName::parse("describe").map_err(|e| host(e.to_string()))?,
        digest,
        run: RunId::parse("r_describe").map_err(|e| host(e.to_string()))?,
        actor: Actor::system(),
        at: Timestamp(0),
    };
    let provision = Provision {
        book: LogBook::new(Arc::new(Nowhere), 0),
        denials: Arc::new(Denials::new(caller.clone(), None, Arc::default())),
        caller,
        tally: Tally::new(Arc::clone(&power)),
        power,
        backend: None,
        runs: None,
        pages: Pages::default(),
    };
    // Kept until the end: without a sender the guest would count as stopped.
    let stop = watch::Sender::new(None);
    let description = instance::describe(&pre, provision, stop.subscribe()).await?;
    let mut actions = Vec::new();
    for action in description.actions {
        let schema = |text: &str| {
            strict::parse(text).map_err(|e| {
                host(format!(
                    "a schema of action `{}` is not JSON: {e}",
                    action.name
                ))
            })
        };
        actions.push(json!({
            "name": action.name,
            "description": action.description,
            "inputSchema": schema(&action.input_schema)?,
            "outputSchema": schema(&action.output_schema)?,
        }));
    }
    Ok(json!({ "sdk": description.sdk, "actions": actions }))
}
