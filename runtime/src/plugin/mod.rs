//! The sandbox: the only module that knows wasmtime.

mod error;

use std::sync::Arc;

use serde_json::Value;

pub use error::{CallError, InstallError, ReviewError, StartError};

use crate::catalog::Catalog;
use crate::model::{
    Actor, Approval, CapabilityReport, EventBody, PluginName, PluginVersion, RunId, Timestamp,
};
use crate::store::Store;

/// Everything about plugins: install, review, call. Clones share it.
#[derive(Clone, Debug)]
pub struct PluginHost {
    store: Store,
    catalog: Catalog,
}

/// One call of a plugin's function.
pub struct ActionCall {
    /// Which plugin.
    pub plugin: PluginName,
    /// An exact version; absent: the active one.
    pub version: Option<semver::Version>,
    /// The function's name in the manifest.
    pub action: String,
    /// Its input; checked against the embedded schema before guest code runs.
    pub input: Value,
    /// The entity that the run works on, as the API shows it.
    pub entity: Option<Value>,
    /// The run that the call belongs to.
    pub run: RunId,
    /// On whose behalf.
    pub actor: Actor,
    /// When the run started: what a plugin without `clock` takes for the time.
    pub at: Timestamp,
    /// Where log lines, progress and links go.
    pub sink: Arc<dyn EventSink>,
}

/// Takes what a guest says while it runs. Must not block: it is called on the guest's own task.
pub trait EventSink: Send + Sync {
    /// One log line, progress mark or link, already bounded and escaped.
    fn emit(&self, event: EventBody);
}

/// Where the sandbox keeps its things and what no grant can go beyond.
#[derive(Clone, Debug)]
pub struct PluginSettings {
    /// The data folder; `cache/` and `files/` are made in it.
    pub data_dir: std::path::PathBuf,
    /// Whether a grant may allow private, loopback and link-local addresses at all.
    pub allow_private: bool,
}

impl PluginHost {
    /// Sets up the sandbox.
    pub fn new(
        store: Store,
        catalog: Catalog,
        settings: PluginSettings,
    ) -> Result<Self, StartError> {
        todo!()
    }

    /// Checks a package and stores it as a version: `pending`, or `active` where nothing new is asked.
    pub async fn install(
        &self,
        actor: &Actor,
        package: Vec<u8>,
    ) -> Result<PluginVersion, InstallError> {
        todo!()
    }

    /// Every plugin's versions, by name, newest first within a name.
    pub async fn list_versions(
        &self,
        name: Option<&PluginName>,
    ) -> Result<Vec<PluginVersion>, crate::store::Error> {
        todo!()
    }

    /// One version, whatever its state.
    pub async fn find_version(
        &self,
        name: &PluginName,
        version: &semver::Version,
    ) -> Result<PluginVersion, ReviewError> {
        todo!()
    }

    /// What a version asks for, what it was granted, and what its component imports.
    pub async fn find_report(
        &self,
        name: &PluginName,
        version: &semver::Version,
    ) -> Result<CapabilityReport, ReviewError> {
        todo!()
    }

    /// Documents that the package ships, path (`actions/x.json`, `blueprints/…`, `scorecards/…`) to JSON.
    pub async fn find_resources(
        &self,
        name: &PluginName,
        version: &semver::Version,
    ) -> Result<std::collections::BTreeMap<String, Value>, ReviewError> {
        todo!()
    }

    /// Lets a version run, with what was granted; the version that ran before is superseded.
    pub async fn approve(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: &semver::Version,
        approval: Approval,
    ) -> Result<PluginVersion, ReviewError> {
        todo!()
    }

    /// Refuses a pending version.
    pub async fn reject(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: &semver::Version,
        reason: &str,
    ) -> Result<PluginVersion, ReviewError> {
        todo!()
    }

    /// Forbids a version that was approved; no call of it starts any more.
    pub async fn revoke(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: &semver::Version,
        reason: &str,
    ) -> Result<PluginVersion, ReviewError> {
        todo!()
    }

    /// Ends all guests at once and starts none any more.
    pub fn shutdown(&self) {
        todo!()
    }

    /// The input schema of one action of the active, or an exact, version.
    pub async fn find_input_schema(
        &self,
        plugin: &PluginName,
        version: Option<&semver::Version>,
        action: &str,
    ) -> Result<Value, CallError> {
        todo!()
    }

    /// Carries out one call in a fresh instance. Dropping the future ends the guest.
    pub async fn call_action(&self, call: ActionCall) -> Result<Value, CallError> {
        todo!()
    }
}

/// Asks a freshly built component, in the sandbox with nothing granted, what it is:
/// `{"sdk", "actions": [{"name", "description", "inputSchema", "outputSchema"}]}`.
pub async fn describe(component: Vec<u8>) -> Result<Value, CallError> {
    todo!()
}

/// Everything that a reviewer can know from a package file alone.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Hash of the whole file.
    pub digest: crate::model::Digest,
    /// Hash of the manifest alone.
    pub manifest_hash: crate::model::Digest,
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
    /// Interfaces that the component imports.
    pub imports: Vec<String>,
    /// Interfaces that the component exports.
    pub exports: Vec<String>,
    /// What a reviewer should look at.
    pub findings: Vec<crate::model::Finding>,
    /// The embedded description with the schemas of its actions.
    pub schemas: Value,
    /// The embedded README, empty where there is none.
    pub readme: String,
    /// Documents that it ships, by path.
    pub resources: std::collections::BTreeMap<String, Value>,
    /// Size of the file in bytes.
    pub size: usize,
}

/// Reads a package without running anything.
pub fn inspect(package: &[u8]) -> Result<Inspection, InstallError> {
    todo!()
}

/// Embeds manifest, description, README and shipped documents (path to text) in a component: the package.
pub fn assemble(
    component: &[u8],
    manifest: &str,
    description: &Value,
    readme: &str,
    resources: &std::collections::BTreeMap<String, String>,
) -> Result<Vec<u8>, InstallError> {
    todo!()
}
