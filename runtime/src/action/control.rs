//! What people do with runs that were accepted: cancel them, start them once more, say what became of them.

use serde_json::Value;
use tracing::Instrument as _;

use super::moves::audit_cancel;
use super::run::{Keyed, Whence, random_id};
use super::{Actions, Error};
use crate::model::{
    Actor, Permission, Run, RunAs, RunCause, RunFailure, RunId, RunMove, RunState, StartKey,
};
use crate::plugin::Interrupt;
use crate::store;

/// What a person found when they looked what became of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolution {
    /// It had been done, and this came of it.
    Done(Value),
    /// It had not been done; another run does it.
    Retry,
    /// It is not to be done any more.
    Abandon,
}

impl Actions {
    /// Ends a run: at once where it waits, within moments where a plugin is at work.
    ///
    /// # Errors
    /// `NotFound` for runs that the actor may not see, `Forbidden` for those that are not theirs to end, `Conflict` where
    /// it has ended.
    pub async fn cancel_run(&self, actor: &Actor, id: &RunId) -> Result<Run, Error> {
        let run = self.find_controlled(actor, id, "cancel").await?;
        if run.state.is_terminal() {
            return Err(ended(&run));
        }
        let (actions, actor, id) = (self.clone(), actor.clone(), id.clone());
        // On a task of its own: what is on disk has to reach the guest, whether or not the client still listens.
        let cancelled = async move { actions.cancel(&actor, &id).await };
        let cancelled = tokio::spawn(cancelled.in_current_span()).await;
        cancelled.unwrap_or(Err(Error::Store(store::Error::Panicked)))
    }

    async fn cancel(&self, actor: &Actor, id: &RunId) -> Result<Run, Error> {
        loop {
            let wanted = RunMove {
                failure: Some(RunFailure::new(
                    "cancelled",
                    format!(
                        "`{}` cancelled the run before a plugin was at work",
                        actor.name
                    ),
                )),
                by: Some(actor.name.clone()),
                ..RunMove::by(RunCause::Cancel)
            };
            let now = self.find_run(actor, id).await?;
            match now.state {
                RunState::Running => {
                    let (wanted, by) = (id.clone(), actor.clone());
                    let told = self.inner.store.write(move |tx| {
                        let told = tx.update_run_cancelled(&wanted, &by.name)?;
                        if let Some(run) = &told {
                            audit_cancel(tx, &by, run)?;
                        }
                        Ok::<_, store::Error>(told)
                    });
                    let Some(run) = told.await? else {
                        continue;
                    };
                    self.inner.under_way.interrupt(id, Interrupt::Cancelled);
                    // Where it ended in the same moment, nobody will come for the word.
                    let now = self.find_run(actor, id).await?;
                    if now.state != RunState::Running {
                        self.inner.under_way.forget(id);
                    }
                    return Ok(if now.state.is_terminal() { now } else { run });
                }
                state if state.is_terminal() => return Err(ended(&now)),
                _ => {
                    let moved = self.move_run(Some(actor.clone()), id, wanted, None).await?;
                    if let Some(run) = moved {
                        return Ok(run);
                    }
                }
            }
        }
    }

    /// Says what became of a run whose outcome is not known. Answers the run, and the one that does it once more.
    ///
    /// # Errors
    /// As [`Self::cancel_run`]; `Conflict` where the outcome is known.
    pub async fn resolve_run(
        &self,
        actor: &Actor,
        id: &RunId,
        resolution: Resolution,
    ) -> Result<(Run, Option<Run>), Error> {
        let run = self.find_controlled(actor, id, "resolve").await?;
        if run.state != RunState::OutcomeUnknown {
            return Err(Error::Conflict {
                code: "outcome_known",
                message: format!(
                    "run `{id}` is `{}`; only a run that is `outcome_unknown` is resolved",
                    run.state.as_str()
                ),
            });
        }
        let by = Some(actor.name.clone());
        let abandoned = |code: &str, message: String| RunMove {
            failure: Some(RunFailure::new(code, message)),
            by: by.clone(),
            ..RunMove::by(RunCause::ResolveAbandon)
        };
        let name = &actor.name;
        let wanted = match &resolution {
            Resolution::Done(output) => RunMove {
                output: Some(output.clone()),
                by: by.clone(),
                ..RunMove::by(RunCause::ResolveDone)
            },
            Resolution::Retry => abandoned(
                "retried",
                format!("`{name}` looked, and had another run do it once more"),
            ),
            Resolution::Abandon => abandoned(
                "abandoned",
                format!("`{name}` looked, and it is not to be done any more"),
            ),
        };
        if resolution != Resolution::Retry {
            let moved = self.move_run(Some(actor.clone()), id, wanted, None).await?;
            return Ok((moved.ok_or_else(|| resolved_already(id))?, None));
        }
        // With the new run, in one transaction: there is none where that one cannot be started.
        let whence = Whence {
            resolving: Some(wanted),
            ..Whence::default()
        };
        let again = self.start_again(actor, &run, whence).await?;
        Ok((self.find_run(actor, id).await?, Some(again)))
    }

    /// Starts a run that ended badly once more: a new run with the same inputs, of the action as it is now.
    ///
    /// # Errors
    /// As [`Self::start`]; `Conflict` where it has not ended, ended well, or its outcome is not known.
    pub async fn retry_run(&self, actor: &Actor, id: &RunId) -> Result<Run, Error> {
        self.retry(actor, id, None).await
    }

    /// As [`Self::retry_run`], but where the actor has done that with the same key before, it is the run of then: `true`
    /// says so.
    ///
    /// # Errors
    /// As [`Self::retry_run`]; `Conflict` where something else was asked for with that key.
    pub async fn retry_run_once(
        &self,
        actor: &Actor,
        id: &RunId,
        key: StartKey,
    ) -> Result<(Run, bool), Error> {
        let run = self.find_controlled(actor, id, "retry").await?;
        if let Some(run) = self.find_asked(actor, &run.action, &key).await? {
            return Ok((run, true));
        }
        let new = random_id()?;
        let keyed = Keyed {
            key,
            id: new.clone(),
        };
        let run = self.retry(actor, id, Some(keyed)).await?;
        let was_asked = run.id != new;
        Ok((run, was_asked))
    }

    async fn retry(&self, actor: &Actor, id: &RunId, keyed: Option<Keyed>) -> Result<Run, Error> {
        let run = self.find_controlled(actor, id, "retry").await?;
        let (code, message) = match run.state {
            RunState::Succeeded => (
                "run_succeeded",
                "it ended well; start its action anew".to_owned(),
            ),
            RunState::OutcomeUnknown => (
                "outcome_unknown",
                "nobody knows what became of it; look, and resolve it as `retry`".to_owned(),
            ),
            state if !state.is_terminal() => (
                "run_active",
                format!("it is `{}`; cancel it first", state.as_str()),
            ),
            // With whose rights it works in the catalog is not for somebody else to change.
            _ if run.created_by != actor.name && self.works_as_person(id).await? => {
                return Err(Error::Forbidden {
                    message: format!(
                        "run `{id}` works with the rights of whoever asked for it (`runAs: user`); `{}` has to start it \
                         once more",
                        run.created_by
                    ),
                    reasons: Vec::new(),
                });
            }
            _ => {
                let whence = Whence {
                    key: keyed,
                    ..Whence::default()
                };
                return self.start_again(actor, &run, whence).await;
            }
        };
        Err(Error::Conflict {
            code,
            message: format!("run `{id}` is not started once more: {message}"),
        })
    }

    /// Whether a run works in the catalog with the rights of whoever asked for it.
    async fn works_as_person(&self, id: &RunId) -> Result<bool, Error> {
        let id = id.clone();
        let found = self
            .inner
            .store
            .read(move |tx| tx.find_run_definition(&id))
            .await?;
        // What cannot be read is taken for the worst.
        Ok(found.is_none_or(|definition| definition.run_as() == RunAs::User))
    }

    /// A run that is the actor's, or that they may see and manage.
    async fn find_controlled(&self, actor: &Actor, id: &RunId, what: &str) -> Result<Run, Error> {
        let run = self.find_run(actor, id).await?;
        if run.created_by == actor.name || actor.may(Permission::ManageRuns) {
            return Ok(run);
        }
        Err(Error::Forbidden {
            message: format!(
                "to {what} a run of somebody else takes `{}`, which role `{}` does not include; ask `{}`, or an \
                 administrator",
                Permission::ManageRuns.as_str(),
                actor.role.as_str(),
                run.created_by
            ),
            reasons: Vec::new(),
        })
    }
}

pub(super) fn resolved_already(id: &RunId) -> Error {
    Error::Conflict {
        code: "outcome_known",
        message: format!("run `{id}` was resolved by somebody else first"),
    }
}

fn ended(run: &Run) -> Error {
    Error::Conflict {
        code: "run_ended",
        message: format!("run `{}` has ended: it is `{}`", run.id, run.state.as_str()),
    }
}
