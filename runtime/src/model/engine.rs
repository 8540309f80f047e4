//! How the runs of an action are carried out: `engine` in its document.

use serde::{Deserialize, Serialize};

use super::Pause;

/// How runs of an action are carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Engine {
    /// With whose rights the plugin works in the catalog.
    #[serde(default)]
    pub run_as: RunAs,
    /// What becomes of an attempt that failed. Absent: the run fails with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// How long a run may take from the start of its first attempt, with all attempts and the pauses between them; sleeping
    /// does not count. Absent: as long as its attempts take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "10m")]
    pub timeout: Option<Pause>,
    /// How many runs of the action are carried out at once. Absent: as many as there are workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Whether runs of the action may work on the same entity at the same time as others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_entity: Option<PerEntity>,
    /// Which runs go first when several wait: the higher, the sooner, from -100 to 100. 0 where absent. About every eighth
    /// run is the one that has waited for the longest, whatever its priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Minutes of work that the same takes by hand: what statistics count as saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_minutes: Option<u32>,
}

/// With whose rights the plugin of a run works in the catalog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunAs {
    /// With those that it was granted, whoever asked: a golden path may do what its user may not do by hand.
    #[default]
    Action,
    /// With those that it was granted and the person who asked has as well.
    User,
}

/// Whether runs on one entity wait for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PerEntity {
    /// One after the other, in the order in which they were asked for. A run that waits for its next attempt keeps the
    /// others waiting; one that sleeps does not.
    #[default]
    Serial,
    /// All at once.
    Parallel,
}

/// What becomes of an attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included: 2 to 20.
    pub attempts: u32,
    /// Pause before the second attempt; each later one is twice as long. Somewhat less or more each time, so that runs
    /// that failed together do not come back together.
    #[serde(default = "first_pause")]
    #[schema(value_type = String, example = "1s")]
    pub backoff: Pause,
    /// The longest pause.
    #[serde(default = "longest_pause")]
    #[schema(value_type = String, example = "5m")]
    pub max_backoff: Pause,
    /// Only failures with these codes. Absent: all that may pass by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<String>>,
}

fn first_pause() -> Pause {
    Pause::from_millis(1_000)
}

fn longest_pause() -> Pause {
    Pause::from_millis(300_000)
}

impl RetryPolicy {
    /// The pause before another attempt, after that many. `chance`, from 0 to 1, makes it up to a fifth shorter or longer.
    pub fn pause(&self, attempts: u32, chance: f64) -> Pause {
        let doubled = 2_u64.saturating_pow(attempts.saturating_sub(1).min(40));
        let whole = self.backoff.as_millis().saturating_mul(doubled);
        let whole = whole.min(self.max_backoff.as_millis());
        let fifth = whole / 5;
        // Both are small enough: a pause has 365 days at most.
        let shift = (fifth as f64 * 2.0 * chance.clamp(0.0, 1.0)) as u64;
        Pause::from_millis(whole - fifth + shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ_by_a_fifth() {
        let policy = RetryPolicy {
            attempts: 9,
            backoff: Pause::from_millis(1_000),
            max_backoff: Pause::from_millis(5_000),
            on: None,
        };
        let middle = |attempts| policy.pause(attempts, 0.5).as_millis();
        assert_eq!(
            [1, 2, 3, 4, 60].map(middle),
            [1_000, 2_000, 4_000, 5_000, 5_000]
        );
        assert_eq!(policy.pause(1, 0.0).as_millis(), 800);
        assert_eq!(policy.pause(1, 1.0).as_millis(), 1_200);
    }
}
