//! How runs do, for whoever watches the portal.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::{Actions, Error};
use crate::model::{ActionId, Run, RunState, Timestamp};
use crate::store;

/// Actions that are told apart. Whoever may save actions can save any number of them, and a series each would fill the
/// memory of the portal and of whoever collects.
const NAMED: usize = 100;

/// What all further actions are counted under; no identifier has brackets.
const OTHERS: &str = "(other)";

type OfAction = [(&'static str, String); 1];
type OfState = [(&'static str, String); 1];
type OfEnd = [(&'static str, String); 2];

/// Counts of runs. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct RunMetrics {
    accepted: Family<OfAction, Counter>,
    ended: Family<OfEnd, Counter>,
    seconds: Family<OfAction, Histogram, fn() -> Histogram>,
    waited: Histogram,
    active: Family<OfState, Gauge>,
    workers: Gauge,
    busy: Gauge,
    named: Arc<Mutex<HashSet<ActionId>>>,
}

impl Default for RunMetrics {
    fn default() -> Self {
        Self {
            accepted: Family::default(),
            ended: Family::default(),
            seconds: Family::new_with_constructor(durations),
            waited: durations(),
            active: Family::default(),
            workers: Gauge::default(),
            busy: Gauge::default(),
            named: Arc::default(),
        }
    }
}

/// From a millisecond to a quarter of a day.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 13))
}

impl RunMetrics {
    /// A run was accepted.
    pub(super) fn accepted(&self, run: &Run) {
        self.accepted
            .get_or_create(&[("action", self.name(&run.action))])
            .inc();
    }

    /// A worker begins with a run.
    pub(super) fn begun(&self, run: &Run) {
        if run.attempts > 1 {
            // It has waited for other things since then.
            return;
        }
        let waited = between(run.created_at, run.updated_at);
        self.waited.observe(waited.as_secs_f64());
    }

    /// A run has ended.
    pub(super) fn ended(&self, run: &Run) {
        let name = self.name(&run.action);
        let took = between(run.created_at, run.ended_at.unwrap_or(run.updated_at));
        self.ended
            .get_or_create(&[
                ("action", name.clone()),
                ("state", run.state.as_str().to_owned()),
            ])
            .inc();
        self.seconds
            .get_or_create(&[("action", name)])
            .observe(took.as_secs_f64());
    }

    /// What an action is counted under.
    fn name(&self, action: &ActionId) -> String {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.contains(action) {
            return action.to_string();
        }
        if named.len() >= NAMED {
            return OTHERS.to_owned();
        }
        named.insert(action.clone());
        action.to_string()
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    // A clock that was put back makes no negative time.
    Duration::from_millis(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
}

impl Actions {
    /// Names what is counted of runs.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let metrics = &self.inner.events.metrics;
        registry.register(
            "runs_accepted",
            "Runs that were put on disk",
            metrics.accepted.clone(),
        );
        registry.register(
            "runs_ended",
            "Runs that reached a terminal state",
            metrics.ended.clone(),
        );
        registry.register(
            "run_duration_seconds",
            "Time from the acceptance of a run to its end",
            metrics.seconds.clone(),
        );
        registry.register(
            "run_queue_wait_seconds",
            "Time from the acceptance of a run to its worker",
            metrics.waited.clone(),
        );
        registry.register(
            "runs_active",
            "Runs that have not ended; those in the state `queued` are the queue",
            metrics.active.clone(),
        );
        registry.register(
            "workers",
            "Runs that may be carried out at once",
            metrics.workers.clone(),
        );
        registry.register(
            "workers_busy",
            "Runs that are being carried out",
            metrics.busy.clone(),
        );
    }

    /// Looks at what is not counted as it happens.
    pub async fn measure(&self) -> Result<(), Error> {
        let counts: Result<_, store::Error> =
            self.inner.store.read(|tx| tx.count_active_runs()).await;
        let metrics = &self.inner.events.metrics;
        metrics.active.clear();
        for state in RunState::ALL
            .into_iter()
            .filter(|state| !state.is_terminal())
        {
            set(metrics, state.as_str().to_owned(), 0);
        }
        for (state, count) in counts? {
            set(metrics, state, count);
        }
        let workers = self.inner.settings.workers;
        let busy = workers.saturating_sub(self.inner.permits.available_permits());
        metrics.workers.set(whole(workers as u64));
        metrics.busy.set(whole(busy as u64));
        Ok(())
    }
}

fn set(metrics: &RunMetrics, state: String, count: u64) {
    metrics
        .active
        .get_or_create(&[("state", state)])
        .set(whole(count));
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_beyond_the_bound_share_one_name() {
        let metrics = RunMetrics::default();
        let id = |number: usize| ActionId::parse(format!("action-{number}")).unwrap();
        let names: HashSet<String> = (0..NAMED * 3)
            .map(|number| metrics.name(&id(number)))
            .collect();
        assert_eq!(names.len(), NAMED + 1);
        assert_eq!(metrics.name(&id(NAMED * 2)), OTHERS);
        assert_eq!(metrics.name(&id(0)), "action-0");
        assert!(ActionId::parse(OTHERS).is_err());
    }
}
