//! How runs went, counted exactly.

use std::collections::BTreeMap;

use super::{Actions, Error};
use crate::model::{ActionId, ActionStatistics, FeedbackSummary, Percentiles, RunState, Timestamp};
use crate::store;

/// A span of time without a beginning is so long.
const DAYS: i64 = 30;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The counts of one action, as they grow.
#[derive(Debug, Default)]
struct Counts {
    runs: u64,
    succeeded: u64,
    /// Those that people ended before a plugin could.
    withdrawn: u64,
    took: Vec<u32>,
    waited: Vec<u32>,
    saved: Option<f64>,
    score: u64,
    scores: u64,
}

impl Actions {
    /// How the runs went that ended from one time on and before another: of all actions, by name, or of one. Without a
    /// beginning the last 30 days are meant.
    ///
    /// # Errors
    /// There are so many that the store does not get through with them in time.
    pub async fn statistics(
        &self,
        action: Option<ActionId>,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<Vec<ActionStatistics>, Error> {
        // What ends within this very millisecond counts.
        let to = to.unwrap_or(Timestamp(Timestamp::now().0.saturating_add(1)));
        let from = from.unwrap_or(Timestamp(to.0.saturating_sub(DAYS * DAY)));
        let read = self.inner.store.read(move |tx| {
            let mut all: BTreeMap<String, ActionStatistics> = BTreeMap::new();
            let mut waiting: BTreeMap<String, u64> =
                tx.count_waiting_for_approval()?.into_iter().collect();
            let mut current = (String::new(), Counts::default());
            tx.each_run_figure(action.as_ref(), from, to, |figure| {
                if figure.action != current.0 {
                    let next = (figure.action.to_owned(), Counts::default());
                    let (name, counts) = std::mem::replace(&mut current, next);
                    keep(&mut all, name, counts);
                }
                current.1.add(&figure);
            })?;
            keep(&mut all, current.0, current.1);
            if let Some(action) = &action {
                waiting.retain(|name, _| name == action.as_str());
                waiting.entry(action.to_string()).or_default();
            }
            for (name, count) in waiting {
                let shown = all
                    .entry(name.clone())
                    .or_insert_with(|| Counts::default().show(name));
                shown.waiting_for_approval = count;
            }
            Ok::<_, store::Error>(all.into_values().collect())
        });
        Ok(read.await?)
    }
}

fn keep(all: &mut BTreeMap<String, ActionStatistics>, name: String, counts: Counts) {
    if counts.runs > 0 {
        all.insert(name.clone(), counts.show(name));
    }
}

impl Counts {
    fn add(&mut self, figure: &store::RunFigure<'_>) {
        self.runs += 1;
        self.took.extend(figure.took);
        self.waited.extend(figure.waited);
        self.score += figure.score;
        self.scores += figure.scores;
        if figure.state == RunState::Succeeded.as_str() {
            self.succeeded += 1;
            if let (Some(manual), Some(took)) = (figure.manual, figure.took) {
                *self.saved.get_or_insert(0.0) += manual - f64::from(took) / 60_000.0;
            }
        } else if ["cancelled", "declined"].contains(&figure.state) {
            self.withdrawn += 1;
        }
    }

    fn show(mut self, action: String) -> ActionStatistics {
        ActionStatistics {
            action,
            runs: self.runs,
            succeeded: self.succeeded,
            success_rate: ratio(self.succeeded, self.runs - self.withdrawn),
            duration: percentiles(&mut self.took),
            queue_wait: percentiles(&mut self.waited),
            waiting_for_approval: 0,
            time_saved_minutes: self.saved,
            feedback: FeedbackSummary {
                count: self.scores,
                average: ratio(self.score, self.scores),
            },
        }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    // Exact up to 2^53, which is more runs than there will be.
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn percentiles(values: &mut [u32]) -> Percentiles {
    let mut rank = |percent: usize| {
        // Of n values the one at n × percent / 100, rounded up, counted from 1.
        let place = (values.len() * percent).div_ceil(100).checked_sub(1)?;
        let (_, found, _) = values.select_nth_unstable(place);
        Some(u64::from(*found))
    };
    Percentiles {
        p50: rank(50),
        p95: rank(95),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_there() {
        let of = |values: &[u32]| {
            let found = percentiles(&mut values.to_vec());
            (found.p50, found.p95)
        };
        assert_eq!(of(&[]), (None, None));
        assert_eq!(of(&[7]), (Some(7), Some(7)));
        assert_eq!(of(&[4, 1, 3, 2]), (Some(2), Some(4)));
        let hundred: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), (Some(50), Some(95)));
    }
}
