//! Working off queued runs: claim, carry out, end. A run ends exactly once, whatever goes wrong on the way.

use std::error::Error as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;

use super::event::Sink;
use super::journal::RunJournal;
use super::moves::audit_claim;
use super::outcome::{self, Hope, Outcome, Standing, failed};
use super::starter::Starter;
use super::under_way::AtWork;
use super::{Actions, Error};
use crate::model::{
    Action, Actor, Claim, Effects, InvocationMethod, Origin, Run, RunAs, RunEnd, RunFailure,
    RunMove, Timestamp,
};
use crate::plugin::{ActionCall, EventSink, Interrupt, Interrupts};
use crate::store::{self, Room};

/// Runs that one write claims, so that a long queue does not cost a commit each.
const CLAIM: usize = 16;

/// Runs of an earlier life that are looked at together.
const RECOVER: usize = 200;

/// Attempts of a run that are cut off one after the other before it is given up: it may be what brings the portal down.
const CUT_OFF: u64 = 5;

/// How long to wait before a failed write of the engine is tried again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// How long ended guests have to get their last word on disk.
const LAST_WORD: Duration = Duration::from_secs(5);

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

impl Actions {
    /// Starts the workers. What becomes of runs that were being carried out when the last process ended is decided first;
    /// those that wait go on.
    pub async fn spawn(&self) -> Result<(), Error> {
        self.recover().await?;
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
            drop(tokio::spawn(self.clone().keep_time()));
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
                    "runs were still at work at the stop; what becomes of them is decided at the next start"
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

    /// Carries out one attempt of a claimed run, and moves it on.
    pub(super) async fn execute(self, claim: Claim, _permit: OwnedSemaphorePermit) {
        let Claim {
            run,
            definition,
            token,
        } = claim;
        // Whoever moved it last has told so by then.
        drop(self.inner.turns.take(&run.id).await);
        let work = self.inner.under_way.begin(&run.id);
        self.inner.events.metrics.begun(&run);
        let sink = Arc::new(Sink::starting(run.updated_at));
        let pump = tokio::spawn(self.inner.events.clone().pump(
            run.id.clone(),
            run.created_at,
            Arc::clone(&sink),
        ));
        let journal = RunJournal::new(self.inner.store.clone(), &run, token);
        let attempt = self.carry_out(&run, &definition, (&sink, &journal), work.interrupts());
        let attempt = in_time(&run, &work, attempt);
        let outcome = guarded(&run, Box::pin(self.traced(&run, attempt))).await;
        sink.close();
        // All that was logged is written before the run ends, so that its end is the last that is told.
        if pump.await.is_err() {
            tracing::error!(run.id = %run.id, "a run's log could not be written to its end");
        }
        self.finish((&run, token), &definition, outcome, (&sink, &journal))
            .await;
        drop(work);
    }

    /// How many runs may be claimed, where so many workers are free.
    pub(super) fn room(&self, runs: usize) -> Room {
        Room {
            runs,
            per_plugin: self.inner.settings.plugin_runs,
        }
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
            let (worker, room) = (self.inner.worker.clone(), self.room(permits.len()));
            let claimed: Result<Vec<Claim>, store::Error> = self
                .inner
                .store
                .write(move |tx| {
                    let claims = tx.claim_next(&worker, room)?;
                    for claim in &claims {
                        audit_claim(tx, &claim.run)?;
                    }
                    Ok(claims)
                })
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

    async fn carry_out(
        &self,
        run: &Run,
        definition: &Action,
        (sink, journal): (&Arc<Sink>, &RunJournal),
        interrupts: Interrupts,
    ) -> Outcome {
        if let Err(error) = journal.open().await {
            return host_error(run, &error.into());
        }
        let InvocationMethod::Plugin { plugin, action, .. } = &definition.invocation_method;
        let entity = match self.find_subject(run).await {
            Ok(None) if run.entity.is_some() => {
                let message =
                    "the entity that the run works on was deleted before a worker was free";
                return Outcome::last(RunEnd::failed("entity_not_found", message));
            }
            Ok(entity) => entity,
            Err(error) => return host_error(run, &error),
        };
        let input = match self.render(run, definition, entity.as_ref()).await {
            Ok(Ok(input)) => input,
            Ok(Err(unrendered)) => {
                let message = unrendered.to_string();
                return if unrendered.is_host {
                    Outcome::passing("host_error", &message)
                } else {
                    Outcome::last(failed("template_error", &message))
                };
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
                Ok(None) => {
                    return Outcome::last(RunEnd::failed("person_gone", person_gone(run)));
                }
                Err(error) => return host_error(run, &error),
            },
        };
        let call = ActionCall {
            plugin: plugin.clone(),
            version: run.version.clone(),
            action: action.clone(),
            input,
            entity,
            run: run.id.clone(),
            actor,
            at: run.updated_at,
            sink: Arc::clone(sink) as Arc<dyn EventSink>,
            runs: Some(Arc::new(Starter::new(self.clone(), run.clone()))),
            journal: Some(Arc::new(journal.clone())),
            interrupts: Some(interrupts),
        };
        match self.inner.plugins.call_action(call).await {
            Ok(output) => Outcome::last(RunEnd::Succeeded(output)),
            Err(error) => Outcome::of(&error),
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

    /// Moves a run on after an attempt, however long the disk refuses.
    async fn finish(
        &self,
        (run, token): (&Run, u64),
        definition: &Action,
        outcome: Outcome,
        (sink, journal): (&Sink, &RunJournal),
    ) {
        let did_all = matches!(outcome.end, RunEnd::Succeeded(_));
        let mut phase = self.inner.phase.subscribe();
        let (links, usage) = (sink.links(), sink.usage());
        let mut pause = RETRY.0;
        loop {
            // What was done is on disk before it is decided by it, and before the run ends.
            let settled = journal.settle(did_all).await;
            let next = match settled {
                Ok(()) => {
                    self.next_move(run, definition, token, outcome.clone())
                        .await
                }
                Err(error) => Err(error),
            };
            let moved = match next {
                Ok(next) => {
                    let waits = next.due_at.is_some();
                    let next = RunMove {
                        links: Some(links.clone()),
                        ..next
                    };
                    let moved = self.move_run(None, &run.id, next, usage.clone()).await;
                    if waits {
                        self.inner.due.notify_one();
                    }
                    moved
                }
                Err(error) => Err(error),
            };
            match moved {
                Ok(Some(_)) => return,
                Ok(None) => {
                    tracing::warn!(run.id = %run.id, "a run was moved by somebody else first");
                    return;
                }
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a run could not be moved on; trying again"
                ),
            }
            if stopped_within(&mut phase, pause).await {
                return;
            }
            pause = (pause * 2).min(RETRY.1);
        }
    }

    /// What a run does after an attempt came to something.
    async fn next_move(
        &self,
        run: &Run,
        definition: &Action,
        token: u64,
        mut outcome: Outcome,
    ) -> Result<RunMove, store::Error> {
        let policy = definition
            .engine
            .as_ref()
            .and_then(|engine| engine.retry.as_ref());
        // Only where the portal goes down: who stopped all guests by hand does not want them back.
        if outcome.hope == Hope::CutOff && *self.inner.phase.borrow() != Phase::Stopping {
            outcome.hope = Hope::None;
        }
        let matters = matches!(outcome.hope, Hope::Retry | Hope::CutOff);
        // Without a version it has not begun, or has no journal and is judged by what its plugin says of itself.
        let may_be_lost = run.version.is_some() && (outcome.is_cut || outcome.hope != Hope::None);
        let is_uncertain = (matters || may_be_lost) && self.is_uncertain(run, definition).await?;
        let failed = if matters && policy.is_some() {
            let id = run.id.clone();
            let earlier = self.inner.store.read(move |tx| tx.count_failed(&id));
            earlier.await?.saturating_add(1)
        } else {
            1
        };
        let standing = Standing {
            token,
            failed,
            is_uncertain,
            now: Timestamp::now(),
            chance: rand_chance(),
        };
        Ok(outcome::decide(run, policy, outcome, standing))
    }

    /// Whether a run has done something, or may have, that must not be done twice and would be.
    async fn is_uncertain(&self, run: &Run, definition: &Action) -> Result<bool, store::Error> {
        // Of a run that an earlier version of the portal began there is no journal.
        if run.version.is_none() {
            let InvocationMethod::Plugin { plugin, action, .. } = &definition.invocation_method;
            let effects = self.inner.plugins.find_effects(plugin, None, action).await;
            // What cannot be told is taken for the worst.
            return Ok(effects.map_or(true, |effects| effects == Effects::Once));
        }
        let id = run.id.clone();
        self.inner.store.read(move |tx| tx.is_in_flight(&id)).await
    }

    /// Decides about the runs that were being carried out when the last process ended: they are carried out again, unless
    /// that could do something twice.
    async fn recover(&self) -> Result<(), Error> {
        loop {
            let found: Vec<(Run, u64)> =
                self.inner.store.read(|tx| tx.list_running(RECOVER)).await?;
            if found.is_empty() {
                return Ok(());
            }
            let mut moved = 0;
            for (run, token) in found {
                let next = self.recovery(&run, token).await?;
                let done = self.move_run(None, &run.id, next, None).await?;
                moved += usize::from(done.is_some());
            }
            if moved == 0 {
                tracing::error!("runs of an earlier life could not be moved");
                return Ok(());
            }
        }
    }

    /// What becomes of a run that was cut off.
    async fn recovery(&self, run: &Run, token: u64) -> Result<RunMove, Error> {
        let id = run.id.clone();
        let (definition, cut_off) = self
            .inner
            .store
            .read(move |tx| {
                Ok::<_, store::Error>((tx.find_run_definition(&id)?, tx.count_cut_off(&id)?))
            })
            .await?;
        let is_uncertain = match &definition {
            Some(definition) => self.is_uncertain(run, definition).await?,
            None => true,
        };
        if cut_off >= CUT_OFF && !is_uncertain {
            let message = format!(
                "the portal went down {cut_off} times, one after the other, while this run was being carried out; it is not \
                 tried again"
            );
            return Ok(RunMove::end(token, failed("host_restarted", &message)));
        }
        let mut next = outcome::cut_off(token, is_uncertain);
        let message =
            "the portal went down while the plugin was at work; the run is carried out again";
        next.failure = next
            .failure
            .or_else(|| Some(RunFailure::new("host_restarted", message)));
        Ok(next)
    }
}

/// Any number from 0 to 1.
fn rand_chance() -> f64 {
    let mut bytes = [0_u8; 4];
    // Without randomness all pauses are of middle length, which is no harm.
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// Carries out an attempt within the time that its run has left.
async fn in_time(run: &Run, work: &AtWork, attempt: impl Future<Output = Outcome>) -> Outcome {
    let Some(deadline) = run.deadline_at else {
        return attempt.await;
    };
    let left = deadline.0.saturating_sub(Timestamp::now().0);
    let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
    let mut attempt = Box::pin(attempt);
    tokio::select! {
        outcome = &mut attempt => outcome,
        () = tokio::time::sleep(left) => {
            work.interrupt(Interrupt::Overdue);
            attempt.await
        }
    }
}

/// What a piece of work comes to, even when it panics: that ends its run, never the process.
async fn guarded(run: &Run, work: impl Future<Output = Outcome>) -> Outcome {
    AssertUnwindSafe(Box::pin(work))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            tracing::error!(run.id = %run.id, "the worker of a run panicked");
            Outcome::passing(
                "internal_error",
                "the portal failed while it carried out the run; its own log says more",
            )
        })
}

/// Which start of which process carries runs out: for people who look into the attempts.
pub(super) fn name_worker() -> String {
    format!("{}@{}", std::process::id(), Timestamp::now())
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

fn host_error(run: &Run, error: &Error) -> Outcome {
    tracing::error!(run.id = %run.id, error = error as &dyn std::error::Error, "a run could not be carried out");
    let source = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    Outcome::passing("host_error", &format!("{error}{source}"))
}

/// Whether the engine began to stop before a pause was over.
async fn stopped_within(phase: &mut watch::Receiver<Phase>, pause: Duration) -> bool {
    timeout(pause, phase.wait_for(|phase| *phase == Phase::Stopping))
        .await
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_run_and_not_the_process() {
        let outcome = guarded(&run(), async { panic!("as a test may") }).await;
        assert!(
            matches!(outcome.end, RunEnd::Unsuccessful(_, failure) if failure.code == "internal_error")
        );
    }
}
