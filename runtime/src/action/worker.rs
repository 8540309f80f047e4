//! Working off queued runs: claim, carry out, end. A run ends exactly once, whatever goes wrong on the way.

use std::error::Error as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;

use super::event::Sink;
use super::starter::Starter;
use super::{Actions, Error, run};
use crate::model::{
    Action, Actor, AuditEntry, CallUsage, Claim, InvocationMethod, Origin, Run, RunAs, RunEnd,
    RunFailure, RunId, RunState, Timestamp, Verb, Violation,
};
use crate::plugin::{ActionCall, CallError, EventSink};
use crate::store::{self, WriteTx};

/// Runs that one write claims, so that a long queue does not cost a commit each.
const CLAIM: usize = 16;

/// Runs of an earlier life that one write ends.
const RECOVER: usize = 200;

/// How long to wait before a failed write of the engine is tried again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// How long ended guests have to get their last word on disk.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Length of a failure's message; a plugin chooses its own.
const MAX_MESSAGE: usize = 4_000;

/// Length of a failure's code.
const MAX_CODE: usize = 100;

/// Violations that a failure's message lists.
const LISTED: usize = 5;

/// Where the engine is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Accepts runs, carries none out.
    Waiting,
    /// Carries them out.
    Working,
    /// Finishes those at work, begins none.
    Stopping,
}

/// What a run leaves behind beside its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Left {
    /// Its links.
    pub(super) links: Vec<String>,
    /// What it used of its plugin's grant.
    pub(super) usage: Option<CallUsage>,
}

impl Left {
    fn links(links: Vec<String>) -> Self {
        Self {
            links,
            ..Self::default()
        }
    }
}

impl Actions {
    /// Starts the workers. Runs that were being carried out when the last process ended are ended first; queued ones
    /// go on.
    pub async fn spawn(&self) -> Result<(), Error> {
        self.end_interrupted().await?;
        let begins = self.inner.phase.send_if_modified(|phase| {
            let begins = *phase == Phase::Waiting;
            if begins {
                *phase = Phase::Working;
            }
            begins
        });
        if begins {
            let dispatcher = tokio::spawn(self.clone().dispatch());
            *self.inner.dispatcher.lock().await = Some(dispatcher);
        }
        Ok(())
    }

    /// Begins no more runs and waits for those at work; after the time of grace all guests are ended.
    pub async fn shutdown(&self) {
        self.inner.phase.send_replace(Phase::Stopping);
        if let Some(dispatcher) = self.inner.dispatcher.lock().await.take()
            && dispatcher.await.is_err()
        {
            tracing::error!("the dispatcher of runs panicked");
        }
        let all = u32::try_from(self.inner.settings.workers).unwrap_or(u32::MAX);
        if timeout(
            self.inner.settings.grace,
            self.inner.permits.acquire_many(all),
        )
        .await
        .is_err()
        {
            self.inner.plugins.shutdown();
            if timeout(LAST_WORD, self.inner.permits.acquire_many(all))
                .await
                .is_err()
            {
                tracing::warn!(
                    "runs were still at work at the stop; they end as `host_restarted` at the next start"
                );
            }
        }
        self.inner.plugins.shutdown();
    }

    /// A permit for one more run right now, if a worker is free.
    pub(super) fn free_worker(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.inner.permits).try_acquire_owned().ok()?;
        // Asked with the permit in hand: a stop waits for all permits, so it waits for this one.
        (*self.inner.phase.borrow() == Phase::Working).then_some(permit)
    }

    /// Carries out one claimed run and ends it.
    pub(super) async fn execute(self, claim: Claim, _permit: OwnedSemaphorePermit) {
        let Claim {
            run,
            definition,
            token,
        } = claim;
        let sink = Arc::new(Sink::starting(run.updated_at));
        let pump = tokio::spawn(self.inner.events.clone().pump(
            run.id.clone(),
            run.created_at,
            Arc::clone(&sink),
        ));
        let end = guarded(&run, self.carry_out(&run, &definition, &sink)).await;
        sink.close();
        // All that was logged is written before the run ends, so that its end is the last that is told.
        if pump.await.is_err() {
            tracing::error!(run.id = %run.id, "a run's log could not be written to its end");
        }
        let left = Left {
            links: sink.links(),
            usage: sink.usage(),
        };
        self.finish(&run.id, token, end, left).await;
    }

    async fn dispatch(self) {
        let mut phase = self.inner.phase.subscribe();
        let mut pause = RETRY.0;
        while let Some(first) = self.next_permit(&mut phase).await {
            let mut permits = vec![first];
            while let Some(more) = (permits.len() < CLAIM)
                .then(|| self.free_worker())
                .flatten()
            {
                permits.push(more);
            }
            let (worker, limit) = (self.inner.worker.clone(), permits.len());
            let claimed: Result<Vec<Claim>, store::Error> = self
                .inner
                .store
                .write(move |tx| tx.claim_next(&worker, limit))
                .await;
            let claims = match claimed {
                Ok(claims) => claims,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "queued runs could not be claimed"
                    );
                    drop(permits);
                    stopped_within(&mut phase, pause).await;
                    pause = (pause * 2).min(RETRY.1);
                    continue;
                }
            };
            pause = RETRY.0;
            let was_empty = claims.is_empty();
            let mut permits = permits.into_iter();
            for (claim, permit) in claims.into_iter().zip(permits.by_ref()) {
                tokio::spawn(self.clone().execute(claim, permit));
            }
            drop(permits);
            if was_empty {
                tokio::select! {
                    () = self.inner.wake.notified() => {}
                    _ = phase.wait_for(|phase| *phase == Phase::Stopping) => return,
                }
            }
        }
    }

    /// The next free worker, or nothing once the engine stops.
    async fn next_permit(
        &self,
        phase: &mut watch::Receiver<Phase>,
    ) -> Option<OwnedSemaphorePermit> {
        let permit = tokio::select! {
            permit = Arc::clone(&self.inner.permits).acquire_owned() => permit.ok()?,
            _ = phase.wait_for(|phase| *phase == Phase::Stopping) => return None,
        };
        (*phase.borrow() == Phase::Working).then_some(permit)
    }

    async fn carry_out(&self, run: &Run, definition: &Action, sink: &Arc<Sink>) -> RunEnd {
        let InvocationMethod::Plugin {
            plugin,
            version,
            action,
            ..
        } = &definition.invocation_method;
        let entity = match self.find_subject(run).await {
            Ok(None) if run.entity.is_some() => {
                let message =
                    "the entity that the run works on was deleted before a worker was free";
                return RunEnd::failed("entity_not_found", message);
            }
            Ok(entity) => entity,
            Err(error) => return host_error(run, &error),
        };
        let input = match self.render(run, definition, entity.as_ref()).await {
            Ok(Ok(input)) => input,
            Ok(Err(unrendered)) => {
                let code = if unrendered.is_host {
                    "host_error"
                } else {
                    "template_error"
                };
                return failed(code, &unrendered.to_string());
            }
            Err(error) => return host_error(run, &error),
        };
        // As late as can be: a run may have waited for long, and rendering takes its time too.
        let actor = match definition.run_as() {
            RunAs::Action => on_behalf(run),
            RunAs::User => match self.find_person(run).await {
                Ok(Some(person)) => Actor {
                    bound: true,
                    ..person
                },
                Ok(None) => return RunEnd::failed("person_gone", person_gone(run)),
                Err(error) => return host_error(run, &error),
            },
        };
        let call = ActionCall {
            plugin: plugin.clone(),
            version: version.clone(),
            action: action.clone(),
            input,
            entity,
            run: run.id.clone(),
            actor,
            at: run.updated_at,
            sink: Arc::clone(sink) as Arc<dyn EventSink>,
            runs: Some(Arc::new(Starter::new(self.clone(), run.clone()))),
        };
        match self.inner.plugins.call_action(call).await {
            Ok(output) => RunEnd::Succeeded(output),
            Err(error) => outcome(&error),
        }
    }

    /// Whoever asked for a run, with the role and the teams that they have now; nobody where they have no access to the
    /// portal any more.
    pub(super) async fn find_person(&self, run: &Run) -> Result<Option<Actor>, Error> {
        let asked = on_behalf(run);
        let name = asked.name.clone();
        let found = self.inner.store.read(move |tx| tx.find_credential(&name));
        let found: Result<_, store::Error> = found.await;
        Ok(found?.map(|credential| Actor {
            role: credential.principal.role,
            teams: credential.principal.teams,
            ..asked
        }))
    }

    /// Ends a run on disk, however long the disk refuses, and then tells its followers.
    pub(super) async fn finish(&self, id: &RunId, token: u64, end: RunEnd, left: Left) {
        let mut phase = self.inner.phase.subscribe();
        let mut pause = RETRY.0;
        loop {
            let (wanted, end, left) = (id.clone(), end.clone(), left.clone());
            let written = self
                .inner
                .store
                .write(move |tx| end_run(tx, &wanted, token, &end, &left))
                .await;
            match written {
                Ok(Some(run)) => {
                    tracing::info!(run.id = %run.id, action = %run.action, state = run.state.as_str(), "a run ended");
                    self.inner.events.end(&run).await;
                    return;
                }
                Ok(None) => {
                    tracing::warn!(run.id = %id, "a run was ended by somebody else first");
                    return;
                }
                Err(error) => {
                    let error: store::Error = error;
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a run's end could not be stored; trying again"
                    );
                }
            }
            if stopped_within(&mut phase, pause).await {
                return;
            }
            pause = (pause * 2).min(RETRY.1);
        }
    }

    /// Ends the runs that were being carried out when the last process ended: what became of them is not known, and
    /// to do it again could do it twice.
    async fn end_interrupted(&self) -> Result<(), Error> {
        loop {
            let ended: Vec<Run> = self
                .inner
                .store
                .write(|tx| {
                    let message = "the portal was restarted while the run was being carried out; look at what it left \
                                   behind before you start it again";
                    let end = RunEnd::failed("host_restarted", message);
                    let mut ended = Vec::new();
                    for (run, token) in tx.list_running(RECOVER)? {
                        ended.extend(end_run(tx, &run.id, token, &end, &Left::links(run.links))?);
                    }
                    Ok::<_, store::Error>(ended)
                })
                .await?;
            for run in &ended {
                tracing::warn!(run.id = %run.id, "a run was interrupted by a restart");
                self.inner.events.end(run).await;
            }
            if ended.is_empty() {
                return Ok(());
            }
        }
    }
}

/// What a piece of work comes to, even when it panics: that ends its run, never the process.
async fn guarded(run: &Run, work: impl Future<Output = RunEnd>) -> RunEnd {
    AssertUnwindSafe(Box::pin(work))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            tracing::error!(run.id = %run.id, "the worker of a run panicked");
            failed(
                "internal_error",
                "the portal failed while it carried out the run; its own log says more",
            )
        })
}

/// Which start of which process carries runs out: for people who look into the attempts.
pub(super) fn name_worker() -> String {
    format!("{}@{}", std::process::id(), Timestamp::now())
}

fn end_run(
    tx: &WriteTx<'_>,
    id: &RunId,
    token: u64,
    end: &RunEnd,
    left: &Left,
) -> Result<Option<Run>, store::Error> {
    let Some(run) = tx.finish_run(id, token, end, &left.links)? else {
        return Ok(None);
    };
    // With the end itself: what was used is known of every run that has ended, and of none twice.
    if let Some(usage) = &left.usage {
        tx.add_plugin_usage(usage)?;
    }
    tx.insert_audit(&AuditEntry {
        actor: &on_behalf(&run),
        verb: Verb::Update,
        resource: run::RESOURCE,
        identifier: run.id.to_string(),
        before: Some(json!({ "state": RunState::Running })),
        after: Some(json!({ "state": run.state, "failure": run.failure })),
    })?;
    Ok(Some(run))
}

/// Why nothing more is done for whoever asked for a run.
pub(super) fn person_gone(run: &Run) -> String {
    format!(
        "`{}`, who asked for this run, has no access to the portal any more",
        run.created_by
    )
}

/// Whoever asked, as far as the run is concerned.
pub(super) fn on_behalf(run: &Run) -> Actor {
    Actor {
        name: run.created_by.clone(),
        role: run.created_by_role,
        teams: run.created_by_teams.clone(),
        origin: Origin::Plugin,
        run: Some(run.id.clone()),
        client: None,
        bound: false,
    }
}

fn outcome(error: &CallError) -> RunEnd {
    let message = match error {
        CallError::InvalidInput(violations) | CallError::InvalidOutput(violations) => {
            format!("{error}: {}", listed(violations))
        }
        _ => error.to_string(),
    };
    match error {
        CallError::TimedOut(_) => {
            RunEnd::Unsuccessful(RunState::TimedOut, failure(error.code(), &message))
        }
        _ => failed(error.code(), &message),
    }
}

fn listed(violations: &[Violation]) -> String {
    let mut lines: Vec<String> = violations
        .iter()
        .take(LISTED)
        .map(ToString::to_string)
        .collect();
    if violations.len() > LISTED {
        lines.push(format!("and {} more", violations.len() - LISTED));
    }
    lines.join("; ")
}

fn host_error(run: &Run, error: &Error) -> RunEnd {
    tracing::error!(run.id = %run.id, error = error as &dyn std::error::Error, "a run could not be carried out");
    let source = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    failed("host_error", &format!("{error}{source}"))
}

fn failed(code: &str, message: &str) -> RunEnd {
    RunEnd::Unsuccessful(RunState::Failed, failure(code, message))
}

fn failure(code: &str, message: &str) -> RunFailure {
    RunFailure {
        code: code.chars().take(MAX_CODE).collect(),
        message: message.chars().take(MAX_MESSAGE).collect(),
    }
}

/// Whether the engine began to stop before a pause was over.
async fn stopped_within(phase: &mut watch::Receiver<Phase>, pause: Duration) -> bool {
    timeout(pause, phase.wait_for(|phase| *phase == Phase::Stopping))
        .await
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_run_and_not_the_process() {
        let run: Run = Run {
            id: RunId::parse("r_1").unwrap(),
            action: crate::model::ActionId::parse("a").unwrap(),
            blueprint: None,
            entity: None,
            state: RunState::Running,
            properties: serde_json::Map::new(),
            output: None,
            failure: None,
            links: Vec::new(),
            attempts: 1,
            created_by: "ada".to_owned(),
            created_by_teams: Vec::new(),
            created_by_role: crate::model::Role::Developer,
            parent: None,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            ended_at: None,
        };
        let end = guarded(&run, async { panic!("as a test may") }).await;
        assert!(
            matches!(end, RunEnd::Unsuccessful(RunState::Failed, failure) if failure.code == "internal_error")
        );
    }

    #[test]
    fn failures_are_told_apart_by_type_and_bounded() {
        let timed_out = outcome(&CallError::TimedOut(Duration::from_secs(1)));
        assert_eq!(timed_out.state(), RunState::TimedOut);
        let violations = (0..9)
            .map(|n| Violation::new(format!("/{n}"), "type", "no"))
            .collect();
        let RunEnd::Unsuccessful(RunState::Failed, failure) =
            outcome(&CallError::InvalidInput(violations))
        else {
            panic!("it failed")
        };
        assert_eq!(failure.code, "invalid_input");
        assert!(
            failure.message.ends_with("/4: no; and 4 more"),
            "{}",
            failure.message
        );
        let long = CallError::Failed {
            code: "x".repeat(9_000),
            message: "y".repeat(9_000),
        };
        let RunEnd::Unsuccessful(_, failure) = outcome(&long) else {
            panic!("it failed")
        };
        assert!(failure.code.len() <= MAX_CODE && failure.message.len() <= MAX_MESSAGE);
    }
}
