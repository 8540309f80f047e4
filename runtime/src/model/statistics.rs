//! What is told of many runs at once, and what people say of one.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// What became of the runs of one action that ended within a span of time.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionStatistics {
    /// The action; it may be gone by now.
    pub action: String,
    /// Runs that ended.
    pub runs: u64,
    /// Those that ended well.
    pub succeeded: u64,
    /// How many ended well of those that nobody declined or cancelled, 0 to 1; absent where there were none.
    pub success_rate: Option<f64>,
    /// Milliseconds from the first worker to the end.
    pub duration: Percentiles,
    /// Milliseconds from the acceptance to the first worker.
    pub queue_wait: Percentiles,
    /// Runs that wait for an approval now, whenever they were asked for.
    pub waiting_for_approval: u64,
    /// Minutes that the runs which ended well would have taken by hand, as the action says (`engine.manualMinutes`), less
    /// those that they took; absent where the action did not say.
    pub time_saved_minutes: Option<f64>,
    /// What people said.
    pub feedback: FeedbackSummary,
}

/// Exact values at two places of a sorted list, by the nearest rank; absent where it is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Percentiles {
    /// Half of them are at most this.
    pub p50: Option<u64>,
    /// 95 of 100 are.
    pub p95: Option<u64>,
}

/// The scores of many people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct FeedbackSummary {
    /// How many there are.
    pub count: u64,
    /// Their average, 1 to 5.
    pub average: Option<f64>,
}

/// What somebody said of a run that had ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Feedback {
    /// Who.
    pub person: String,
    /// From 1, bad, to 5, good.
    pub score: u8,
    /// In their own words.
    pub comment: Option<String>,
    /// When they last said it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}
