//! Self-service actions and their runs. Knows no SQL, no HTTP and nothing of the sandbox's inside.

mod definition;
mod error;
mod event;
mod input;
mod rule;
mod run;
mod schema;
mod template;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

pub use error::Error;
pub use rule::parse_action;

use crate::catalog::Catalog;
use crate::jq::Jq;
use crate::plugin::PluginHost;
use crate::store::Store;
use event::Events;

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
}

/// How runs are worked off.
#[derive(Clone, Debug)]
pub struct ActionSettings {
    /// Runs that are carried out at once.
    pub workers: usize,
    /// How long a stop waits for those that are being carried out.
    pub grace: Duration,
}

impl Default for ActionSettings {
    /// Two runs per core, since most wait for the network; ten seconds to end them.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers: cores * 2,
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
        Self {
            inner: Arc::new(Inner {
                store,
                catalog,
                plugins,
                jq,
                settings,
                events,
                wake: Notify::new(),
            }),
        }
    }
}
