//! How calls of plugins and their requests do, for whoever watches the portal.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::{CallError, PluginHost};

type Outcome = [(&'static str, &'static str); 1];

/// Counts of calls and requests. Clones share them. Nothing that a plugin says becomes a label.
#[derive(Clone, Debug)]
pub(crate) struct PluginMetrics {
    calls: Family<Outcome, Counter>,
    seconds: Histogram,
    denied: Counter,
    requests: Family<Outcome, Counter>,
    request_seconds: Histogram,
}

impl Default for PluginMetrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            seconds: durations(),
            denied: Counter::default(),
            requests: Family::default(),
            request_seconds: durations(),
        }
    }
}

/// From a millisecond to a quarter of an hour.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 11))
}

/// What became of a request that was allowed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sent {
    /// There was an answer, whatever its status.
    Answered,
    /// The host has an address that it may not go to.
    Prohibited,
    /// It did not work.
    Failed,
}

impl PluginMetrics {
    /// A call has ended, begun or not.
    pub(super) fn called<T>(&self, ended: &Result<T, CallError>, took: Duration) {
        self.calls
            .get_or_create(&[("outcome", outcome(ended))])
            .inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// A guest asked for so much that it was not granted.
    pub(super) fn denied(&self, count: u64) {
        self.denied.inc_by(count);
    }

    /// A request has its answer, or will not have one.
    pub(super) fn sent(&self, sent: Sent, took: Duration) {
        let outcome = match sent {
            Sent::Answered => "answered",
            Sent::Prohibited => "prohibited",
            Sent::Failed => "failed",
        };
        self.requests.get_or_create(&[("outcome", outcome)]).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }
}

/// The word for an end, one of a few: a plugin's own word for its failure is not among them.
pub(super) fn outcome<T>(ended: &Result<T, CallError>) -> &'static str {
    match ended {
        Ok(_) => "succeeded",
        Err(CallError::Failed { .. }) => "failed",
        Err(CallError::Refused(_) | CallError::NotActive(_) | CallError::Untrusted(_)) => "refused",
        Err(CallError::Revoked(_)) => "revoked",
        Err(CallError::Stopped) => "stopped",
        Err(CallError::Cancelled) => "cancelled",
        Err(CallError::Sleeping(_)) => "sleeping",
        Err(CallError::StepMismatch(_)) => "step_mismatch",
        Err(CallError::InvalidInput(_)) => "invalid_input",
        Err(CallError::Trapped(_)) => "crashed",
        Err(CallError::Denied(_) | CallError::Unlinked { .. }) => "denied",
        Err(CallError::TimedOut(_) | CallError::Overdue) => "timed_out",
        Err(CallError::OverBudget { .. }) => "over_budget",
        Err(CallError::InvalidOutput(_)) => "invalid_output",
        Err(CallError::Host(_)) => "host_error",
    }
}

impl PluginHost {
    /// Names what is counted of plugins.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let metrics = &self.metrics;
        registry.register(
            "plugin_calls",
            "Calls of plugins, by how they ended",
            metrics.calls.clone(),
        );
        registry.register(
            "plugin_call_duration_seconds",
            "How long calls of plugins took, the wait for a place with it",
            metrics.seconds.clone(),
        );
        registry.register(
            "plugin_denied",
            "Calls of the host by plugins that were denied",
            metrics.denied.clone(),
        );
        registry.register(
            "plugin_requests",
            "HTTP requests of plugins that their grants allow, by what became of them",
            metrics.requests.clone(),
        );
        registry.register(
            "plugin_request_duration_seconds",
            "Time to the head of the answer to such a request",
            metrics.request_seconds.clone(),
        );
    }
}
