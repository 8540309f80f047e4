//! Requests and their answers.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The routes that are no routes.
const NONE: &str = "(none)";

/// Methods that a label names; clients can make up others.
const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

type OfRoute = [(&'static str, String); 2];
type OfAnswer = [(&'static str, String); 3];

/// Counts of requests. Clones share them.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    answered: Family<OfAnswer, Counter>,
    seconds: Family<OfRoute, Histogram, fn() -> Histogram>,
}

impl HttpMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            answered: Family::default(),
            // From a millisecond to a minute.
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 4.0, 9))
            }),
        };
        registry.register(
            "http_requests",
            "Requests that were answered",
            metrics.answered.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "Time to the head of the answer",
            metrics.seconds.clone(),
        );
        metrics
    }

    /// A request was answered. `route` is the template that it matched, if any: never its path.
    pub fn answered(&self, method: &str, route: Option<&str>, status: u16, took: Duration) {
        let method = METHODS.iter().find(|known| **known == method);
        let method = method.copied().unwrap_or("(other)").to_owned();
        let route = route.unwrap_or(NONE).to_owned();
        self.seconds
            .get_or_create(&[("method", method.clone()), ("route", route.clone())])
            .observe(took.as_secs_f64());
        self.answered
            .get_or_create(&[
                ("method", method),
                ("route", route),
                ("status", status.to_string()),
            ])
            .inc();
    }
}
