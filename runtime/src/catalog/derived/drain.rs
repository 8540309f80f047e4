//! The worker that empties the queue: read a batch, let jq run, write what came of it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::super::kind::Kinds;
use super::calculate::{Calculator, NoWorkers};
use super::cause::{Cause, Causes, Changed, Dirty, Rank, queue_pages};
use super::expand::{self, Batch};
use super::graph::Graph;
use super::make;
use super::pace::Pace;
use crate::catalog::{Error, permission};
use crate::jq::{Jq, JqError};
use crate::model::{Actor, DerivedFailure, Timestamp};
use crate::store::{self, QueueState, ReadTx, Store, WriteTx};

/// How long a write waits until what follows from it is derived.
const PATIENCE: Duration = Duration::from_secs(1);

/// Batches that somebody waits for, before one that nobody waits for gets its turn.
const TURNS: u32 = 4;

/// How long to wait before a batch that failed is tried again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// How often what changes with nothing but time is made again.
const REFRESH: Duration = Duration::from_secs(3_600);

/// Entities whose failures are told.
const MAX_FAILURES: usize = 100;

/// Derives what writes have queued. Clones share it.
#[derive(Clone, Debug)]
pub struct Deriver {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    kinds: Kinds,
    calculator: Calculator,
    progress: watch::Sender<Progress>,
    stop: watch::Sender<bool>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

/// How far the queue is worked off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    works: bool,
    /// Every entry up to this one, that somebody waits for, is done with all that followed from it.
    waited: i64,
    /// The same for all entries.
    all: i64,
    /// Whether the worker lets changes gather: so many come that nobody is to wait for what follows from them.
    rests: bool,
}

/// What is still to be derived, and what could not be.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DerivedState {
    /// What is still to be derived.
    pub queue: QueueState,
    /// Entities with a derived property that could not be made.
    pub failed_entities: u64,
    /// The failures of the first of them.
    pub failures: Vec<DerivedFailure>,
}

/// A batch that was made.
struct Step {
    /// The entry to which it goes back at most.
    last: i64,
    /// How long it took where it made again what others have changed.
    spent: Duration,
}

impl Progress {
    /// Whether there is no sense in waiting until an entry is done.
    fn lets_go(&self, last: i64, background: bool) -> bool {
        let reached = if background { self.all } else { self.waited };
        !self.works || reached >= last || self.rests
    }
}

enum Fault {
    Catalog(Error),
    NoWorkers(NoWorkers),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Catalog(error)
    }
}

impl Deriver {
    pub(in crate::catalog) fn new(store: Store, kinds: Kinds, jq: Option<Jq>) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                kinds,
                calculator: Calculator::new(jq),
                progress: watch::Sender::default(),
                stop: watch::Sender::new(false),
                worker: Mutex::default(),
            }),
        }
    }

    /// Starts the worker. What an earlier life has left in the queue is taken up.
    pub async fn spawn(&self) {
        let mut worker = self.inner.worker.lock().await;
        if worker.is_none() {
            self.inner
                .progress
                .send_modify(|progress| progress.works = true);
            *worker = Some(tokio::spawn(self.clone().work()));
        }
    }

    /// Ends the worker after the batch that it is at. The queue stays as it is.
    pub async fn shutdown(&self) {
        self.inner.stop.send_replace(true);
        if let Some(worker) = self.inner.worker.lock().await.take()
            && worker.await.is_err()
        {
            tracing::error!("the worker that derives values panicked");
        }
        self.inner
            .progress
            .send_modify(|progress| progress.works = false);
    }

    /// Waits until what was queued so far is derived, but not for long. `background` includes what nobody waits for by
    /// itself. Without a worker there is nothing to wait for.
    pub async fn settle(&self, background: bool) -> Result<(), Error> {
        if !self.inner.progress.borrow().works {
            return Ok(());
        }
        let last = self.last_queued().await?;
        let mut progress = self.inner.progress.subscribe();
        let passed = progress.wait_for(|progress| progress.lets_go(last, background));
        // Whoever is not served in time reads what there is so far.
        drop(timeout(PATIENCE, passed).await);
        Ok(())
    }

    /// What is still to be derived, and what could not be, of the entities that somebody may see.
    pub async fn state(&self, actor: &Actor) -> Result<DerivedState, Error> {
        let (kinds, actor) = (self.inner.kinds.clone(), actor.clone());
        self.inner
            .store
            .read(move |tx| {
                let hidden = permission::find_hidden(tx, &kinds, &actor)?;
                Ok(DerivedState {
                    queue: tx.find_queue_state()?,
                    failed_entities: tx.count_failures()?,
                    failures: tx.list_failures(&hidden, MAX_FAILURES)?,
                })
            })
            .await
    }

    /// Whether each filter is jq and uses only what is available.
    pub(in crate::catalog) async fn check(&self, filters: Vec<String>) -> Vec<Result<(), JqError>> {
        match self.inner.calculator.jq() {
            Some(jq) => jq.check(filters).await,
            None => {
                let refused = JqError::Unavailable("this program runs no jq".to_owned());
                vec![Err(refused); filters.len()]
            }
        }
    }

    async fn work(self) {
        let mut stop = self.inner.stop.subscribe();
        let mut appended = self.inner.store.appended();
        let mut pause = RETRY.0;
        let mut pace = Pace::default();
        let mut refresh = Instant::now();
        loop {
            appended.borrow_and_update();
            if *stop.borrow() {
                return;
            }
            match self.turn(&mut pace, &mut refresh).await {
                Ok(true) => pause = RETRY.0,
                Ok(false) => {
                    pause = RETRY.0;
                    let end = pace.rests_until(Instant::now());
                    let next = end.map_or(refresh, |end| end.min(refresh));
                    tokio::select! {
                        changed = appended.changed() => if changed.is_err() { return },
                        () = sleep_until(next) => {}
                        _ = stop.wait_for(|stop| *stop) => return,
                    }
                }
                Err(fault) => {
                    match &fault {
                        Fault::Catalog(error) => tracing::error!(
                            error = error as &dyn std::error::Error,
                            "derived values could not be made; they are tried again"
                        ),
                        Fault::NoWorkers(NoWorkers(why)) => tracing::error!(
                            why,
                            "calculations could not be made: no worker for jq; they are tried again"
                        ),
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        _ = stop.wait_for(|stop| *stop) => return,
                    }
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }
    }

    /// Works off one batch. Whether there was any.
    async fn turn(&self, pace: &mut Pace, refresh: &mut Instant) -> Result<bool, Fault> {
        if *refresh <= Instant::now() {
            self.refresh().await?;
            *refresh = Instant::now() + REFRESH;
        }
        if pace.turns < TURNS && self.waited(pace).await? {
            pace.turns += 1;
            return Ok(true);
        }
        pace.turns = 0;
        if self.step(true, None).await?.is_some() {
            return Ok(true);
        }
        self.waited(pace).await
    }

    /// Makes one batch of what somebody waits for. Whether there may be more.
    async fn waited(&self, pace: &mut Pace) -> Result<bool, Fault> {
        if pace.rests_until(Instant::now()).is_some() {
            return Ok(false);
        }
        self.rest(false);
        match self.step(false, pace.round_until()).await? {
            Some(Step { last, spent }) => pace.go_on(last, spent),
            None if pace.round_until().is_none() => return Ok(false),
            None => self.rest(pace.end_round(Instant::now())),
        }
        Ok(true)
    }

    /// Makes one batch of what goes back to an entry or one before it, or to any. `None` where there was nothing to do.
    async fn step(&self, background: bool, until: Option<i64>) -> Result<Option<Step>, Fault> {
        let began = Instant::now();
        let kinds = self.inner.kinds.clone();
        let read = move |tx: &ReadTx<'_>| -> Result<_, Error> {
            let last = until.map_or_else(|| tx.find_last_queued(), Ok)?;
            let batch = expand::read(tx, &kinds, (background, last), Timestamp::now())?;
            let progress = match &batch {
                None => Some(progress(tx)?),
                Some(_) => None,
            };
            Ok((last, batch, progress))
        };
        let (last, batch, progress) = self.inner.store.read(read).await?;
        if let Some(progress) = progress {
            self.tell(progress);
        }
        let Some(mut batch) = batch else {
            return Ok(None);
        };
        let spreads = batch.spreads;
        for group in &mut batch.groups {
            let plan = Arc::clone(&group.plan);
            let calculated = self.inner.calculator.calculate(&plan, &mut group.subjects);
            calculated.await.map_err(Fault::NoWorkers)?;
        }
        // Scorecards may be many; neither an async thread nor the writer has to wait for them.
        let concluded = tokio::task::spawn_blocking(move || {
            for group in &mut batch.groups {
                make::conclude(&group.plan, &mut group.subjects, batch.now)?;
            }
            Ok::<_, Error>(batch)
        });
        let batch = concluded
            .await
            .map_err(|_| Error::from(store::Error::Panicked))??;
        let written = self.inner.store.write(move |tx| {
            let progress = tx.gather_values(|| write(tx, &batch))?;
            // The writer has other things to do than to take apart what a batch was made of.
            Ok::<_, Error>((progress, batch))
        });
        let (progress, batch) = written.await?;
        drop(tokio::task::spawn_blocking(move || drop(batch)));
        self.tell(progress);
        let spent = match spreads {
            true => began.elapsed(),
            false => Duration::ZERO,
        };
        Ok(Some(Step { last, spent }))
    }

    fn tell(&self, (waited, all): (i64, i64)) {
        self.inner.progress.send_modify(|progress| {
            progress.waited = waited;
            progress.all = all;
        });
    }

    fn rest(&self, rests: bool) {
        self.inner
            .progress
            .send_if_modified(|progress| std::mem::replace(&mut progress.rests, rests) != rests);
    }

    async fn last_queued(&self) -> Result<i64, Error> {
        let store = &self.inner.store;
        store
            .read(|tx| Ok::<_, Error>(tx.find_last_queued()?))
            .await
    }

    /// Queues what changes with nothing but time.
    async fn refresh(&self) -> Result<(), Error> {
        let timely = |tx: &ReadTx<'_>| -> Result<Vec<_>, Error> {
            let graph = Graph::load(tx)?;
            let plans = graph.plans.values().filter(|plan| plan.is_timely());
            Ok(plans.map(|plan| plan.key).collect())
        };
        let keys = self.inner.store.read(timely).await?;
        if keys.is_empty() {
            return Ok(());
        }
        self.inner
            .store
            .write(move |tx| {
                let cause = Cause {
                    dirty: Dirty::all(),
                    ..Cause::default()
                };
                let rank = Rank {
                    background: true,
                    origin: None,
                };
                keys.iter().try_for_each(|key| cause.queue(tx, *key, rank))
            })
            .await
    }
}

/// Up to which entries the queue is worked off: those that somebody waits for, and all of them.
fn progress(tx: &ReadTx<'_>) -> Result<(i64, i64), Error> {
    let last = tx.find_last_queued()?;
    let before = |first: Option<i64>| first.map_or(last, |first| first - 1);
    let waited = before(tx.find_first_queued(false)?);
    let all = waited.min(before(tx.find_first_queued(true)?));
    Ok((waited, all))
}

/// Writes what came of a batch and what follows from it, and takes it out of the queue.
fn write(tx: &WriteTx<'_>, batch: &Batch) -> Result<(i64, i64), Error> {
    let graph = Graph::load(tx)?;
    for group in &batch.groups {
        // The definitions may be others by now; then all is made again anyway.
        let plan = graph.plan(group.plan.key);
        let mut causes = Causes::default();
        for subject in &group.subjects {
            if subject.new == subject.old {
                continue;
            }
            let mut rank = Rank {
                background: batch.background,
                origin: group.origins.get(&subject.key).copied(),
            };
            let mut changed = Changed::default();
            if tx.replace_derived(group.plan.key, subject.key, &subject.old, &subject.new)? {
                let fields = subject.changed().into_iter();
                let watched =
                    |field: &String| plan.is_some_and(|plan| plan.by_field.contains_key(field));
                changed.fields = fields.filter(watched).collect();
            } else {
                // Written while this was being made, or gone: in the first case, once more. It goes to the end of the
                // queue: an entity that is written all the time must not hold up everybody else's.
                changed.dirty = subject.dirty.clone();
                rank.origin = None;
            }
            causes.add(subject.key, rank, changed);
        }
        causes.queue(tx, group.plan.key)?;
    }
    for later in &batch.later {
        let rank = Rank {
            background: later.background,
            origin: Some(later.origin),
        };
        if later.keys.is_empty() {
            let cause = Cause {
                dirty: later.dirty.clone(),
                ..Cause::default()
            };
            cause.queue(tx, later.blueprint, rank)?;
        } else {
            queue_pages(tx, later.blueprint, &later.keys, &later.dirty, rank)?;
        }
    }
    tx.delete_queued(&batch.done)?;
    if let Some((sequence, reached)) = &batch.reached {
        tx.update_queued(*sequence, reached)?;
    }
    progress(tx)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::{Catalog, WriteOptions, parse_blueprint, parse_draft};
    use crate::model::{BlueprintId, WriteMode};

    #[test]
    fn a_write_waits_for_what_is_before_it_and_never_while_the_worker_rests() {
        let works = Progress {
            works: true,
            waited: 7,
            all: 3,
            rests: false,
        };
        assert!(!works.lets_go(8, false));
        assert!(works.lets_go(7, false));
        assert!(!works.lets_go(7, true));
        let rests = Progress {
            rests: true,
            ..works
        };
        assert!(rests.lets_go(8, false) && rests.lets_go(8, true));
        let stopped = Progress {
            works: false,
            ..works
        };
        assert!(stopped.lets_go(8, true));
    }

    #[tokio::test]
    async fn what_is_written_while_it_is_made_comes_again_after_the_round() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let catalog = Catalog::with_jq(store.clone(), None);
        let actor = Actor::system();
        let blueprint = json!({
            "identifier": "Service", "title": "Service",
            "schema": { "properties": { "beat": { "type": "number" } } },
            "relations": { "uses": { "target": "Service", "many": true } },
            "aggregationProperties": { "users": {
                "title": "Users", "target": "Service",
                "calculationSpec": { "calculationBy": "entities", "func": "count" },
            } },
        });
        catalog
            .create_blueprint(&actor, parse_blueprint(blueprint).unwrap())
            .await
            .unwrap();
        let write = async |beat: i64| {
            let draft = json!({ "identifier": "hot", "properties": { "beat": beat } });
            let (draft, id) = (
                parse_draft(draft).unwrap(),
                BlueprintId::parse("Service").unwrap(),
            );
            let (mode, options) = (WriteMode::Merge, WriteOptions::default());
            let written = catalog.write_entity(&actor, &id, draft, mode, options);
            written.await.unwrap();
        };
        write(1).await;
        let kinds = Kinds::default();
        let read = move |tx: &ReadTx<'_>| -> Result<_, Error> {
            let last = tx.find_last_queued()?;
            let batch = expand::read(tx, &kinds, (false, last), Timestamp::now())?;
            Ok((last, batch.unwrap()))
        };
        let (last, batch) = store.read(read).await.unwrap();
        write(2).await;
        store
            .write(move |tx| super::write(tx, &batch))
            .await
            .unwrap();
        let queued = move |tx: &ReadTx<'_>| -> Result<_, Error> {
            let of_round = tx.list_queued(false, last, 10)?;
            Ok((of_round.len(), tx.list_queued(false, i64::MAX, 10)?.len()))
        };
        let (of_round, all) = store.read(queued).await.unwrap();
        assert_eq!(
            of_round, 0,
            "the round is over, however often that is written"
        );
        assert!(all > 0, "and nothing is forgotten");
    }
}
