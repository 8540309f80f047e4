//! Self-service actions and their runs. Knows no SQL, no HTTP and nothing of the sandbox's inside.

mod context;
mod control;
mod definition;
mod error;
mod event;
mod explain;
mod feedback;
mod form;
mod input;
mod journal;
mod metrics;
mod moves;
mod outcome;
mod permission;
mod rename;
mod render;
mod request;
mod rule;
mod run;
mod schema;
mod starter;
mod statistics;
mod template;
mod timer;
mod trace;
mod under_way;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, Semaphore, watch};
use tokio::task::JoinHandle;

pub use control::Resolution;
pub use error::Error;
pub use explain::Explanation;
pub use form::{EvaluatedForm, EvaluatedInput};
pub use journal::RunJournal;
pub use permission::{Approvers, Ruling, parse_action_permissions};
pub use rename::{ActionsRenamed, Forms, longest_template};
pub use rule::parse_action;

use crate::catalog::Catalog;
use crate::jq::Jq;
use crate::plugin::PluginHost;
use crate::store::Store;
use event::Events;
use moves::Turns;
use under_way::UnderWay;
use worker::Phase;

/// Actions and runs. Clones share it.
#[derive(Clone, Debug)]
pub struct Actions {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    catalog: Catalog,
    plugins: PluginHost,
    jq: Jq,
    settings: ActionSettings,
    events: Events,
    /// Tells the dispatcher that there may be a queued run.
    wake: Notify,
    /// Tells the clock's keeper that there may be a run that is due sooner than the one it waits for.
    due: Notify,
    /// Those that plugins are at work on.
    under_way: UnderWay,
    /// Whose turn it is to move a run.
    turns: Turns,
    phase: watch::Sender<Phase>,
    /// The task that hands queued runs to workers.
    dispatcher: Mutex<Option<JoinHandle<()>>>,
    /// One permit per run that may be carried out at once.
    permits: Arc<Semaphore>,
    /// This start of this process, in the attempts of the runs that it carries out.
    worker: String,
}

/// How runs are worked off.
#[derive(Clone, Debug)]
pub struct ActionSettings {
    /// Runs that are carried out at once.
    pub workers: usize,
    /// Runs of one plugin that are carried out at once; absent: any number.
    pub plugin_runs: Option<u32>,
    /// Runs that may be queued; one person has at most half of these places.
    pub queue_limit: u32,
    /// How long a stop waits for those that are being carried out.
    pub grace: Duration,
}

impl Default for ActionSettings {
    /// Two runs per core, since most wait for the network; ten seconds to end them.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers: cores * 2,
            plugin_runs: None,
            queue_limit: 20_000,
            grace: Duration::from_secs(10),
        }
    }
}

impl Actions {
    /// The actions of a store. Runs are accepted from now on and worked off once workers are started.
    pub fn new(
        store: Store,
        catalog: Catalog,
        plugins: PluginHost,
        jq: Jq,
        settings: ActionSettings,
    ) -> Self {
        let events = Events::new(store.clone());
        // Without a single worker nothing would ever be done.
        let settings = ActionSettings {
            workers: settings.workers.clamp(1, Semaphore::MAX_PERMITS),
            ..settings
        };
        let permits = Arc::new(Semaphore::new(settings.workers));
        Self {
            inner: Arc::new(Inner {
                store,
                catalog,
                plugins,
                jq,
                settings,
                events,
                wake: Notify::new(),
                due: Notify::new(),
                under_way: UnderWay::default(),
                turns: Turns::new(),
                phase: watch::Sender::new(Phase::Waiting),
                dispatcher: Mutex::default(),
                permits,
                worker: worker::name_worker(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
