//! The states of a run, and the one table of how it gets from one to another.

use serde::{Deserialize, Serialize};

/// Where a run is. Terminal states are reached once; of them only `outcome_unknown` is ever left, once, by a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// On disk; waits for a person to approve it.
    WaitingForApproval,
    /// Accepted and on disk; waits for a worker.
    Queued,
    /// A plugin is at work.
    Running,
    /// An attempt failed; the next one is due later.
    WaitingForRetry,
    /// The plugin asked to go on later.
    Sleeping,
    /// Ended with its output.
    Succeeded,
    /// Ended without doing all that was asked.
    Failed,
    /// Ended by its time limit.
    TimedOut,
    /// Ended by a person.
    Cancelled,
    /// A person did not approve it, or nobody did in time.
    Declined,
    /// It was cut off in the middle of something that must not be done twice: a person has to look.
    OutcomeUnknown,
}

/// What moves a run from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunCause {
    /// A person approved it.
    Approve,
    /// A person declined it, or nobody decided in time.
    Decline,
    /// A worker takes it: a new attempt begins.
    Claim,
    /// The plugin answered.
    Succeed,
    /// The attempt failed, and there is no other.
    Fail,
    /// The time for it is over.
    TimeOut,
    /// A person ended it.
    Cancel,
    /// The attempt failed, and another one will be made.
    Retry,
    /// The plugin asked to go on later.
    Sleep,
    /// The time to go on has come.
    Wake,
    /// The attempt was cut off where it can be made again.
    HandOver,
    /// The attempt was cut off where nobody can tell what became of it.
    LoseTrack,
    /// A person looked, and it had been done.
    ResolveDone,
    /// A person looked, and it is not to be done, or by another run.
    ResolveAbandon,
}

/// One line of the table: in this state, by this cause, to that state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunTransition {
    /// The state that is left.
    pub from: RunState,
    /// What moves the run.
    pub cause: RunCause,
    /// The state that is entered.
    pub to: RunState,
}

const fn line(from: RunState, cause: RunCause, to: RunState) -> RunTransition {
    RunTransition { from, cause, to }
}

/// Every way that a run can go. What is not here is refused by the store, whoever asks.
pub const RUN_TRANSITIONS: [RunTransition; 22] = {
    use RunCause as C;
    use RunState as S;
    [
        line(S::WaitingForApproval, C::Approve, S::Queued),
        line(S::WaitingForApproval, C::Decline, S::Declined),
        line(S::WaitingForApproval, C::Cancel, S::Cancelled),
        line(S::Queued, C::Claim, S::Running),
        line(S::Queued, C::Fail, S::Failed),
        line(S::Queued, C::Cancel, S::Cancelled),
        line(S::Running, C::Succeed, S::Succeeded),
        line(S::Running, C::Fail, S::Failed),
        line(S::Running, C::TimeOut, S::TimedOut),
        line(S::Running, C::Cancel, S::Cancelled),
        line(S::Running, C::Retry, S::WaitingForRetry),
        line(S::Running, C::Sleep, S::Sleeping),
        line(S::Running, C::HandOver, S::Queued),
        line(S::Running, C::LoseTrack, S::OutcomeUnknown),
        line(S::WaitingForRetry, C::Wake, S::Queued),
        line(S::WaitingForRetry, C::TimeOut, S::TimedOut),
        line(S::WaitingForRetry, C::Cancel, S::Cancelled),
        line(S::Sleeping, C::Wake, S::Queued),
        line(S::Sleeping, C::TimeOut, S::TimedOut),
        line(S::Sleeping, C::Cancel, S::Cancelled),
        line(S::OutcomeUnknown, C::ResolveDone, S::Succeeded),
        line(S::OutcomeUnknown, C::ResolveAbandon, S::Failed),
    ]
};

impl RunState {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::WaitingForApproval,
        Self::Queued,
        Self::Running,
        Self::WaitingForRetry,
        Self::Sleeping,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Declined,
        Self::OutcomeUnknown,
    ];

    /// Where a cause takes a run that is in this state; nowhere, where the table has no such line.
    pub fn after(self, cause: RunCause) -> Option<Self> {
        let line = RUN_TRANSITIONS
            .iter()
            .find(|line| line.from == self && line.cause == cause);
        line.map(|line| line.to)
    }

    /// Whether nothing more will happen to the run by itself.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::WaitingForApproval
            | Self::Queued
            | Self::Running
            | Self::WaitingForRetry
            | Self::Sleeping => false,
            Self::Succeeded
            | Self::Failed
            | Self::TimedOut
            | Self::Cancelled
            | Self::Declined
            | Self::OutcomeUnknown => true,
        }
    }

    /// The coarser word that clients of the Port API know.
    pub fn status(self) -> RunStatus {
        match self {
            Self::WaitingForApproval => RunStatus::WaitingForApproval,
            Self::Queued | Self::Running | Self::WaitingForRetry | Self::Sleeping => {
                RunStatus::InProgress
            }
            Self::Succeeded => RunStatus::Success,
            Self::Failed | Self::TimedOut | Self::Cancelled | Self::OutcomeUnknown => {
                RunStatus::Failure
            }
            Self::Declined => RunStatus::Declined,
        }
    }

    /// The state's name, as in JSON and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitingForApproval => "waiting_for_approval",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::WaitingForRetry => "waiting_for_retry",
            Self::Sleeping => "sleeping",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Declined => "declined",
            Self::OutcomeUnknown => "outcome_unknown",
        }
    }
}

impl RunCause {
    /// Every cause.
    pub const ALL: [Self; 14] = [
        Self::Approve,
        Self::Decline,
        Self::Claim,
        Self::Succeed,
        Self::Fail,
        Self::TimeOut,
        Self::Cancel,
        Self::Retry,
        Self::Sleep,
        Self::Wake,
        Self::HandOver,
        Self::LoseTrack,
        Self::ResolveDone,
        Self::ResolveAbandon,
    ];
}

/// A run's state in the words of the Port API, derived from [`RunState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunStatus {
    /// Not ended yet.
    InProgress,
    /// Ended well.
    Success,
    /// Ended badly.
    Failure,
    /// Waits for a person to approve it.
    WaitingForApproval,
    /// That person declined, or nobody decided in time.
    Declined,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_state_and_a_cause_lead_to_one_state() {
        let ways: BTreeSet<_> = RUN_TRANSITIONS
            .iter()
            .map(|line| (line.from.as_str(), format!("{:?}", line.cause)))
            .collect();
        assert_eq!(ways.len(), RUN_TRANSITIONS.len());
    }

    #[test]
    fn no_terminal_state_is_left_but_an_unknown_outcome_by_a_person() {
        for line in RUN_TRANSITIONS
            .iter()
            .filter(|line| line.from.is_terminal())
        {
            assert_eq!(line.from, RunState::OutcomeUnknown);
            assert!(matches!(
                line.cause,
                RunCause::ResolveDone | RunCause::ResolveAbandon
            ));
            assert!(line.to.is_terminal());
        }
    }

    #[test]
    fn every_state_is_reached_and_every_cause_is_one_of_a_line() {
        for state in RunState::ALL {
            let begins = [RunState::WaitingForApproval, RunState::Queued].contains(&state);
            assert!(begins || RUN_TRANSITIONS.iter().any(|line| line.to == state));
        }
        for cause in RunCause::ALL {
            assert!(RUN_TRANSITIONS.iter().any(|line| line.cause == cause));
        }
    }

    #[test]
    fn every_run_that_has_not_ended_can_be_cancelled() {
        for state in RunState::ALL {
            let cancelled = state.after(RunCause::Cancel);
            let expected = (!state.is_terminal()).then_some(RunState::Cancelled);
            assert_eq!(cancelled, expected, "{state:?}");
        }
    }
}
