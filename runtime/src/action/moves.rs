//! Moving a run from one state to another: on disk, in the audit log, and told to its followers in that order.

use std::hash::{BuildHasher as _, RandomState};

use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};
use tracing::Instrument as _;

use super::worker::on_behalf;
use super::{Actions, request, run};
use crate::model::{
    Actor, AuditEntry, CallUsage, EventBody, Run, RunCause, RunFailure, RunId, RunMove, RunState,
    Verb,
};
use crate::store::{self, WriteTx};

/// Runs share this many turns: two that share one wait for each other, which costs less than a turn for each.
const TURNS: usize = 64;

/// Whose turn it is to move a run, so that its followers hear of its states in the order in which it entered them.
#[derive(Debug)]
pub(super) struct Turns {
    hasher: RandomState,
    turns: [Mutex<()>; TURNS],
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            turns: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Waits until nobody else moves the run.
    pub(super) async fn take(&self, run: &RunId) -> MutexGuard<'_, ()> {
        let turn = self.hasher.hash_one(run) as usize % TURNS;
        let [first, ..] = &self.turns;
        self.turns.get(turn).unwrap_or(first).lock().await
    }
}

impl Actions {
    /// Moves a run, where the table allows it from the state that it is in; `None` where it does not. `actor` is who does:
    /// absent, whoever asked for the run, for whom the engine works.
    pub(super) async fn move_run(
        &self,
        actor: Option<Actor>,
        id: &RunId,
        wanted: RunMove,
        usage: Option<CallUsage>,
    ) -> Result<Option<Run>, store::Error> {
        let (actions, id) = (self.clone(), id.clone());
        // On a task of its own: a client that hangs up must not leave a move behind that nobody is told of.
        let moved = async move { actions.move_in_turn(actor, &id, wanted, usage).await };
        let moved = tokio::spawn(moved.in_current_span()).await;
        moved.unwrap_or(Err(store::Error::Panicked))
    }

    async fn move_in_turn(
        &self,
        actor: Option<Actor>,
        id: &RunId,
        wanted: RunMove,
        usage: Option<CallUsage>,
    ) -> Result<Option<Run>, store::Error> {
        let ended_before = matches!(
            wanted.cause,
            RunCause::ResolveDone | RunCause::ResolveAbandon
        );
        let turn = self.inner.turns.take(id).await;
        let id = id.clone();
        let (moved, is_due) = self
            .inner
            .store
            .write(move |tx| {
                let moved = move_run(tx, actor.as_ref(), &id, wanted, usage.as_ref())?;
                // It may have left the place or the entity that others wait for, or wait itself now.
                let is_due = moved.is_some() && tx.has_ready()?;
                Ok::<_, store::Error>((moved, is_due))
            })
            .await?;
        if is_due {
            self.inner.wake.notify_one();
        }
        if let Some(run) = &moved {
            tracing::info!(run.id = %run.id, action = %run.action, state = run.state.as_str(), "a run was moved");
            self.tell(run, !ended_before).await;
        }
        drop(turn);
        Ok(moved)
    }

    /// Tells the followers of a run which state it has entered; `ends` where it had not ended before.
    pub(super) async fn tell(&self, run: &Run, ends: bool) {
        if run.state.is_terminal() {
            if ends {
                self.inner.events.metrics.ended(run);
            }
            self.inner.events.end(run).await;
            return;
        }
        let entered = (run.updated_at, EventBody::entered(run.state));
        self.inner
            .events
            .append(&run.id, run.created_at, vec![entered])
            .await;
    }
}

/// Moves a run within a transaction: its row, what its attempt used, and the audit log.
pub(super) fn move_run(
    tx: &WriteTx<'_>,
    actor: Option<&Actor>,
    id: &RunId,
    mut wanted: RunMove,
    usage: Option<&CallUsage>,
) -> Result<Option<Run>, store::Error> {
    let is_ended = wanted.cause == RunCause::Cancel && wanted.token.is_some();
    if (is_ended || goes_on(wanted.cause))
        && let Some(by) = tx.find_run(id)?.and_then(|run| run.cancelled_by)
    {
        // Whoever wanted it to end was heard, whether the guest was ended for it, or the attempt or the process came first.
        wanted = cancelled(wanted, by);
    }
    let Some(moved) = tx.move_run(id, &wanted)? else {
        return Ok(None);
    };
    // With the end of the attempt itself: what was used is known of every attempt that has ended, and of none twice.
    let run = moved.run;
    if let Some(usage) = usage {
        tx.add_plugin_usage(usage)?;
        request::audit(tx, &run, usage)?;
    }
    let asker = on_behalf(&run);
    let mut after = json!({ "state": run.state, "failure": run.failure });
    if let (Some(due), Some(after)) = (run.due_at, after.as_object_mut()) {
        after.insert("dueAt".to_owned(), json!(due));
    }
    tx.insert_audit(&AuditEntry {
        actor: &Actor {
            run: Some(run.id.clone()),
            ..actor.unwrap_or(&asker).clone()
        },
        verb: Verb::Update,
        resource: run::RESOURCE,
        identifier: run.id.to_string(),
        before: Some(json!({ "state": moved.from })),
        after: Some(after),
    })?;
    Ok(Some(run))
}

/// Writes into the audit log that a worker has taken a run.
pub(super) fn audit_claim(tx: &WriteTx<'_>, run: &Run) -> Result<(), store::Error> {
    tx.insert_audit(&AuditEntry {
        actor: &on_behalf(run),
        verb: Verb::Update,
        resource: run::RESOURCE,
        identifier: run.id.to_string(),
        before: Some(json!({ "state": RunState::Queued })),
        after: Some(json!({ "state": run.state, "attempt": run.attempts, "version": run.version })),
    })?;
    Ok(())
}

/// Writes into the audit log who wants a run to end that a plugin is at work on.
pub(super) fn audit_cancel(tx: &WriteTx<'_>, actor: &Actor, run: &Run) -> Result<(), store::Error> {
    tx.insert_audit(&AuditEntry {
        actor: &Actor {
            run: Some(run.id.clone()),
            ..actor.clone()
        },
        verb: Verb::Update,
        resource: run::RESOURCE,
        identifier: run.id.to_string(),
        before: Some(json!({ "state": run.state })),
        after: Some(json!({ "state": run.state, "cancelledBy": run.cancelled_by })),
    })?;
    Ok(())
}

/// Whether the run would be carried out once more after it.
fn goes_on(cause: RunCause) -> bool {
    // Not where nobody knows what became of it: that has to be looked at, whoever wanted it to end.
    matches!(
        cause,
        RunCause::Retry | RunCause::Sleep | RunCause::HandOver
    )
}

fn cancelled(wanted: RunMove, by: String) -> RunMove {
    let rest = match wanted.failure {
        Some(failure) if wanted.cause != RunCause::Cancel => {
            format!("; before that: {}", failure.message)
        }
        _ => String::new(),
    };
    let message = format!("`{by}` cancelled the run while the plugin was at work{rest}");
    RunMove {
        cause: RunCause::Cancel,
        failure: Some(RunFailure::new("cancelled", message)),
        due_at: None,
        by: Some(by),
        ..wanted
    }
}
