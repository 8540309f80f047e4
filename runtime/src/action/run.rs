//! Accepting runs and finding them again.

use serde_json::{Map, Value, json};
use tracing::Instrument as _;

use super::control::resolved_already;
use super::moves::{audit_claim, move_run};
use super::{Actions, Error, starter};
use crate::model::{
    ActionId, Actor, AuditEntry, EntityId, NewRun, Origin, Permission, Run, RunFilter, RunId,
    RunMove, RunOrigin, RunState, RunStep, StartKey, Timestamp, Verb, Violation,
};
use crate::store::{self, ReadTx, WriteTx};
use crate::trace::TraceParent;

pub(super) const RESOURCE: &str = "run";

/// Runs that one page of a list may have.
const MAX_PAGE: usize = 1_000;

/// Seconds after which it is worth asking again where the queue is full: long enough that those who ask do not keep it busy.
const QUEUE_FULL: u64 = 5;

/// The run that another one comes from.
#[derive(Clone, Debug, Default)]
pub(super) struct Whence {
    /// In which a plugin starts it.
    pub(super) origin: Option<RunOrigin>,
    /// That it does once more.
    pub(super) retry_of: Option<RunId>,
    /// How that one is moved with it: both or neither.
    pub(super) resolving: Option<RunMove>,
    /// With which it is asked for.
    pub(super) key: Option<Keyed>,
}

/// A run that is started once under its key, however often that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    pub(super) key: StartKey,
    /// What the run is called where it is new.
    pub(super) id: RunId,
}

impl Actions {
    /// Checks the inputs and puts a run on disk; a worker takes it from there.
    pub async fn start(
        &self,
        actor: &Actor,
        action: &ActionId,
        properties: Map<String, Value>,
        entity: Option<EntityId>,
    ) -> Result<Run, Error> {
        self.start_from(actor, action, properties, entity, Whence::default())
            .await
    }

    /// As [`Self::start`], but where the actor has started that with the same key before, it is the run of then: `true`
    /// says so.
    ///
    /// # Errors
    /// As [`Self::start`]; `Conflict` where something else was asked for with that key.
    pub async fn start_once(
        &self,
        actor: &Actor,
        action: &ActionId,
        properties: Map<String, Value>,
        entity: Option<EntityId>,
        key: StartKey,
    ) -> Result<(Run, bool), Error> {
        // Before anything is checked: the action may have changed since.
        if let Some(run) = self.find_asked(actor, action, &key).await? {
            return Ok((run, true));
        }
        let id = random_id()?;
        let whence = Whence {
            key: Some(Keyed {
                key,
                id: id.clone(),
            }),
            ..Whence::default()
        };
        let run = self.start_from(actor, action, properties, entity, whence);
        let run = run.await?;
        let was_asked = run.id != id;
        Ok((run, was_asked))
    }

    /// The run that the actor asked for with a key.
    pub(super) async fn find_asked(
        &self,
        actor: &Actor,
        action: &ActionId,
        key: &StartKey,
    ) -> Result<Option<Run>, Error> {
        let (caller, action, key) = (actor.name.clone(), action.clone(), key.clone());
        let read = move |tx: &ReadTx<'_>| asked(tx, &caller, &action, &key, Timestamp::now());
        self.inner.store.read(read).await
    }

    /// Starts a run once more that has ended, and moves it, where that is part of it.
    pub(super) async fn start_again(
        &self,
        actor: &Actor,
        run: &Run,
        whence: Whence,
    ) -> Result<Run, Error> {
        let whence = Whence {
            retry_of: Some(run.id.clone()),
            ..whence
        };
        let (properties, entity) = (run.properties.clone(), run.entity.clone());
        self.start_from(actor, &run.action, properties, entity, whence)
            .await
    }

    /// As [`Self::start`], where it comes from another run.
    pub(super) async fn start_from(
        &self,
        actor: &Actor,
        action: &ActionId,
        properties: Map<String, Value>,
        entity: Option<EntityId>,
        whence: Whence,
    ) -> Result<Run, Error> {
        let Whence {
            origin,
            retry_of,
            resolving,
            key,
        } = whence;
        let definition = self.find_saved(action).await?.value;
        let form = self
            .find_form(&definition)
            .await
            .map_err(|error| Error::Invalid {
                subject: format!("action `{action}`"),
                violations: vec![Violation::new("", "plugin", error.to_string())],
            })?;
        // What plugins may see beyond what people may is nothing to this: a run is about what its person may see.
        let person = Actor {
            origin: origin.as_ref().map_or(actor.origin, |_| Origin::Api),
            ..actor.clone()
        };
        let properties = self
            .check_start(&person, &definition, &form, properties, entity.as_ref())
            .await?;
        let new = NewRun {
            id: match &key {
                Some(keyed) => keyed.id.clone(),
                None => random_id()?,
            },
            blueprint: definition.blueprint().cloned(),
            definition,
            entity,
            properties,
            origin,
            retry_of,
        };
        let (actions, actor) = (self.clone(), actor.clone());
        // On a task of its own: a client that hangs up must not leave a run behind that no worker hears of.
        let with = (key, resolving);
        let accepted = async move { actions.accept(actor, new, with).await };
        let accepted = tokio::spawn(accepted.in_current_span());
        accepted
            .await
            .unwrap_or(Err(Error::Store(store::Error::Panicked)))
    }

    /// Puts a run on disk. Where a worker is free it takes in the same write the run whose turn it is, which is this one
    /// unless others wait: one commit less to wait for.
    async fn accept(
        self,
        actor: Actor,
        new: NewRun,
        (key, resolving): (Option<Keyed>, Option<RunMove>),
    ) -> Result<Run, Error> {
        let free = self.free_worker();
        let worker = free
            .as_ref()
            .map(|_| (self.inner.worker.clone(), self.room(1)));
        let trace = TraceParent::current().map(|parent| parent.to_string());
        let queue_limit = self.inner.settings.queue_limit;
        let resolved = resolving.as_ref().and(new.retry_of.clone());
        let turn = match &resolved {
            Some(of) => Some(self.inner.turns.take(of).await),
            None => None,
        };
        let (run, claim, is_new) = self
            .inner
            .store
            .write(move |tx| {
                let (action, key) = (&new.definition.identifier, key.map(|keyed| keyed.key));
                // Once more in the transaction that accepts it: of those that ask at the same time one is first.
                if let Some(key) = &key
                    && let Some(run) = asked(tx, &actor.name, action, key, Timestamp::now())?
                {
                    return Ok::<_, Error>((run, None, false));
                }
                check_room(tx, &actor.name, queue_limit)?;
                if let (Some(wanted), Some(of)) = (resolving, &new.retry_of)
                    && move_run(tx, Some(&actor), of, wanted, None)?.is_none()
                {
                    return Err(resolved_already(of));
                }
                if let Some(of) = &new.retry_of
                    && let Some(other) = tx.find_retry(of)?
                {
                    return Err(Error::Conflict {
                        code: "already_retried",
                        message: format!("run `{of}` was started once more already: run `{other}`"),
                    });
                }
                let run = accept(tx, &actor, &new)?;
                if let Some(parent) = &trace {
                    tx.insert_run_trace(&run.id, parent)?;
                }
                if let Some(key) = &key {
                    tx.insert_start_key(&run, key)?;
                }
                let claims = match worker {
                    Some((worker, room)) => tx.claim_next(&worker, room)?,
                    None => Vec::new(),
                };
                for claim in &claims {
                    audit_claim(tx, &claim.run)?;
                }
                Ok((run, claims.into_iter().next(), true))
            })
            .await?;
        if let Some(of) = resolved.filter(|_| is_new) {
            let resolved = self.inner.store.read(move |tx| tx.find_run(&of)).await;
            if let Ok::<_, store::Error>(Some(resolved)) = resolved {
                self.tell(&resolved, false).await;
            }
        }
        drop(turn);
        if !is_new {
            return Ok(run);
        }
        self.inner.events.begin(&run);
        let own = claim.as_ref().filter(|claim| claim.run.id == run.id);
        let run = own.map_or(run, |claim| claim.run.clone());
        if run.state == RunState::Queued {
            self.inner.wake.notify_one();
        }
        if let (Some(claim), Some(permit)) = (claim, free) {
            drop(tokio::spawn(self.execute(claim, permit)));
        }
        Ok(run)
    }

    /// A run that the actor may see; `NotFound` otherwise.
    pub async fn find_run(&self, actor: &Actor, id: &RunId) -> Result<Run, Error> {
        let wanted = id.clone();
        let found = self
            .inner
            .store
            .read(move |tx| tx.find_run(&wanted))
            .await?;
        found
            // Whether somebody else's run exists is nobody's business either.
            .filter(|run| actor.may(Permission::ReadAllRuns) || run.created_by == actor.name)
            .ok_or_else(|| Error::NotFound(format!("run `{id}`")))
    }

    /// What a run has done so far, as far as that is on disk.
    pub async fn list_steps(&self, id: &RunId) -> Result<Vec<RunStep>, Error> {
        let id = id.clone();
        Ok(self.inner.store.read(move |tx| tx.list_steps(&id)).await?)
    }

    /// Runs that the actor may see, newest first.
    pub async fn list_runs(&self, actor: &Actor, mut filter: RunFilter) -> Result<Vec<Run>, Error> {
        if !actor.may(Permission::ReadAllRuns) {
            if filter
                .created_by
                .as_ref()
                .is_some_and(|wanted| *wanted != actor.name)
            {
                return Ok(Vec::new());
            }
            filter.created_by = Some(actor.name.clone());
        }
        filter.limit = filter.limit.min(MAX_PAGE);
        Ok(self
            .inner
            .store
            .read(move |tx| tx.list_runs(&filter))
            .await?)
    }
}

/// Refuses a run where as many wait as may: what is accepted is on disk until it was carried out. Half of the places are
/// for others than the one who has the most.
fn check_room(tx: &ReadTx<'_>, caller: &str, limit: u32) -> Result<(), Error> {
    let (length, own_limit) = (tx.find_queue_length(caller)?, limit.div_ceil(2));
    let message = if length.own >= u64::from(own_limit) {
        format!(
            "{} runs of `{caller}` wait already, which is as many as one person may have (half of `--queue-limit`)",
            length.own
        )
    } else if length.all >= u64::from(limit) {
        format!(
            "{} runs wait already, which is as many as may (`--queue-limit`)",
            length.all
        )
    } else {
        return Ok(());
    };
    Err(Error::QueueFull {
        message: format!("{message}; nothing was started, ask again in {QUEUE_FULL} s"),
        retry_after: QUEUE_FULL,
    })
}

/// The run that somebody asked for with a key.
fn asked(
    tx: &ReadTx<'_>,
    caller: &str,
    action: &ActionId,
    key: &StartKey,
    now: Timestamp,
) -> Result<Option<Run>, Error> {
    match tx.find_asked(caller, action, key, now)? {
        Some(asked) if !asked.is_same => Err(Error::Conflict {
            code: "idempotency_key_reused",
            message: format!(
                "with this key something else was asked for of action `{action}`: run `{}`; take a new key for another run",
                asked.run.id
            ),
        }),
        asked => Ok(asked.map(|asked| asked.run)),
    }
}

fn accept(tx: &WriteTx<'_>, actor: &Actor, new: &NewRun) -> Result<Run, Error> {
    let root = match &new.origin {
        Some(origin) => Some(starter::check_chain(tx, &origin.parent, &new.definition)?),
        None => None,
    };
    let run = tx.insert_run(actor, new, root.as_ref())?;
    let mut told = json!({ "action": run.action, "entity": run.entity, "properties": run.properties, "runAs": new.definition.run_as() });
    if let (Some(origin), Some(told)) = (&new.origin, told.as_object_mut()) {
        let by = json!({ "run": origin.parent, "plugin": origin.plugin, "digest": origin.digest });
        told.insert("startedBy".to_owned(), by);
        told.insert("onBehalfOf".to_owned(), json!(actor.name));
    }
    if let (Some(of), Some(told)) = (&new.retry_of, told.as_object_mut()) {
        told.insert("retryOf".to_owned(), json!(of));
    }
    tx.insert_audit(&AuditEntry {
        actor: &Actor {
            run: Some(run.id.clone()),
            ..actor.clone()
        },
        verb: Verb::Create,
        resource: RESOURCE,
        identifier: run.id.to_string(),
        before: None,
        after: Some(told),
    })?;
    Ok(run)
}

/// `r_` and sixteen letters and digits: nobody guesses 95 bits.
pub(super) fn random_id() -> Result<RunId, Error> {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = "r_".to_owned();
    loop {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)?;
        for byte in bytes {
            // The last eight values would make the first letters more likely than the others.
            if let Some(letter) = ALPHABET
                .get(usize::from(byte) % ALPHABET.len())
                .filter(|_| byte < 248)
            {
                id.push(char::from(*letter));
            }
            if id.len() == 18
                && let Ok(id) = RunId::parse(id.as_str())
            {
                return Ok(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_runs_are_well_formed_and_differ() {
        let ids: std::collections::BTreeSet<RunId> =
            (0..100).map(|_| random_id().unwrap()).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.as_str().len() == 18));
    }
}
