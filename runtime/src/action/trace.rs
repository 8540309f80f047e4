//! The span of a run, which continues the one of whoever asked for it.

use tracing::{Instrument as _, Span, field};

use super::Actions;
use super::outcome::Outcome;
use crate::model::{Run, RunEnd};
use crate::store;
use crate::trace::{TraceParent, is_collected};

impl Actions {
    /// Carries out an attempt of a run in a span of its own.
    pub(super) async fn traced(
        &self,
        run: &Run,
        attempt: impl Future<Output = Outcome>,
    ) -> Outcome {
        let span = tracing::info_span!(
            "run",
            run.id = %run.id,
            run.action = %run.action,
            run.attempt = run.attempts,
            run.failure = field::Empty,
        );
        if is_collected() {
            self.continue_trace(run, &span).await;
        }
        let outcome = attempt.instrument(span.clone()).await;
        if let RunEnd::Unsuccessful(_, failure) = &outcome.end {
            span.record("run.failure", failure.code.as_str());
        }
        outcome
    }

    async fn continue_trace(&self, run: &Run, span: &Span) {
        let id = run.id.clone();
        let found = self.inner.store.glance(move |tx| tx.find_run_trace(&id));
        match found.await {
            Ok(parent) => {
                if let Some(parent) = parent.as_deref().and_then(TraceParent::parse) {
                    parent.continue_in(span);
                }
            }
            // A run does not fail for its trace.
            Err(error) => {
                let error: store::Error = error;
                tracing::warn!(run.id = %run.id, %error, "the trace of a run could not be read");
            }
        }
    }
}
