//! What happens in a run, on its way from the guest to the disk and to those who watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::metrics::RunMetrics;
use super::{Actions, Error};
use crate::model::{CallUsage, EventBody, LogLevel, Run, RunEvent, RunId, RunState, Timestamp};
use crate::plugin::EventSink;
use crate::store::{self, Store};

/// Events of one run that wait for the disk. The plugin's own log budget is far smaller; this bounds what a burst of
/// progress marks can hold.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// What an event costs beside its text.
const EVENT_BYTES: usize = 64;

/// Links that a run keeps.
const MAX_LINKS: usize = 100;

/// Runs whose changes are followed at once before those that nobody watches are forgotten.
const MAX_FOLLOWED: usize = 10_000;

/// Events that one page may have.
const MAX_PAGE: usize = 1_000;

impl Actions {
    /// What happened in a run after a sequence number, at most `limit`. The last event of a run that has ended is
    /// always the one of its terminal state, whatever became of the log file.
    pub async fn list_events(
        &self,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<RunEvent>, Error> {
        self.inner
            .events
            .list(run, after, limit.min(MAX_PAGE))
            .await
    }

    /// The log lines alone of a run, oldest first.
    pub async fn list_logs(
        &self,
        run: &RunId,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<RunEvent>, Error> {
        let run = run.clone();
        let limit = limit.min(MAX_PAGE);
        Ok(self
            .inner
            .store
            .read_logs(move |tx| tx.list_log_events(&run, offset, limit))
            .await?)
    }

    /// Returns when the run may have changed since `seen` (an earlier answer of this function, 0 at first).
    pub async fn wait_for_change(&self, run: &RunId, seen: u64) -> u64 {
        self.inner.events.wait_for_change(run, seen).await
    }
}

/// The log of all runs and those who watch it. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Events {
    store: Store,
    changes: Arc<Mutex<Changes>>,
    pub(super) metrics: RunMetrics,
}

#[derive(Debug, Default)]
struct Changes {
    /// Counts all changes of all runs.
    version: u64,
    /// The newest change of each run that is followed.
    runs: HashMap<RunId, watch::Sender<u64>>,
}

impl Events {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            changes: Arc::default(),
            metrics: RunMetrics::default(),
        }
    }

    /// Notes that a run was accepted. Does not wait for the disk: the next append would note it just the same.
    pub(super) fn begin(&self, run: &Run) {
        let (events, id, accepted) = (self.clone(), run.id.clone(), run.created_at);
        self.metrics.accepted(run);
        self.publish(&id);
        tokio::spawn(async move { events.append(&id, accepted, Vec::new()).await });
    }

    /// Appends to the log. What cannot be written is told to the operator and lost: a run does not fail for its log.
    pub(super) async fn append(
        &self,
        run: &RunId,
        accepted: Timestamp,
        events: Vec<(Timestamp, EventBody)>,
    ) {
        let id = run.clone();
        let count = events.len();
        let written = self
            .store
            .write_logs(move |tx| tx.append_events(&id, accepted, &events))
            .await;
        if let Err(error) = written {
            let error: store::Error = error;
            tracing::error!(run.id = %run, events = count, error = &error as &dyn std::error::Error, "events of a run were lost");
        }
        self.publish(run);
    }

    /// Appends the event of the terminal state and lets the run's followers go.
    pub(super) async fn end(&self, run: &Run) {
        let at = run.ended_at.unwrap_or(run.updated_at);
        self.publish(&run.id);
        self.append(
            &run.id,
            run.created_at,
            vec![(at, EventBody::entered(run.state))],
        )
        .await;
        // Followers have the newest version by now; whoever comes later starts anew.
        self.lock().runs.remove(&run.id);
    }

    /// Writes down what a guest says, in batches of whatever came while the last one was written. Ends when the sink
    /// is closed and everything is written.
    pub(super) async fn pump(self, run: RunId, accepted: Timestamp, sink: Arc<Sink>) {
        loop {
            let (events, closed) = sink.take();
            if !events.is_empty() {
                self.append(&run, accepted, events).await;
            } else if closed {
                return;
            } else {
                sink.filled.notified().await;
            }
        }
    }

    async fn list(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<RunEvent>, Error> {
        // The run before its log: everything that a run that has ended logged is on disk, so the log is then complete.
        let id = run.clone();
        let found = self.store.read(move |tx| tx.find_run(&id)).await?;
        let (events, last) = self.read(run, after, limit).await?;
        let Some(ended) = found.filter(|run| run.state.is_terminal()) else {
            return Ok(events);
        };
        if last.is_some_and(|last| last.body.is_terminal() && last.sequence >= after) {
            return Ok(events);
        }
        // A crash took the end of the log, or the worker is about to write it. It is written here instead of made up
        // for this reader, so that every reader sees it under the same number; whoever comes second writes nothing.
        let at = ended.ended_at.unwrap_or(ended.updated_at);
        let body = EventBody::entered(ended.state);
        self.append(run, ended.created_at, vec![(at, body.clone())])
            .await;
        let (mut events, last) = self.read(run, after, limit).await?;
        if last.is_none_or(|last| last.sequence < after) {
            // A reader who had seen more than a power cut left of the log learns the end all the same.
            let sequence = after.saturating_add(1);
            events.push(RunEvent { sequence, at, body });
        }
        Ok(events)
    }

    async fn read(
        &self,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<RunEvent>, Option<RunEvent>), Error> {
        let id = run.clone();
        self.store
            .read_logs(move |tx| Ok((tx.list_events(&id, after, limit)?, tx.find_last_event(&id)?)))
            .await
    }

    async fn wait_for_change(&self, run: &RunId, seen: u64) -> u64 {
        let mut newest = self.follow(run);
        // An ended wait means that the run has ended and is no longer followed: that is a change too.
        match newest.wait_for(|version| *version > seen).await {
            Ok(version) => *version,
            Err(_) => self.lock().version.max(seen.saturating_add(1)),
        }
    }

    fn follow(&self, run: &RunId) -> watch::Receiver<u64> {
        let mut changes = self.lock();
        // 0 is what those have seen who have not asked yet.
        changes.version = changes.version.max(1);
        let version = changes.version;
        if let Some(newest) = changes.runs.get(run) {
            return newest.subscribe();
        }
        if changes.runs.len() >= MAX_FOLLOWED {
            changes.runs.retain(|_, newest| newest.receiver_count() > 0);
        }
        let (sender, receiver) = watch::channel(version);
        changes.runs.insert(run.clone(), sender);
        receiver
    }

    pub(super) fn publish(&self, run: &RunId) {
        let mut changes = self.lock();
        changes.version += 1;
        let version = changes.version;
        if let Some(newest) = changes.runs.get(run) {
            newest.send_replace(version);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a guest's events without ever making it wait.
#[derive(Debug, Default)]
pub(super) struct Sink {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: Vec<(Timestamp, EventBody)>,
    bytes: usize,
    omitted: u64,
    links: Vec<String>,
    usage: Option<CallUsage>,
    closed: bool,
}

impl Sink {
    /// The sink of a run that began just now.
    pub(super) fn starting(at: Timestamp) -> Self {
        let sink = Self::default();
        sink.lock()
            .events
            .push((at, EventBody::entered(RunState::Running)));
        sink
    }

    /// Takes no more events; what came so far is still written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// The links that the guest left.
    pub(super) fn links(&self) -> Vec<String> {
        self.lock().links.clone()
    }

    /// What the guest used, where it began at all.
    pub(super) fn usage(&self) -> Option<CallUsage> {
        self.lock().usage.take()
    }

    fn take(&self) -> (Vec<(Timestamp, EventBody)>, bool) {
        let mut waiting = self.lock();
        let mut events = std::mem::take(&mut waiting.events);
        waiting.bytes = 0;
        let omitted = std::mem::take(&mut waiting.omitted);
        if omitted > 0 {
            let message = format!(
                "{omitted} events are missing here: the plugin wrote faster than they could be stored"
            );
            events.push((
                Timestamp::now(),
                EventBody::Log {
                    level: LogLevel::Warn,
                    message,
                },
            ));
        }
        (events, waiting.closed)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Sink {
    fn emit(&self, event: EventBody) {
        let size = EVENT_BYTES
            + match &event {
                EventBody::Log { message, .. } | EventBody::Progress { message, .. } => {
                    message.len()
                }
                EventBody::Link { url, title } => url.len() + title.len(),
                EventBody::State { .. } => 0,
            };
        let mut waiting = self.lock();
        // States are the engine's to tell, and a guest that is over has nothing more to say.
        if waiting.closed || matches!(event, EventBody::State { .. }) {
            return;
        }
        if let EventBody::Link { url, .. } = &event
            && waiting.links.len() < MAX_LINKS
            && !waiting.links.contains(url)
        {
            waiting.links.push(url.clone());
        }
        if waiting.bytes + size > MAX_WAITING_BYTES {
            waiting.omitted += 1;
        } else {
            waiting.bytes += size;
            waiting.events.push((Timestamp::now(), event));
        }
        drop(waiting);
        self.filled.notify_one();
    }

    fn count(&self, usage: CallUsage) {
        self.lock().usage = Some(usage);
    }
}
