//! The sandbox: the only module that knows wasmtime.
//!
//! A package is read (`package`, `manifest`), reviewed (`review`, `grant`), compiled (`engine`), linked with exactly
//! what was granted (`linker`) and called in an instance of its own (`instance`, `limits`). Each power is one file
//! under `capability`.

mod bindings;
mod budget;
mod call;
mod capability;
mod ceiling;
mod denial;
mod diff;
mod engine;
mod error;
mod grant;
mod inspect;
mod install;
mod instance;
mod journal;
mod json;
mod knob;
mod limits;
mod linker;
mod loaded;
mod manifest;
pub mod measure;
mod metrics;
mod package;
mod refused;
mod review;
mod risk;
mod running;
mod schema;
mod secret;
mod signature;
mod starter;
mod trust;
mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;

pub use call::Prepared;
pub use diff::diff;
pub use engine::worker::{self as compiler, CompilerProgram};
pub use error::{CallError, InstallError, ReviewError, StartError};
pub use inspect::{
    Inspection, assemble, check_manifest, describe, embed_sbom, inspect, sign, verify,
};
pub use install::Installed;
pub use journal::{BeginStep, Begun, Journal, Slept, StepRefusal};
#[cfg(feature = "remove-knobs")]
pub use knob::{KNOBS, Knob, remove_knob};
pub use manifest::MANIFEST_KEYS;
pub use running::{Interrupt, Interrupts};
pub use secret::{Redactor, SecretError, SecretKeyError, Secrets};
pub use signature::{KeyError, PublicKey, SigningKey};
pub use starter::{NotStarted, RunStarter, StartRun};
pub use trust::{Distrust, Revoked, RevokedChange, TrustPolicy};

use self::capability::files::Folders;
use self::capability::http::HttpClient;
use self::ceiling::HostCeiling;
use self::engine::Compiler;
use self::instance::Backend;
use self::loaded::{Loaded, Shelf};
use self::metrics::PluginMetrics;
use self::package::Package;
use self::running::Calls;
use self::trust::Trust;
use crate::catalog::Catalog;
use crate::model::{
    Actor, CallUsage, Digest, EventBody, PluginName, RunId, Timestamp, UpgradePolicy,
};
use crate::store::{self, Store};

/// Version of wasmtime, the sandbox's own; it does not say so itself.
pub const SANDBOX_VERSION: &str = "48.0.8";

/// Everything about plugins: install, review, call. Clones share it.
#[derive(Clone, Debug)]
pub struct PluginHost {
    backend: Backend,
    compiler: Compiler,
    shelf: Arc<Shelf>,
    /// One for each slot of the pool: a call waits for its slot, it is not turned away.
    slots: Arc<Semaphore>,
    /// Those under way.
    calls: Calls,
    policy: Arc<HostPolicy>,
    trust: Trust,
    metrics: PluginMetrics,
}

/// What the operator says about grants.
#[derive(Debug)]
struct HostPolicy {
    ceiling: HostCeiling,
    upgrades: UpgradePolicy,
    allow_private: bool,
    four_eyes: bool,
}

/// Where the sandbox keeps its things and what no grant can go beyond.
#[derive(Clone, Debug)]
pub struct PluginSettings {
    /// The data folder; `cache/` and `files/` are made in it.
    pub data_dir: PathBuf,
    /// How requests leave the house.
    pub egress: EgressSettings,
    /// Canonical lines, and `no KIND`: what no grant goes beyond.
    pub ceiling: Vec<String>,
    /// What becomes of versions that ask for nothing new.
    pub upgrades: UpgradePolicy,
    /// Whether who installed a package cannot approve it.
    pub four_eyes: bool,
    /// Where the portal itself listens: no grant can allow that.
    pub own_listener: Option<SocketAddr>,
    /// What compiles components; absent: this very process, which a component can then hold up.
    pub compiler: Option<CompilerProgram>,
}

/// How requests of plugins leave the house.
#[derive(Clone, Debug, Default)]
pub struct EgressSettings {
    /// Whether a grant may allow private, loopback and link-local addresses at all.
    pub allow_private: bool,
    /// The DNS server to ask; absent: whoever this machine asks.
    pub resolver: Option<SocketAddr>,
    /// The HTTP proxy that opens connections; absent: they are opened from here.
    pub proxy: Option<SocketAddr>,
    /// PEM text of certificate authorities to trust beside those of this machine.
    pub authorities: Option<Vec<u8>>,
    /// How many requests of all plugins may be on their way at a time; absent: 256.
    pub requests: Option<usize>,
    /// How many of one plugin, all its runs together; absent: 64.
    pub plugin_requests: Option<usize>,
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
    /// What starts runs for it; absent: it can start none.
    pub runs: Option<Arc<dyn RunStarter>>,
    /// What the run has done so far is written and read here; absent: no step can be taken.
    pub journal: Option<Arc<dyn Journal>>,
    /// Tells it to end early; absent: nobody does.
    pub interrupts: Option<Interrupts>,
}

/// Takes what a guest says while it runs. Must not block: it is called on the guest's own task.
pub trait EventSink: Send + Sync {
    /// One log line, progress mark or link, already bounded and escaped.
    fn emit(&self, event: EventBody);

    /// What the call used of what it was granted, once it has ended.
    fn count(&self, _: CallUsage) {}
}

/// Does what may take long on a thread of its own: how lines relate to lines takes the longer the more an author writes.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, store::Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| store::Error::Panicked)
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
        let ceiling = HostCeiling::parse(&settings.ceiling).map_err(StartError::Ceiling)?;
        let metrics = PluginMetrics::default();
        let http = HttpClient::new(&settings.egress, settings.own_listener)
            .map_err(StartError::Authorities)?
            .counted_by(metrics.clone());
        let folders = Folders::new(&settings.data_dir, data_encoding::HEXLOWER.encode(&token));
        Ok(Self {
            backend: Backend {
                store,
                catalog,
                folders: Arc::new(folders),
                http: Arc::new(http),
                secrets: None,
            },
            compiler: Compiler::open(&settings.data_dir, settings.compiler)?,
            shelf: Arc::default(),
            slots: Arc::new(Semaphore::new(engine::GUESTS as usize)),
            calls: Calls::default(),
            policy: Arc::new(HostPolicy {
                ceiling,
                upgrades: settings.upgrades,
                allow_private: settings.egress.allow_private,
                four_eyes: settings.four_eyes,
            }),
            trust: Trust::default(),
            metrics,
        })
    }

    /// The same, where packages have to be signed or are forbidden by name. Without it nobody has to sign.
    #[must_use]
    pub fn with_trust(mut self, policy: TrustPolicy, revoked: Revoked) -> Self {
        self.trust = Trust::new(policy, revoked);
        self
    }

    /// The same, with secrets that grants can bind. Without them every use of one is denied.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.backend.secrets = Some(secrets);
        self
    }

    /// Whether guests get their memory from a pool, which is faster, or one by one.
    pub fn is_pooled(&self) -> bool {
        self.compiler.is_pooled()
    }

    /// Ends all guests at once and starts none any more.
    pub fn shutdown(&self) {
        self.calls.close();
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
        let bytes = bytes.map_err(|e: store::Error| {
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
        let (package, bytes) = Package::read_blocking(bytes)
            .await
            .map_err(|e| e.to_string())?;
        let component = self.compiler.load(bytes.into(), package.digest).await?;
        Loaded::new(package, component)
    }
}
