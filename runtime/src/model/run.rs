//! One execution of an action, from request to its one terminal state.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Action, ActionId, BlueprintId, Digest, EntityId, PluginName, RunCause, RunId, RunState,
    RunStatus, Timestamp,
};

/// Why a run ended badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunFailure {
    /// One `snake_case` word that a program can act on.
    pub code: String,
    /// One sentence for the person who asked.
    pub message: String,
}

impl RunFailure {
    /// A failure in these words.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }
}

/// A run as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Unique among all runs.
    pub id: RunId,
    /// The action that it executes.
    pub action: ActionId,
    /// Blueprint of the entity that it works on or makes, where the action names one.
    pub blueprint: Option<BlueprintId>,
    /// The entity that it works on.
    pub entity: Option<EntityId>,
    /// Where it is.
    pub state: RunState,
    /// The inputs as given, defaults filled in.
    pub properties: Map<String, Value>,
    /// What the plugin answered.
    pub output: Option<Value>,
    /// Why it ended badly.
    pub failure: Option<RunFailure>,
    /// Links that the plugin left.
    pub links: Vec<String>,
    /// How often guest code was started.
    pub attempts: u32,
    /// Name and role of the person or program that asked.
    pub created_by: String,
    /// Teams of the person that asked.
    pub created_by_teams: Vec<String>,
    /// Role of the person that asked, at the time of asking.
    pub created_by_role: super::Role,
    /// The run that it was started in, by a plugin.
    pub parent: Option<RunId>,
    /// The run that ended badly and that it does once more.
    pub retry_of: Option<RunId>,
    /// The version of the plugin that it began with, and keeps.
    pub version: Option<semver::Version>,
    /// When it goes on by itself, where it waits for that.
    pub due_at: Option<Timestamp>,
    /// When it has to have ended, where its action says so and it has begun.
    pub deadline_at: Option<Timestamp>,
    /// Who asked that it be ended, while a plugin is at work.
    pub cancelled_by: Option<String>,
    /// Who moved it last by hand; absent: whoever asked for it.
    pub updated_by: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it reached its terminal state.
    pub ended_at: Option<Timestamp>,
}

/// A run that is about to be accepted; the store adds state and times.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Unique among all runs.
    pub id: RunId,
    /// The action as it is now; later changes of it do not touch the run.
    pub definition: Action,
    /// Blueprint of the entity that it works on or makes.
    pub blueprint: Option<BlueprintId>,
    /// The entity that it works on.
    pub entity: Option<EntityId>,
    /// The inputs, checked, defaults filled in.
    pub properties: Map<String, Value>,
    /// Where it comes from, where a plugin started it.
    pub origin: Option<RunOrigin>,
    /// The run that it does once more.
    pub retry_of: Option<RunId>,
}

/// Where a run comes from that a plugin started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOrigin {
    /// The run in which it did.
    pub parent: RunId,
    /// The plugin.
    pub plugin: PluginName,
    /// Its package.
    pub digest: Digest,
}

/// A run that a worker took, and its right to end it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The run, now running.
    pub run: Run,
    /// The action that it was accepted with.
    pub definition: Action,
    /// Fencing number: only the newest attempt's number ends the run.
    pub token: u64,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEnd {
    /// With the plugin's output.
    Succeeded(Value),
    /// Badly, by a cause that leads to a terminal state.
    Unsuccessful(RunCause, RunFailure),
}

impl RunEnd {
    /// Ends with `failed`.
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::Unsuccessful(RunCause::Fail, RunFailure::new(code, message))
    }

    /// What moves the run to its terminal state.
    pub fn cause(&self) -> RunCause {
        match self {
            Self::Succeeded(_) => RunCause::Succeed,
            Self::Unsuccessful(cause, _) => *cause,
        }
    }
}

/// One move of a run, and what is written with it.
#[derive(Clone, Debug)]
pub struct RunMove {
    /// What moves it.
    pub cause: RunCause,
    /// The number of the attempt that says so. Where that is not the one under way, nothing is moved. Absent: a person
    /// does, or the clock.
    pub token: Option<u64>,
    /// What the plugin answered.
    pub output: Option<Value>,
    /// Why it ended badly, or the attempt did.
    pub failure: Option<RunFailure>,
    /// Links that the plugin left, where it was at work.
    pub links: Option<Vec<String>>,
    /// When it goes on by itself.
    pub due_at: Option<Timestamp>,
    /// Who moved it by hand.
    pub by: Option<String>,
}

impl RunMove {
    /// A move by a person or by the clock.
    pub fn by(cause: RunCause) -> Self {
        Self {
            cause,
            token: None,
            output: None,
            failure: None,
            links: None,
            due_at: None,
            by: None,
        }
    }

    /// A move by the attempt with that number.
    pub fn of_attempt(token: u64, cause: RunCause) -> Self {
        Self {
            token: Some(token),
            ..Self::by(cause)
        }
    }

    /// The end of the attempt with that number, and of its run.
    pub fn end(token: u64, end: RunEnd) -> Self {
        let cause = end.cause();
        let (output, failure) = match end {
            RunEnd::Succeeded(output) => (Some(output), None),
            RunEnd::Unsuccessful(_, failure) => (None, Some(failure)),
        };
        Self {
            output,
            failure,
            ..Self::of_attempt(token, cause)
        }
    }
}

/// Which runs to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only runs of this action.
    pub action: Option<ActionId>,
    /// Only runs on this entity.
    pub entity: Option<EntityId>,
    /// Only runs of this blueprint.
    pub blueprint: Option<BlueprintId>,
    /// Only runs asked for by this person or program.
    pub created_by: Option<String>,
    /// Only runs that have not ended (`true`) or have (`false`).
    pub active: Option<bool>,
    /// Only runs older than this one: the cursor of the next page.
    pub before: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Every small thing.
    Trace,
    /// For finding faults.
    Debug,
    /// For the person who asked.
    Info,
    /// Something is off.
    Warn,
    /// Something failed.
    Error,
}

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// 1, 2, 3 … within the run.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

impl EventBody {
    /// Whether nothing follows it: the run has entered its terminal state.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::State { state, .. } if state.is_terminal())
    }

    /// The event of entering a state.
    pub fn entered(state: RunState) -> Self {
        Self::State {
            status: state.status(),
            state,
        }
    }

    /// Its kind, as in JSON and in the store.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Log { .. } => "log",
            Self::Progress { .. } => "progress",
            Self::Link { .. } => "link",
            Self::State { .. } => "state",
        }
    }
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum EventBody {
    /// A line of the log.
    Log {
        /// How much it matters.
        level: LogLevel,
        /// The line, control characters escaped.
        message: String,
    },
    /// How far it has come.
    Progress {
        /// Units done.
        done: u64,
        /// Units in all, where known.
        total: Option<u64>,
        /// What is being done.
        message: String,
    },
    /// A link that the plugin left.
    Link {
        /// Absolute, http or https.
        url: String,
        /// Text of the link.
        title: String,
    },
    /// The run entered a state.
    State {
        /// In the words of the Port API.
        status: RunStatus,
        /// In ours.
        state: RunState,
    },
}
