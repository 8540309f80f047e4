//! The sandbox: the only module that knows wasmtime.
//!
//! A package is read (`package`, `manifest`), reviewed (`review`, `grant`), compiled (`engine`), linked with exactly
//! what was granted (`linker`) and called in an instance of its own (`instance`, `limits`). Each power is one file
//! under `capability`.

mod bindings;
mod budget;
mod capability;
mod engine;
mod error;
mod grant;
mod install;
mod instance;
mod json;
mod limits;
mod linker;
mod loaded;
mod manifest;
mod package;
mod review;
mod schema;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

pub use error::{CallError, InstallError, ReviewError, StartError};

use self::bindings::{Call, Failure};
use self::budget::Budget;
use self::capability::files::Folders;
use self::capability::log::LogBook;
use self::engine::Compiler;
use self::grant::{Effective, Grant};
use self::instance::{Backend, Caller, Provision};
use self::loaded::{Loaded, Shelf};
use self::package::Package;
use crate::catalog::Catalog;
use crate::model::{
    Actor, Digest, EventBody, Finding, PluginName, PluginState, RunId, Timestamp, Violation,
};
use crate::store::{Store, StoredPlugin};

/// Everything about plugins: install, review, call. Clones share it.
#[derive(Clone, Debug)]
pub struct PluginHost {
    backend: Backend,
    compiler: Compiler,
    shelf: Arc<Shelf>,
    /// One for each slot of the pool: a call waits for its slot, it is not turned away.
    slots: Arc<Semaphore>,
    /// `true` once all guests have to end.
    stop: Arc<watch::Sender<bool>>,
}

/// Where the sandbox keeps its things and what no grant can go beyond.
#[derive(Clone, Debug)]
pub struct PluginSettings {
    /// The data folder; `cache/` and `files/` are made in it.
    pub data_dir: PathBuf,
    /// Whether a grant may allow private, loopback and link-local addresses at all.
    pub allow_private: bool,
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

impl PluginHost {
    /// Sets up the sandbox.
    ///
    /// # Errors
    /// This machine cannot run it, or the data folder refuses.
    pub fn new(
        store: Store,
        catalog: Catalog,
        settings: PluginSettings,
    ) -> Result<Self, StartError> {
        let mut token = [0_u8; 8];
        getrandom::fill(&mut token).map_err(|e| StartError::Engine(e.to_string()))?;
        let folders = Folders::new(&settings.data_dir, data_encoding::HEXLOWER.encode(&token));
        Ok(Self {
            backend: Backend {
                store,
                catalog,
                folders: Arc::new(folders),
            },
            compiler: Compiler::open(&settings.data_dir)?,
            shelf: Arc::default(),
            slots: Arc::new(Semaphore::new(engine::GUESTS as usize)),
            stop: Arc::new(watch::Sender::new(false)),
        })
    }

    /// Whether guests get their memory from a pool, which is faster, or one by one.
    pub fn is_pooled(&self) -> bool {
        self.compiler.is_pooled()
    }

    /// Ends all guests at once and starts none any more.
    pub fn shutdown(&self) {
        self.stop.send_replace(true);
    }

    /// The input schema of one action of the active, or an exact, version.
    ///
    /// # Errors
    /// There is no such plugin, version or action.
    pub async fn find_input_schema(
        &self,
        plugin: &PluginName,
        version: Option<&semver::Version>,
        action: &str,
    ) -> Result<Value, CallError> {
        let stored = self.stored(plugin, version).await?;
        let loaded = self
            .load(stored.version.digest)
            .await
            .map_err(CallError::Host)?;
        Ok(loaded
            .action(action)
            .ok_or_else(|| no_action(plugin, action))?
            .input_schema
            .clone())
    }

    /// Carries out one call in a fresh instance. Dropping the future ends the guest.
    ///
    /// # Errors
    /// See [`CallError`]: each has a code of its own.
    pub async fn call_action(&self, call: ActionCall) -> Result<Value, CallError> {
        let stored = self.stored(&call.plugin, call.version.as_ref()).await?;
        let grant = permitted(&stored)?;
        let loaded = self
            .load(stored.version.digest)
            .await
            .map_err(CallError::Host)?;
        let action = loaded
            .action(&call.action)
            .ok_or_else(|| no_action(&call.plugin, &call.action))?;
        let broken = schema::violations(&action.input, &call.input);
        if !broken.is_empty() {
            return Err(CallError::InvalidInput(broken));
        }
        let power = Arc::new(Effective::of(&loaded.package.manifest, &grant));
        let pre = loaded.prelinked(&power.powers()).map_err(CallError::Host)?;
        let request = Call {
            action: call.action,
            run_id: call.run.to_string(),
            input: call.input.to_string(),
            entity: call.entity.map(|entity| entity.to_string()),
            requested_by: call.actor.name.clone(),
        };
        let provision = Provision {
            book: LogBook::new(call.sink, power.limits.get(Budget::Log)),
            caller: Caller {
                plugin: call.plugin,
                digest: stored.version.digest,
                run: call.run,
                actor: call.actor,
                at: call.at,
            },
            power: Arc::clone(&power),
            backend: Some(self.backend.clone()),
        };
        let mut stop = self.stop.subscribe();
        let _slot = tokio::select! {
            slot = self.slots.acquire() => slot.map_err(|_| CallError::Stopped)?,
            _ = stop.wait_for(|stopped| *stopped) => return Err(CallError::Stopped),
        };
        let answer = instance::run(&pre, provision, &request, stop).await?;
        let output = answer.map_err(failure)?;
        accept(&output, power.limits.get(Budget::Output), &action.output)
    }

    /// The version that a call means.
    async fn stored(
        &self,
        plugin: &PluginName,
        version: Option<&semver::Version>,
    ) -> Result<StoredPlugin, CallError> {
        let (name, exact) = (plugin.clone(), version.cloned());
        let found = self.backend.store.read(move |tx| match &exact {
            Some(version) => tx.find_plugin(&name, version),
            None => tx.find_active_plugin(&name),
        });
        let found = found.await.map_err(|e: crate::store::Error| {
            tracing::error!(error = %e, %plugin, "a plugin could not be read");
            CallError::Host("the plugin could not be read from the store".to_owned())
        })?;
        found.ok_or_else(|| match version {
            Some(version) => CallError::Refused(format!(
                "plugin `{plugin}` has no version {version}; install it first"
            )),
            None => CallError::NotActive(format!(
                "plugin `{plugin}` has no active version; install and approve one"
            )),
        })
    }

    /// The package of a digest, compiled; from memory where it was used before.
    async fn load(&self, digest: Digest) -> Result<Arc<Loaded>, String> {
        if let Some(loaded) = self.shelf.find(digest) {
            return Ok(loaded);
        }
        let bytes = self
            .backend
            .store
            .read(move |tx| tx.find_plugin_package(digest))
            .await;
        let bytes = bytes.map_err(|e: crate::store::Error| {
            tracing::error!(error = %e, %digest, "a package could not be read");
            "the package could not be read from the store".to_owned()
        })?;
        let bytes = bytes.ok_or_else(|| format!("the package {digest} is not in the store"))?;
        // The approval is of these bytes and no others.
        if Digest::of(&bytes) != digest {
            return Err(format!(
                "the stored package is not the one that was approved ({digest})"
            ));
        }
        let loaded = self.compile(bytes).await?;
        Ok(self.shelf.keep(loaded))
    }

    async fn compile(&self, bytes: Vec<u8>) -> Result<Loaded, String> {
        let package = Package::read(&bytes).map_err(|e| e.to_string())?;
        let component = self.compiler.load(bytes.into(), package.digest).await?;
        Loaded::new(package, component)
    }
}

/// The grant of a version that may run.
fn permitted(stored: &StoredPlugin) -> Result<Grant, CallError> {
    let version = &stored.version;
    let why = match version.state {
        PluginState::Active => None,
        // An action may pin a version that was approved before.
        PluginState::Superseded => None,
        PluginState::Pending => Some("waits for a reviewer; approve it first"),
        PluginState::Rejected => Some("was rejected by a reviewer"),
        PluginState::Revoked => Some("was revoked"),
    };
    if let Some(why) = why {
        return Err(CallError::NotActive(format!(
            "plugin `{}` {} {why}",
            version.name, version.version
        )));
    }
    let grant = stored
        .grant
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok());
    // A grant that cannot be read allows nothing, not everything.
    grant.ok_or_else(|| {
        CallError::NotActive(format!(
            "the grant of plugin `{}` {} cannot be read; approve it again",
            version.name, version.version
        ))
    })
}

fn no_action(plugin: &PluginName, action: &str) -> CallError {
    let shown: String = action.chars().take(64).collect();
    CallError::Refused(format!(
        "plugin `{plugin}` has no action `{shown}`; its plugin.toml lists those that it has"
    ))
}

/// Takes over what a guest answered, as far as it keeps to its limits and its own schema.
fn accept(output: &str, most: u64, schema: &jsonschema::Validator) -> Result<Value, CallError> {
    if output.len() as u64 > most {
        return Err(CallError::OverBudget {
            budget: Budget::Output.key(),
            granted: Budget::Output.render(most),
        });
    }
    let value = json::parse(output).map_err(|e| {
        CallError::InvalidOutput(vec![Violation::new(
            "",
            "json",
            format!("the output is not JSON: {e}"),
        )])
    })?;
    match schema::violations(schema, &value) {
        broken if broken.is_empty() => Ok(value),
        broken => Err(CallError::InvalidOutput(broken)),
    }
}

/// Takes over how a guest says that it failed; it chooses the texts.
fn failure(failure: Failure) -> CallError {
    let text = |text: String, most: usize| -> String {
        text.chars()
            .take(most)
            .flat_map(|c| {
                if c.is_control() {
                    c.escape_unicode().to_string()
                } else {
                    c.to_string()
                }
                .chars()
                .collect::<Vec<_>>()
            })
            .collect()
    };
    match failure {
        Failure::UnknownAction(name) => CallError::Refused(format!(
            "the plugin says that it has no action `{}`",
            text(name, 64)
        )),
        Failure::InvalidInput(violations) => CallError::InvalidInput(
            violations
                .into_iter()
                .take(100)
                .map(|v| Violation::new(text(v.path, 500), &text(v.rule, 64), text(v.message, 500)))
                .collect(),
        ),
        Failure::Failed(failed) => {
            let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let code = match failed.code {
                code if (1..=64).contains(&code.len()) && code.chars().all(snake) => code,
                _ => "failed".to_owned(),
            };
            CallError::Failed {
                code,
                message: text(failed.message, 4_000),
            }
        }
    }
}

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
    /// Interfaces that the component imports.
    pub imports: Vec<String>,
    /// Interfaces that the component exports.
    pub exports: Vec<String>,
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
    Ok(Inspection {
        digest: package.digest,
        manifest_hash: package.manifest_hash,
        requested: package.manifest.lines(),
        reasons: package.manifest.reasons,
        name: package.manifest.name,
        version: package.manifest.version,
        title: package.manifest.title,
        description: package.manifest.description,
        imports: package.imports,
        exports: package.exports,
        findings: package.findings,
        schemas: package.schemas,
        readme: package.readme,
        resources: package.resources,
        size,
    })
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
    let provision = Provision {
        book: LogBook::new(Arc::new(Nowhere), 0),
        caller: Caller {
            plugin: PluginName::parse("describe").map_err(|e| host(e.to_string()))?,
            digest,
            run: RunId::parse("r_describe").map_err(|e| host(e.to_string()))?,
            actor: Actor::system(),
            at: Timestamp(0),
        },
        power,
        backend: None,
    };
    let description =
        instance::describe(&pre, provision, watch::Sender::new(false).subscribe()).await?;
    let mut actions = Vec::new();
    for action in description.actions {
        let schema = |text: &str| {
            json::parse(text).map_err(|e| {
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
