//! What a run has done so far, piece by piece.

use serde::{Deserialize, Serialize};

use super::{Digest, Timestamp};

/// A recorded piece of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStep {
    /// What it is.
    pub kind: StepKind,
    /// Its place among those of its kind: of steps and sleeps together 1, 2, 3 …; of effects, the attempt.
    pub number: u32,
    /// For people, and for telling whether a step of another attempt is the same one.
    pub name: String,
    /// Hash of what it was begun with.
    pub input: Digest,
    /// How far it is.
    pub state: StepState,
    /// Whether it may be done again where it was cut off.
    pub idempotent: bool,
    /// What it came to, as JSON; of a sleep, when it ends.
    pub result: Option<String>,
    /// The attempt of the run in which it was begun last.
    pub attempt: u32,
    /// When it was begun last.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What a recorded piece of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// A step that the plugin named.
    Step,
    /// A wait, which is no work.
    Sleep,
    /// Whatever an attempt did outside of steps, where it must not be done twice.
    Effect,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Begun.
    Started,
    /// Done: it is not done again.
    Finished,
    /// Failed: another attempt does it again.
    Failed,
}
