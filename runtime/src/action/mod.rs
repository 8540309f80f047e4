//! Self-service actions and their runs.

mod error;

use serde_json::{Map, Value};

pub use error::Error;

use crate::catalog::Catalog;
use crate::model::{Action, ActionId, Actor, EntityId, Run, RunEvent, RunFilter, RunId, Stamped};
use crate::plugin::PluginHost;
use crate::store::{Store, WriteTx};

/// Actions and runs. Clones share it.
#[derive(Clone, Debug)]
pub struct Actions {
    store: Store,
    catalog: Catalog,
    plugins: PluginHost,
}

impl Actions {
    pub async fn list(&self) -> Result<Vec<Stamped<Action>>, Error> {
        todo!()
    }

    pub async fn find(&self, id: &ActionId) -> Result<Stamped<Action>, Error> {
        todo!()
    }

    pub async fn create(&self, actor: &Actor, action: Action) -> Result<Stamped<Action>, Error> {
        todo!()
    }

    pub async fn replace(
        &self,
        actor: &Actor,
        id: &ActionId,
        action: Action,
    ) -> Result<Stamped<Action>, Error> {
        todo!()
    }

    pub async fn delete(&self, actor: &Actor, id: &ActionId) -> Result<(), Error> {
        todo!()
    }

    /// Puts one action in place within a caller's transaction; whether it was created, changed or just so already.
    pub fn apply_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        action: Action,
    ) -> Result<crate::catalog::Applied, Error> {
        todo!()
    }

    /// Checks the inputs and puts a run on disk; a worker takes it from there.
    pub async fn start(
        &self,
        actor: &Actor,
        action: &ActionId,
        properties: Map<String, Value>,
        entity: Option<EntityId>,
    ) -> Result<Run, Error> {
        todo!()
    }

    /// A run that the actor may see; `NotFound` otherwise.
    pub async fn find_run(&self, actor: &Actor, id: &RunId) -> Result<Run, Error> {
        todo!()
    }

    /// Runs that the actor may see, newest first.
    pub async fn list_runs(&self, actor: &Actor, filter: RunFilter) -> Result<Vec<Run>, Error> {
        todo!()
    }

    /// What happened in a run after a sequence number, at most `limit`.
    pub async fn list_events(
        &self,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<RunEvent>, Error> {
        todo!()
    }

    /// Returns when the run may have changed since `seen` (an earlier answer of this function, 0 at first).
    pub async fn wait_for_change(&self, run: &RunId, seen: u64) -> u64 {
        todo!()
    }
}
