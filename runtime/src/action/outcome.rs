//! What an attempt came to, and what its run does next.

use crate::model::{
    Pause, RetryPolicy, Run, RunCause, RunEnd, RunFailure, RunMove, Timestamp, Violation,
};
use crate::plugin::CallError;

/// Length of a failure's message; a plugin chooses its own.
const MAX_MESSAGE: usize = 4_000;

/// Length of a failure's code.
const MAX_CODE: usize = 100;

/// Violations that a failure's message lists.
const LISTED: usize = 5;

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// How its run ends, where it ends with it.
    pub(super) end: RunEnd,
    /// What another attempt could change.
    pub(super) hope: Hope,
    /// Whether the plugin was ended in the middle of whatever it did, instead of answering.
    pub(super) is_cut: bool,
}

/// What another attempt could change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hope {
    /// Nothing: it would end the same, or it was ended on purpose.
    None,
    /// It may fare better.
    Retry,
    /// It was cut off because the portal stops.
    CutOff,
    /// The plugin asked to go on then: nothing has ended.
    Sleep(Timestamp),
}

/// What is known about a run when one of its attempts has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// The number of the attempt.
    pub(super) token: u64,
    /// How many attempts of the run have failed, this one included.
    pub(super) failed: u32,
    /// Whether something was under way that must not be done twice.
    pub(super) is_uncertain: bool,
    /// The time.
    pub(super) now: Timestamp,
    /// Any number from 0 to 1.
    pub(super) chance: f64,
}

impl Outcome {
    /// It ends like this, and would again.
    pub(super) fn last(end: RunEnd) -> Self {
        Self {
            end,
            hope: Hope::None,
            is_cut: false,
        }
    }

    /// It failed in a way that may pass.
    pub(super) fn passing(code: &str, message: &str) -> Self {
        Self {
            end: failed(code, message),
            hope: Hope::Retry,
            is_cut: true,
        }
    }

    /// What a call that failed comes to.
    pub(super) fn of(error: &CallError) -> Self {
        let message = match error {
            CallError::InvalidInput(violations) | CallError::InvalidOutput(violations) => {
                format!("{error}: {}", listed(violations))
            }
            _ => error.to_string(),
        };
        let failure = failure(error.code(), &message);
        let (cause, hope) = match error {
            CallError::Cancelled => (RunCause::Cancel, Hope::None),
            CallError::Overdue => (RunCause::TimeOut, Hope::None),
            CallError::TimedOut(_) => (RunCause::TimeOut, Hope::Retry),
            CallError::Stopped => (RunCause::Fail, Hope::CutOff),
            CallError::Sleeping(until) => (RunCause::Fail, Hope::Sleep(*until)),
            CallError::Failed { .. }
            | CallError::Trapped(_)
            | CallError::OverBudget { .. }
            | CallError::Host(_) => (RunCause::Fail, Hope::Retry),
            // Another attempt meets the same decision, the same grant and the same schema.
            CallError::Refused(_)
            | CallError::NotActive(_)
            | CallError::Revoked(_)
            | CallError::Untrusted(_)
            | CallError::InvalidInput(_)
            | CallError::Denied(_)
            | CallError::Unlinked { .. }
            | CallError::StepMismatch(_)
            | CallError::InvalidOutput(_) => (RunCause::Fail, Hope::None),
        };
        let is_cut = matches!(
            error,
            CallError::Cancelled
                | CallError::Overdue
                | CallError::TimedOut(_)
                | CallError::Stopped
                | CallError::Revoked(_)
                | CallError::Trapped(_)
                | CallError::OverBudget { .. }
                | CallError::Host(_)
        );
        Self {
            end: RunEnd::Unsuccessful(cause, failure),
            hope,
            is_cut,
        }
    }
}

/// What a run does after an attempt: it ends, or goes on later.
pub(super) fn decide(
    run: &Run,
    policy: Option<&RetryPolicy>,
    outcome: Outcome,
    standing: Standing,
) -> RunMove {
    let Outcome { end, hope, is_cut } = outcome;
    let failure = match &end {
        RunEnd::Succeeded(_) => return RunMove::end(standing.token, end),
        RunEnd::Unsuccessful(_, failure) => failure.clone(),
    };
    match (hope, policy) {
        (Hope::Sleep(until), _) if !standing.is_uncertain => RunMove {
            due_at: Some(until),
            ..RunMove::of_attempt(standing.token, RunCause::Sleep)
        },
        (Hope::CutOff, _) => cut_off(standing.token, standing.is_uncertain),
        (Hope::Retry, Some(policy))
            if !standing.is_uncertain && retries(policy, &failure, standing.failed) =>
        {
            again(run, policy, failure, standing)
        }
        _ if standing.is_uncertain && (is_cut || matches!(hope, Hope::Sleep(_))) => {
            lose_track(standing.token, &failure.message)
        }
        _ => RunMove::end(standing.token, end),
    }
}

/// What becomes of a run whose attempt was cut off: it is carried out again, unless that could do something twice.
pub(super) fn cut_off(token: u64, is_uncertain: bool) -> RunMove {
    if !is_uncertain {
        return RunMove::of_attempt(token, RunCause::HandOver);
    }
    lose_track(token, "the portal stopped while the plugin was at work")
}

/// What becomes of a run that was cut off, for that reason, in the middle of something that must not be done twice.
fn lose_track(token: u64, why: &str) -> RunMove {
    let message = format!(
        "{why}, and it was doing something that must not be done twice, so that nobody knows whether that was done; look, \
         and then resolve the run as `done`, `retry` or `abandon`"
    );
    RunMove {
        failure: Some(failure("outcome_unknown", &message)),
        ..RunMove::of_attempt(token, RunCause::LoseTrack)
    }
}

fn retries(policy: &RetryPolicy, failure: &RunFailure, failed: u32) -> bool {
    let meant = policy
        .on
        .as_ref()
        .is_none_or(|codes| codes.contains(&failure.code));
    meant && failed < policy.attempts
}

fn again(run: &Run, policy: &RetryPolicy, failure: RunFailure, standing: Standing) -> RunMove {
    let due = later(standing.now, policy.pause(standing.failed, standing.chance));
    // To wait for an attempt that could not begin any more would only keep people waiting.
    if run.deadline_at.is_some_and(|deadline| due >= deadline) {
        let message = format!(
            "the run did not end within the timeout of its action; its last attempt failed with `{}`: {}",
            failure.code, failure.message
        );
        let end = RunEnd::Unsuccessful(RunCause::TimeOut, self::failure("timed_out", &message));
        return RunMove::end(standing.token, end);
    }
    RunMove {
        failure: Some(failure),
        due_at: Some(due),
        ..RunMove::of_attempt(standing.token, RunCause::Retry)
    }
}

/// The time after a pause.
pub(super) fn later(now: Timestamp, pause: Pause) -> Timestamp {
    let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_add(millis))
}

pub(super) fn failed(code: &str, message: &str) -> RunEnd {
    RunEnd::Unsuccessful(RunCause::Fail, failure(code, message))
}

fn failure(code: &str, message: &str) -> RunFailure {
    RunFailure {
        code: code.chars().take(MAX_CODE).collect(),
        message: message.chars().take(MAX_MESSAGE).collect(),
    }
}

fn listed(violations: &[Violation]) -> String {
    let mut lines: Vec<String> = violations
        .iter()
        .take(LISTED)
        .map(ToString::to_string)
        .collect();
    if violations.len() > LISTED {
        lines.push(format!("and {} more", violations.len() - LISTED));
    }
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::run;
    use super::*;

    fn standing(failed: u32) -> Standing {
        Standing {
            token: 7,
            failed,
            is_uncertain: false,
            now: Timestamp(1_000),
            chance: 0.5,
        }
    }

    fn policy(on: Option<&[&str]>) -> RetryPolicy {
        RetryPolicy {
            attempts: 3,
            backoff: Pause::from_millis(100),
            max_backoff: Pause::from_millis(1_000),
            on: on.map(|codes| codes.iter().map(|code| (*code).to_owned()).collect()),
        }
    }

    fn crashed() -> Outcome {
        Outcome::of(&CallError::Trapped("unreachable".to_owned()))
    }

    #[test]
    fn a_failure_that_may_pass_is_tried_again_after_longer_and_longer_pauses() {
        let policy = policy(None);
        let due = |failed| {
            let moved = decide(&run(), Some(&policy), crashed(), standing(failed));
            (moved.cause, moved.due_at)
        };
        assert_eq!(due(1), (RunCause::Retry, Some(Timestamp(1_100))));
        assert_eq!(due(2), (RunCause::Retry, Some(Timestamp(1_200))));
        assert_eq!(due(3), (RunCause::Fail, None));
    }

    #[test]
    fn what_would_fail_again_or_is_not_meant_is_not_tried_again() {
        let cause = |policy: &RetryPolicy, error| {
            decide(&run(), Some(policy), Outcome::of(&error), standing(1)).cause
        };
        let denied = || CallError::Denied("http".to_owned());
        assert_eq!(cause(&policy(None), denied()), RunCause::Fail);
        assert_eq!(cause(&policy(None), CallError::Cancelled), RunCause::Cancel);
        assert_eq!(cause(&policy(None), CallError::Overdue), RunCause::TimeOut);
        let late = || CallError::TimedOut(Duration::from_secs(1));
        assert_eq!(
            cause(&policy(Some(&["timed_out"])), late()),
            RunCause::Retry
        );
        assert_eq!(cause(&policy(Some(&["busy"])), late()), RunCause::TimeOut);
        assert_eq!(
            decide(&run(), None, crashed(), standing(1)).cause,
            RunCause::Fail
        );
    }

    #[test]
    fn a_run_whose_plugin_sleeps_goes_on_then() {
        let sleeping = || Outcome::of(&CallError::Sleeping(Timestamp(5_000)));
        let moved = decide(&run(), None, sleeping(), standing(1));
        assert_eq!(
            (moved.cause, moved.due_at, moved.failure),
            (RunCause::Sleep, Some(Timestamp(5_000)), None)
        );
    }

    #[test]
    fn nothing_that_must_not_be_done_twice_is_tried_again() {
        let uncertain = Standing {
            is_uncertain: true,
            ..standing(1)
        };
        let policy = policy(None);
        let answered = CallError::Failed {
            code: "busy".to_owned(),
            message: "try later".to_owned(),
        };
        let moved = decide(&run(), Some(&policy), Outcome::of(&answered), uncertain);
        assert_eq!(
            moved.cause,
            RunCause::Fail,
            "the plugin says itself that it failed"
        );
        for cut in [
            CallError::Trapped("unreachable".to_owned()),
            CallError::TimedOut(Duration::from_secs(1)),
            CallError::Cancelled,
            CallError::Overdue,
        ] {
            let moved = decide(&run(), Some(&policy), Outcome::of(&cut), uncertain);
            assert_eq!(moved.cause, RunCause::LoseTrack, "{cut:?}");
        }
        let moved = decide(&run(), None, Outcome::of(&CallError::Stopped), uncertain);
        assert_eq!(moved.cause, RunCause::LoseTrack);
        let moved = decide(&run(), None, Outcome::of(&CallError::Stopped), standing(1));
        assert_eq!(moved.cause, RunCause::HandOver);
    }

    #[test]
    fn an_attempt_that_would_come_after_the_timeout_is_not_waited_for() {
        let overdue = Run {
            deadline_at: Some(Timestamp(1_050)),
            ..run()
        };
        let moved = decide(&overdue, Some(&policy(None)), crashed(), standing(1));
        assert_eq!(moved.cause, RunCause::TimeOut);
        assert_eq!(moved.failure.unwrap().code, "timed_out");
    }

    #[test]
    fn failures_are_told_apart_by_type_and_bounded() {
        let violations = (0..9)
            .map(|n| Violation::new(format!("/{n}"), "type", "no"))
            .collect();
        let failure = |error: &CallError| match Outcome::of(error).end {
            RunEnd::Unsuccessful(RunCause::Fail, failure) => failure,
            other => panic!("{other:?}"),
        };
        let invalid = failure(&CallError::InvalidInput(violations));
        assert_eq!(invalid.code, "invalid_input");
        assert!(
            invalid.message.ends_with("/4: no; and 4 more"),
            "{}",
            invalid.message
        );
        let long = failure(&CallError::Failed {
            code: "x".repeat(9_000),
            message: "y".repeat(9_000),
        });
        assert!(long.code.len() <= MAX_CODE && long.message.len() <= MAX_MESSAGE);
    }
}
