//! Starting runs for guests: which is done by the floor above, and handed in with each call.

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::model::{ActionId, EntityId, RunId, RunOrigin, RunStatus, Violation};

/// Starts runs on behalf of whoever asked for the run that a guest works in.
pub trait RunStarter: Send + Sync {
    /// Puts a run on disk; does not wait for its end.
    fn start(&self, wanted: StartRun) -> BoxFuture<'_, Result<RunId, NotStarted>>;

    /// How far a run is; nothing where that cannot be said.
    fn status(&self, run: RunId) -> BoxFuture<'_, Option<RunStatus>>;
}

/// A run that a guest wants to be started, and may as far as its grant goes.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// Of which action.
    pub action: ActionId,
    /// With which inputs.
    pub properties: Map<String, Value>,
    /// On which entity.
    pub entity: Option<EntityId>,
    /// Where it comes from.
    pub origin: RunOrigin,
}

/// Why a run was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// Whoever asked for the guest's run may not start it.
    Forbidden(String),
    /// There is no such action.
    NotFound(String),
    /// Its inputs or its entity do not fit.
    Invalid(Vec<Violation>),
    /// Runs that start runs are at their bound.
    Refused(String),
    /// The portal cannot do it now.
    Unavailable,
}
