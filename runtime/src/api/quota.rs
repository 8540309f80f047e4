//! How much somebody may still ask for in a while, and how every answer says so.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName};

use crate::app::LoginQuota;

/// The while that requests are counted in; clients of the Port API expect this one.
const PERIOD: Duration = Duration::from_secs(5 * 60);

static X_RATELIMIT_PERIOD: HeaderName = HeaderName::from_static("x-ratelimit-period");
static X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What is left of something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    limit: u64,
    remaining: u64,
    period_seconds: u64,
    reset_seconds: u64,
}

impl Quota {
    /// Says it in an answer. The reset is in seconds from now, as clients read it, whatever documents call it.
    pub(super) fn write(self, headers: &mut HeaderMap) {
        for (name, value) in [
            (&X_RATELIMIT_PERIOD, self.period_seconds),
            (&X_RATELIMIT_LIMIT, self.limit),
            (&X_RATELIMIT_REMAINING, self.remaining),
            (&X_RATELIMIT_RESET, self.reset_seconds),
        ] {
            headers.insert(name.clone(), value.into());
        }
    }

    /// When it is whole again, in seconds from now.
    pub(super) fn reset_seconds(self) -> u64 {
        self.reset_seconds
    }
}

impl From<LoginQuota> for Quota {
    fn from(quota: LoginQuota) -> Self {
        Self {
            limit: quota.limit.into(),
            remaining: quota.remaining.into(),
            period_seconds: quota.period_seconds,
            reset_seconds: quota.reset_seconds,
        }
    }
}

/// Counts the requests of each principal, where the operator set a limit. Principals are few and known, so the table
/// is as long as theirs at most.
#[derive(Debug, Default)]
pub(super) struct Requests {
    limit: Option<u64>,
    windows: Mutex<HashMap<String, Window>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    used: u64,
}

impl Requests {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            windows: Mutex::default(),
        }
    }

    /// Counts one request. `None`: there is no limit. `Err`: it is one too many.
    pub(super) fn take(&self, principal: &str, now: Instant) -> Option<Result<Quota, Quota>> {
        let limit = self.limit?;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if !windows.contains_key(principal) {
            windows.insert(
                principal.to_owned(),
                Window {
                    since: now,
                    used: 0,
                },
            );
        }
        let window = windows.get_mut(principal)?;
        if now.saturating_duration_since(window.since) >= PERIOD {
            *window = Window {
                since: now,
                used: 0,
            };
        }
        let allowed = window.used < limit;
        window.used = window.used.saturating_add(1).min(limit);
        let left = PERIOD.saturating_sub(now.saturating_duration_since(window.since));
        let quota = Quota {
            limit,
            remaining: limit - window.used,
            period_seconds: PERIOD.as_secs(),
            reset_seconds: left.as_secs() + 1,
        };
        Some(if allowed { Ok(quota) } else { Err(quota) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_for_each_principal_until_the_period_is_over() {
        let (requests, start) = (Requests::new(Some(2)), Instant::now());
        let take = |who: &str, now: Instant| requests.take(who, now).unwrap();
        assert_eq!(take("ann", start).unwrap().remaining, 1);
        assert_eq!(take("ann", start).unwrap().remaining, 0);
        let refused = take("ann", start + Duration::from_secs(100)).unwrap_err();
        assert_eq!((refused.remaining, refused.reset_seconds), (0, 201));
        assert!(take("bob", start).is_ok());
        assert!(take("ann", start + PERIOD).is_ok());
    }

    #[test]
    fn nothing_is_counted_without_a_limit() {
        assert_eq!(Requests::new(None).take("ann", Instant::now()), None);
    }
}
