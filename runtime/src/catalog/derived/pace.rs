//! When the worker goes on with the queue, and when it lets changes gather.

use std::time::Duration;

use tokio::time::Instant;

/// How long a round may take to make again what others have changed, before the worker rests after it. What changes
/// meanwhile is then made once, not once for each change.
const LONG_ROUND: Duration = Duration::from_millis(200);

/// How long it rests, in times of how long that took, and at most.
const REST: (u32, Duration) = (2, Duration::from_secs(3));

/// How the worker goes about what somebody waits for: in rounds, each of them what was in the queue when it looked, and
/// all that follows from that.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Batches that somebody waits for, since one that nobody waits for had its turn.
    pub(super) turns: u32,
    round: Option<Round>,
    rest: Option<Instant>,
}

#[derive(Debug)]
struct Round {
    /// The last entry of the queue when it began.
    last: i64,
    /// How long it took so far to make again what others have changed.
    spent: Duration,
}

impl Pace {
    /// The last entry of the round that is under way.
    pub(super) fn round_until(&self) -> Option<i64> {
        self.round.as_ref().map(|round| round.last)
    }

    /// When the rest ends; `None` where there is none any more.
    pub(super) fn rests_until(&mut self, now: Instant) -> Option<Instant> {
        self.rest = self.rest.filter(|end| *end > now);
        self.rest
    }

    /// Notes a batch of the round up to an entry, and how long it spent on what others have changed.
    pub(super) fn go_on(&mut self, last: i64, spent: Duration) {
        let begun = Round {
            last,
            spent: Duration::ZERO,
        };
        self.round.get_or_insert(begun).spent += spent;
    }

    /// Ends the round. Whether a rest follows.
    pub(super) fn end_round(&mut self, now: Instant) -> bool {
        let round = self.round.take();
        let rest = round.and_then(|round| rest_after(round.spent));
        self.rest = rest.map(|rest| now + rest);
        rest.is_some()
    }
}

fn rest_after(spent: Duration) -> Option<Duration> {
    (spent > LONG_ROUND).then(|| (spent * REST.0).min(REST.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_round_is_followed_by_a_rest_which_is_never_long() {
        let now = Instant::now();
        let rest = |batches: &[Duration]| {
            let mut pace = Pace::default();
            for spent in batches {
                pace.go_on(7, *spent);
                assert_eq!(pace.round_until(), Some(7));
            }
            pace.end_round(now);
            assert_eq!(pace.round_until(), None);
            let end = pace.rests_until(now)?;
            assert_eq!(pace.rests_until(end), None);
            Some(end - now)
        };
        assert_eq!(rest(&[]), None);
        assert_eq!(rest(&[Duration::ZERO, LONG_ROUND]), None);
        assert_eq!(
            rest(&[LONG_ROUND, LONG_ROUND]),
            Some(LONG_ROUND * 2 * REST.0)
        );
        assert_eq!(rest(&[Duration::from_secs(600)]), Some(REST.1));
    }
}
