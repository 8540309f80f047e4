//! The sandbox: the only module that knows wasmtime.

mod error;

use std::sync::Arc;

use serde_json::Value;

pub use error::{CallError, InstallError};

use crate::catalog::Catalog;
use crate::model::{Actor, EventBody, PluginName, PluginVersion, RunId};
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
    /// Where log lines, progress and links go.
    pub sink: Arc<dyn EventSink>,
}

/// Takes what a guest says while it runs. Must not block: it is called on the guest's own task.
pub trait EventSink: Send + Sync {
    /// One log line, progress mark or link, already bounded and escaped.
    fn emit(&self, event: EventBody);
}

impl PluginHost {
    /// Checks a package and stores it as a version: `pending`, or `active` where nothing new is asked.
    pub async fn install(&self, actor: &Actor, package: Vec<u8>) -> Result<PluginVersion, InstallError> {
        todo!()
    }

    /// Every plugin's versions, by name, newest first within a name.
    pub async fn list_versions(&self, name: Option<&PluginName>) -> Result<Vec<PluginVersion>, crate::store::Error> {
        todo!()
    }

    /// The input schema of one action of the active, or an exact, version.
    pub async fn find_input_schema(&self, plugin: &PluginName, version: Option<&semver::Version>, action: &str) -> Result<Value, CallError> {
        todo!()
    }

    /// Carries out one call in a fresh instance. Dropping the future ends the guest.
    pub async fn call_action(&self, call: ActionCall) -> Result<Value, CallError> {
        todo!()
    }
}
