//! The composition root: puts the floors together, and does what needs several of them at once.

mod access;
mod apply;
mod backup;
mod export;
mod metrics;
mod prune;
mod rename;
mod trial;

pub use access::{
    Access, AccessError, AccessToken, LoginQuota, NewPrincipal, PrincipalChange, Team, TeamChange,
    WrittenUser,
};
pub use apply::{ApplyMode, ApproveError, Documents};
pub use backup::{Backup, BackupError, Backups, Manifest, RestoreError, restore, verify_archive};
pub use export::{Export, ExportError};
pub use metrics::{HttpMetrics, Metrics, MetricsError};
pub use prune::Prune;
pub use trial::{Part, Performed, Stage, Trial, TrialError, Trials};

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::action::{self, ActionSettings, Actions};
use crate::catalog::{self, Catalog, History};
use crate::config::{self, Config, ConfigError, RevokedLines};
use crate::jq::{self, Jq};
use crate::plugin::{
    CompilerProgram, EgressSettings, PluginHost, PluginSettings, Revoked, RevokedChange,
    SecretKeyError, Secrets, StartError, TrustPolicy,
};
use crate::store::{self, Store};

/// A list of authorities is some kilobytes; all public ones are a quarter of a megabyte.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// A place in the results of a search, as the doors hand it out and take it back.
pub use crate::store::Cursor as SearchCursor;

/// What the doors may know of the store: how it fails, which way the audit log is read, which formats it writes, and
/// how a folder is checked that nobody has open.
pub use crate::store::{
    Area, AuditMark, AuditOrder, Checkup, Error as StoreError, FORMATS, Formats,
    OpenError as FolderError, check_folder,
};

/// The whole portal, as the doors see it. Clones share it.
#[derive(Clone, Debug)]
pub struct App {
    /// Who may come in.
    pub access: Access,
    /// Blueprints and entities.
    pub catalog: Catalog,
    /// What was, and what changes.
    pub history: History,
    /// Copies of everything.
    pub backups: Backups,
    /// What plugins use without seeing it.
    pub secrets: Secrets,
    /// Plugins and their versions.
    pub plugins: PluginHost,
    /// Actions and their runs.
    pub actions: Actions,
    /// What is measured.
    pub metrics: Metrics,
    exports: Arc<Semaphore>,
    store: Store,
}

/// Why the portal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder refuses; it says itself why and what to do.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The stored secrets cannot be used; it says itself why and what to do.
    #[error(transparent)]
    Secrets(#[from] SecretKeyError),
    /// What an interrupted backup left cannot be removed.
    #[error("tidy up after a backup")]
    Backups(#[from] BackupError),
    /// The credentials cannot be read.
    #[error("open the credentials")]
    Access(#[from] AccessError),
    /// The sandbox cannot be set up.
    #[error(transparent)]
    Plugins(#[from] StartError),
    /// The certificate authorities that plugins' requests are to trust cannot be read.
    #[error("read the file of the setting `egress-ca-file`, `{}`", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The revocation list cannot be read; it says itself why.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The indexes of the catalog cannot be brought up to date.
    #[error("bring the indexes of the catalog up to date")]
    Catalog(#[from] catalog::Error),
    /// The runs of an earlier life cannot be put in order.
    #[error("take up the runs")]
    Actions(#[from] action::Error),
}

/// Why the revocation list that is in force stays so.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The list cannot be read.
    #[error(transparent)]
    Unreadable(#[from] OpenError),
    /// The file may be in the middle of being written.
    #[error(
        "the revocation file is empty, and {0} entries would come off the list; a file with nothing but a remark takes them off"
    )]
    Emptied(usize),
}

/// The settings of requests that plugins send, with the file read that one of them names.
fn egress(config: &Config) -> Result<EgressSettings, OpenError> {
    let read = |file: &PathBuf| {
        config::read_file(file, MAX_PEM_BYTES).map_err(|source| OpenError::Authorities {
            file: file.clone(),
            source,
        })
    };
    Ok(EgressSettings {
        allow_private: config.egress.allow_private,
        resolver: config.egress.resolver,
        proxy: config.egress.proxy,
        authorities: config.egress.ca_file.as_ref().map(read).transpose()?,
        requests: config.egress.requests,
        plugin_requests: config.egress.plugin_requests,
    })
}

impl App {
    /// Opens the data folder and starts the workers. `listener` is where the portal will be reached.
    pub async fn open(config: &Config, listener: Option<SocketAddr>) -> Result<Self, OpenError> {
        let store = Store::open(&config.data)?;
        let secrets = Secrets::open(store.clone(), &config.data, config.secret_key.clone()).await?;
        let backups = Backups::open(store.clone(), &config.data)?;
        let settings = PluginSettings {
            data_dir: config.data.clone(),
            egress: egress(config)?,
            ceiling: config.plugin_ceiling.clone(),
            upgrades: config.plugin_upgrades,
            four_eyes: config.plugin_four_eyes,
            own_listener: listener,
            compiler: Some(CompilerProgram::new(config.program.clone())),
        };
        let keys = &config.plugin_trusted_keys;
        let trust = TrustPolicy::parse(keys, config.plugin_signatures_required);
        let trust = trust.map_err(StartError::Trust)?;
        let revoked = parse_revoked(&config.read_revoked()?)?;
        let jq = Jq::new(
            config.program.clone(),
            vec![OsString::from(jq::worker::ARGUMENT)],
        );
        let catalog = Catalog::with_jq(store.clone(), Some(jq.clone()));
        catalog.catch_up().await?;
        let access = Access::open(store.clone(), catalog.clone()).await?;
        let plugins = PluginHost::new(store.clone(), catalog.clone(), settings)?
            .with_secrets(secrets.clone())
            .with_trust(trust, revoked);
        let settings = ActionSettings {
            workers: config.workers,
            plugin_runs: config.plugin_runs,
            queue_limit: config.queue_limit,
            ..ActionSettings::default()
        };
        let actions = Actions::new(
            store.clone(),
            catalog.clone(),
            plugins.clone(),
            jq,
            settings,
        );
        catalog.deriver().spawn().await;
        actions.spawn().await?;
        catalog
            .resume_migrations()
            .await
            .map_err(action::Error::from)?;
        Ok(Self {
            access,
            history: catalog.history(),
            metrics: Metrics::new(&store, &plugins, &actions),
            backups,
            secrets,
            catalog,
            plugins,
            actions,
            exports: Arc::new(Semaphore::new(export::AT_ONCE)),
            store,
        })
    }

    /// Reads again what plugins are forbidden by name, and ends the calls of those. The list that was in force stays so
    /// where it cannot be read.
    ///
    /// # Errors
    /// The file cannot be read, a line of it is not understood, or it has no byte any more.
    pub fn reload_revoked(&self, config: &Config) -> Result<RevokedChange, ReloadError> {
        let read = config.read_revoked().map_err(OpenError::from)?;
        let revoked = parse_revoked(&read)?;
        let lost = self.plugins.lost_by(&revoked);
        if read.is_file_empty && lost > 0 {
            return Err(ReloadError::Emptied(lost));
        }
        Ok(self.plugins.replace_revoked(revoked))
    }

    /// Ends all guests and lets the workers finish what they are writing.
    pub async fn shutdown(&self) {
        self.actions.shutdown().await;
        self.catalog.deriver().shutdown().await;
    }
}

fn parse_revoked(read: &RevokedLines) -> Result<Revoked, OpenError> {
    let revoked = Revoked::parse(read.lines.iter().map(String::as_str));
    Ok(revoked.map_err(StartError::Revoked)?)
}
