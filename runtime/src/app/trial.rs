//! One call of a plugin in a portal that is thrown away afterwards: the host that serves runs, over a data folder of its
//! own, with a grant of all that the manifest asks for and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::Value;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{App, ApplyMode, ApproveError, AuditOrder, Documents, OpenError};
use crate::action::{self, RunJournal};
use crate::catalog::{self, parse_blueprint};
use crate::config::{Config, ConfigError, Secret, Settings};
use crate::model::{
    Actor, Approval, AuditFilter, Binding, BlueprintId, EntityId, EventBody, IdentError, Origin,
    PluginName, Role, RunId, SecretName, SecretValue, Timestamp, Verb,
};
use crate::plugin::{
    ActionCall, CallError, EventSink, InstallError, ReviewError, SecretError, inspect,
};

/// Denials of one call that are read back; the host records fewer.
const DENIALS: usize = 1_000;

/// The largest file of a plugin that is read back.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Trials of one package, one after the other: each in a data folder of its own, so that none sees what another left.
#[derive(Debug)]
pub struct Trials {
    folder: TempDir,
    package: Vec<u8>,
    begun: usize,
}

/// What is there before the call.
#[derive(Debug, Default)]
pub struct Stage {
    /// The catalog; blueprints that the package ships need not be named.
    pub documents: Documents,
    /// What the plugin's folders hold, by folder and path.
    pub files: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Where the endpoints of the manifest are: addresses of this machine are allowed.
    pub endpoints: BTreeMap<String, String>,
    /// What the secrets of the manifest are; those that are not named get a value that stands for them.
    pub secrets: BTreeMap<String, SecretValue>,
}

/// The call itself.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which function of the plugin.
    pub action: String,
    /// What it is given.
    pub input: Value,
    /// The entity that it works on.
    pub entity: Option<(BlueprintId, EntityId)>,
    /// Who asks, with the rights of a developer.
    pub requested_by: String,
    /// When; what a plugin without `clock` takes for the time.
    pub at: Timestamp,
}

/// What came of the call.
#[derive(Debug)]
pub struct Performed {
    /// What the plugin answered, or how the call ended.
    pub result: Result<Value, CallError>,
    /// What it said.
    pub events: Vec<EventBody>,
    /// The lines that it was denied, sorted.
    pub denied: Vec<String>,
}

/// A portal with one active plugin in it.
#[derive(Debug)]
pub struct Trial {
    app: App,
    plugin: PluginName,
    data: PathBuf,
}

/// Why a call was not tried, or its traces cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The disk refuses the folder of the trial.
    #[error("use a temporary folder")]
    Folder(#[source] io::Error),
    /// A folder of the plugin cannot be filled or read.
    #[error("use `{path}` in folder `{folder}`")]
    File {
        /// The folder's name in the manifest.
        folder: String,
        /// Below it.
        path: String,
        #[source]
        source: io::Error,
    },
    /// The settings are not accepted.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The portal does not open.
    #[error("open a portal for the test")]
    Open(#[from] OpenError),
    /// The package cannot be installed.
    #[error("install the package")]
    Install(#[from] InstallError),
    /// The catalog refuses what is to be there before.
    #[error("put the catalog of the case in place")]
    Documents(#[source] action::Error),
    /// What the manifest asks for cannot be granted.
    #[error("approve the package")]
    Approve(#[from] ApproveError),
    /// What the manifest asks for cannot be read.
    #[error("read what the package asks for")]
    Review(#[from] ReviewError),
    /// A name is none.
    #[error(transparent)]
    Name(#[from] IdentError),
    /// A secret cannot be set.
    #[error("set secret `{0}`")]
    Secret(String, #[source] SecretError),
    /// The catalog cannot be read.
    #[error("read the catalog")]
    Catalog(#[from] catalog::Error),
}

impl Trials {
    /// Trials of a package.
    ///
    /// # Errors
    /// There is no room for temporary files.
    pub fn new(package: Vec<u8>) -> Result<Self, TrialError> {
        Ok(Self {
            folder: tempfile::tempdir().map_err(TrialError::Folder)?,
            package,
            begun: 0,
        })
    }

    /// Sets a portal up for one call. The one before has to be closed.
    ///
    /// # Errors
    /// The package or the stage is refused, by the rules that hold everywhere.
    pub async fn open(&mut self, stage: Stage) -> Result<Trial, TrialError> {
        let data = self.next_folder().map_err(TrialError::Folder)?;
        let settings = Settings {
            data: Some(data.clone()),
            // What a case is answered by listens on this machine, and so may what it is recorded from.
            egress_allow_private: Some(true),
            workers: Some(1),
            // In memory alone: what is left of a folder that nobody could clear away tells nothing.
            secret_key: Some(random_key().map_err(TrialError::Folder)?),
            ..Settings::default()
        };
        let app = App::open(&Config::load(None, settings)?, None).await?;
        match Trial::set(&app, data, &self.package, stage).await {
            Ok(trial) => Ok(trial),
            Err(error) => {
                app.shutdown().await;
                Err(error)
            }
        }
    }

    /// A new data folder. What was compiled for the last one goes along: it is the same package.
    fn next_folder(&mut self) -> io::Result<PathBuf> {
        let root = Dir::open_ambient_dir(self.folder.path(), ambient_authority())?;
        let (last, next) = (self.begun.to_string(), (self.begun + 1).to_string());
        self.begun += 1;
        root.create_dir(&next)?;
        let cache = format!("{last}/cache");
        if root.is_dir(&cache) {
            root.rename(&cache, &root, format!("{next}/cache"))?;
        }
        if root.is_dir(&last) {
            root.remove_dir_all(&last)?;
        }
        Ok(self.folder.path().join(next))
    }
}

impl Trial {
    async fn set(
        app: &App,
        data: PathBuf,
        package: &[u8],
        stage: Stage,
    ) -> Result<Self, TrialError> {
        let actor = Actor::system();
        let shipped = inspect(package)?.resources;
        let version = app.plugins.install(&actor, package.to_vec()).await?.version;
        let documents = with_shipped(stage.documents, shipped).map_err(TrialError::Documents)?;
        app.apply(&actor, documents, ApplyMode::Commit)
            .await
            .map_err(TrialError::Documents)?;
        let (name, version) = (version.name, version.version);
        let report = app.plugins.find_report(&name, &version).await?;
        let mut approval = Approval::of(&report);
        for (endpoint, url) in stage.endpoints {
            let binding = Binding {
                urls: vec![url],
                allow_private: true,
                allow_plaintext: true,
            };
            approval.bindings.insert(endpoint, binding);
        }
        for secret in report.secrets.into_keys() {
            let stored = SecretName::parse(secret.as_str())?;
            let given = stage.secrets.get(&secret).cloned();
            // A placeholder has a length that every secret may have.
            let Some(value) = given.or_else(|| placeholder(&secret)) else {
                continue;
            };
            app.secrets
                .set(&actor, stored, value)
                .await
                .map_err(|error| TrialError::Secret(secret.clone(), error))?;
            approval.secrets.insert(secret.clone(), secret);
        }
        app.approve_plugin(&actor, &name, &version, approval)
            .await?;
        let trial = Self {
            app: app.clone(),
            plugin: name,
            data,
        };
        for (folder, files) in &stage.files {
            for (path, bytes) in files {
                trial.put_file(folder, path, bytes)?;
            }
        }
        Ok(trial)
    }

    /// Calls the plugin, as a run would.
    ///
    /// # Errors
    /// The entity is not there, or what was denied cannot be read. How the call itself ended is a result.
    pub async fn call(&self, part: Part) -> Result<Performed, TrialError> {
        let entity = match &part.entity {
            Some((blueprint, id)) => {
                let found = self.app.catalog.find_entity(blueprint, id).await?;
                serde_json::to_value(found).ok()
            }
            None => None,
        };
        let run = RunId::parse("r_test")?;
        let heard = Arc::new(Heard::default());
        let call = ActionCall {
            plugin: self.plugin.clone(),
            version: None,
            action: part.action,
            input: part.input,
            entity,
            run: run.clone(),
            actor: Actor {
                name: part.requested_by,
                role: Role::Developer,
                teams: Vec::new(),
                origin: Origin::Plugin,
                run: Some(run.clone()),
                client: None,
                bound: false,
            },
            at: part.at,
            sink: Arc::clone(&heard) as Arc<dyn EventSink>,
            // There are no other actions here.
            runs: None,
            journal: Some(Arc::new(RunJournal::in_memory(run.clone()))),
            interrupts: None,
        };
        let result = self.app.plugins.call_action(call).await;
        let filter = AuditFilter {
            run: Some(run),
            verbs: vec![Verb::Deny],
            ..AuditFilter::default()
        };
        let order = AuditOrder::OldestFirst(0);
        let history = &self.app.history;
        let page = history
            .list(&Actor::system(), filter, order, DENIALS)
            .await?;
        let missing = |after: Option<Value>| Some(after?.get("missing")?.as_str()?.to_owned());
        let denied: BTreeSet<String> = page
            .rows
            .into_iter()
            .filter_map(|row| missing(row.after))
            .collect();
        Ok(Performed {
            result,
            events: heard.take(),
            denied: denied.into_iter().collect(),
        })
    }

    /// An entity as the API shows it; absent where there is none.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn find_entity(
        &self,
        blueprint: &BlueprintId,
        id: &EntityId,
    ) -> Result<Option<Value>, TrialError> {
        match self.app.catalog.find_entity(blueprint, id).await {
            Ok(found) => Ok(serde_json::to_value(found).ok()),
            Err(catalog::Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What a file of the plugin holds; absent where there is none.
    ///
    /// # Errors
    /// The disk refuses, or the path leads out of the folder.
    pub fn read_file(&self, folder: &str, path: &str) -> Result<Option<Vec<u8>>, TrialError> {
        let failed = |source| TrialError::File {
            folder: folder.to_owned(),
            path: path.to_owned(),
            source,
        };
        let read = || {
            let dir = self.folder(folder)?;
            let file = dir.open(path)?;
            if file.metadata()?.len() > MAX_FILE_BYTES {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            dir.read(path)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Ends the portal; what it left goes with the trials.
    pub async fn close(self) {
        self.app.shutdown().await;
    }

    fn put_file(&self, folder: &str, path: &str, bytes: &[u8]) -> Result<(), TrialError> {
        let put = || {
            let dir = self.folder(folder)?;
            if let Some((parent, _)) = path.rsplit_once('/') {
                dir.create_dir_all(parent)?;
            }
            dir.write(path, bytes)
        };
        put().map_err(|source| TrialError::File {
            folder: folder.to_owned(),
            path: path.to_owned(),
            source,
        })
    }

    /// Where a grant without a bound folder has it. Nothing leads out of the data folder.
    fn folder(&self, name: &str) -> io::Result<Dir> {
        let below = format!("files/{}/{name}", self.plugin);
        let data = Dir::open_ambient_dir(&self.data, ambient_authority())?;
        data.create_dir_all(&below)?;
        data.open_dir(&below)
    }
}

/// The documents of a case, and those blueprints of the package that the case does not have in a form of its own.
fn with_shipped(
    mut documents: Documents,
    shipped: BTreeMap<String, Value>,
) -> Result<Documents, action::Error> {
    for (path, value) in shipped {
        if path.starts_with("blueprints/") {
            let blueprint = parse_blueprint(value)?;
            let own = documents.blueprints.iter();
            let mut own = own.map(|own| &own.value.identifier);
            if own.all(|own| *own != blueprint.identifier) {
                documents.blueprints.push(blueprint.into());
            }
        }
    }
    Ok(documents)
}

/// A key for the secrets of one call.
fn random_key() -> io::Result<Secret> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    Ok(Secret::new(data_encoding::HEXLOWER.encode(&key)))
}

/// What stands for a secret that nobody needs. Its ends are no words: what a log line ends in is not taken for them.
fn placeholder(name: &str) -> Option<SecretValue> {
    let text = Zeroizing::new(format!("q7Zx.placeholder.of.{name}.xZ7q"));
    SecretValue::parse(text).ok()
}

/// Keeps what a plugin says; the plugin's own budget bounds it.
#[derive(Default)]
struct Heard(Mutex<Vec<EventBody>>);

impl EventSink for Heard {
    fn emit(&self, event: EventBody) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(event);
    }
}

impl Heard {
    fn take(&self) -> Vec<EventBody> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
