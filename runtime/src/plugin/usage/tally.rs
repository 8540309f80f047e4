//! Counts, in memory, what one call uses of its lines. Nothing is written while a guest runs: its run takes the counts
//! along when it ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{Acts, Counted, LineRequests, RequestTrail, Requests, UsageKind};
use crate::plugin::budget::Budget;
use crate::plugin::capability::{Capability, Power};
use crate::plugin::grant::Effective;

/// Endpoints of one call that are counted by name; a manifest has fewer.
const ENDPOINTS: usize = 500;

/// Lines whose requests are told apart in the audit log, and the bytes of their texts: one row has to stay readable.
const TOLD: usize = 100;
const TOLD_BYTES: usize = 32 << 10;

/// What one call has used so far.
pub(crate) struct Tally {
    power: Arc<Effective>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// By the place of the line among the granted ones.
    lines: BTreeMap<usize, Used>,
    /// By the place of the line among the bound ones.
    requests: BTreeMap<usize, Used>,
    /// What became of them, by the same place.
    trails: BTreeMap<usize, Requests>,
    endpoints: BTreeMap<String, u64>,
    budgets: BTreeMap<Budget, u64>,
}

#[derive(Default)]
struct Used {
    count: u64,
    acts: Acts,
}

impl Used {
    fn counted(&self, line: String) -> Counted {
        Counted {
            kind: UsageKind::Line,
            subject: line,
            count: self.count,
            acts: self.acts.clone(),
        }
    }
}

impl Tally {
    /// For a call with this power.
    pub(crate) fn new(power: Arc<Effective>) -> Arc<Self> {
        Arc::new(Self {
            power,
            counts: Mutex::default(),
        })
    }

    /// A line of `capabilities` allowed something.
    pub(crate) fn line(&self, place: usize) {
        self.lock().lines.entry(place).or_default().count += 1;
    }

    /// The same, where a narrower line would have done.
    pub(crate) fn narrower(&self, place: usize, would_do: &Capability) {
        let mut counts = self.lock();
        let used = counts.lines.entry(place).or_default();
        used.count += 1;
        used.acts.take(Some(would_do.to_string()));
    }

    /// The one line of a power that has no more than one allowed something.
    pub(crate) fn power(&self, power: Power) {
        if let Some(place) = self.power.position(power) {
            self.line(place);
        }
    }

    /// A line of `http` allowed a request; `would_do` names the request alone, where a line can.
    pub(crate) fn request(&self, place: usize, would_do: Option<String>) {
        let mut counts = self.lock();
        let used = counts.requests.entry(place).or_default();
        used.count += 1;
        used.acts.take(would_do);
    }

    /// Begins to tell of a request that a bound line allowed.
    pub(crate) fn trail(self: &Arc<Self>, place: usize) -> Trail {
        self.lock().trails.entry(place).or_default().count += 1;
        Trail {
            tally: Arc::clone(self),
            place,
        }
    }

    /// The requests of the call, as the audit log keeps them.
    pub(crate) fn requests(&self) -> RequestTrail {
        let counts = self.lock();
        let (mut told, mut bytes) = (RequestTrail::default(), 0);
        for (place, requests) in &counts.trails {
            let Some(rule) = self.power.http.get(*place) else {
                continue;
            };
            let line = rule.line().to_string();
            bytes += line.len();
            if told.lines.len() < TOLD && bytes <= TOLD_BYTES {
                let requests = *requests;
                told.lines.push(LineRequests { line, requests });
            } else {
                told.others.get_or_insert_default().add(requests);
            }
        }
        told
    }

    /// Somebody asked where an endpoint is.
    pub(crate) fn endpoint(&self, name: &str) {
        let mut counts = self.lock();
        if let Some(count) = counts.endpoints.get_mut(name) {
            *count += 1;
        } else if counts.endpoints.len() < ENDPOINTS {
            counts.endpoints.insert(name.to_owned(), 1);
        }
    }

    /// So much of a budget was taken: never more than is granted, as far as a reviewer has to know.
    pub(crate) fn spent(&self, budget: Budget, amount: u64) {
        let amount = amount.min(self.power.limits.get(budget));
        self.lock().budgets.insert(budget, amount);
    }

    /// The lines and endpoints that were used.
    pub(crate) fn counts(&self) -> Vec<Counted> {
        let counts = self.lock();
        let lines = counts.lines.iter().filter_map(|(place, used)| {
            let line = self.power.capabilities.get(*place)?;
            Some(used.counted(line.to_string()))
        });
        let requests = counts.requests.iter().filter_map(|(place, used)| {
            let rule = self.power.http.get(*place)?;
            Some(used.counted(rule.line().to_string()))
        });
        let endpoints = counts.endpoints.iter().map(|(name, count)| Counted {
            kind: UsageKind::Endpoint,
            subject: name.clone(),
            count: *count,
            acts: Acts::default(),
        });
        lines.chain(requests).chain(endpoints).collect()
    }

    /// What was taken of each budget, by its key.
    pub(crate) fn budgets(&self) -> Vec<(&'static str, u64)> {
        let counts = self.lock();
        let budgets = counts.budgets.iter();
        budgets.map(|(of, amount)| (of.key(), *amount)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells of one request that a line allowed.
#[derive(Clone)]
pub(crate) struct Trail {
    tally: Arc<Tally>,
    place: usize,
}

impl Trail {
    /// Something became known about it.
    pub(crate) fn note(&self, what: impl FnOnce(&mut Requests)) {
        what(self.tally.lock().trails.entry(self.place).or_default());
    }
}
