//! What runs really used of what their plugin was granted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Digest, Finding, PluginName, PluginState, Timestamp};

/// What one call used, for the version that it was a call of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallUsage {
    /// The plugin.
    pub plugin: PluginName,
    /// Its version.
    pub version: semver::Version,
    /// Its package.
    pub digest: Digest,
    /// What it did, asked for and was denied.
    pub counts: Vec<Counted>,
    /// What it took of each budget, by the budget's key and in its own unit.
    pub budgets: Vec<(&'static str, u64)>,
    /// The requests that it sent.
    pub requests: RequestTrail,
}

/// The requests of one call, by the lines that allowed them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestTrail {
    /// In the order of the grant, as many as are kept apart.
    pub lines: Vec<LineRequests>,
    /// All that further lines allowed, taken together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<Requests>,
}

/// The requests of one call that one line allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineRequests {
    /// The canonical line of the grant.
    pub line: String,
    /// What is known of them.
    #[serde(flatten)]
    pub requests: Requests,
}

/// What is known of some requests. Those that have no other end were under way when the call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requests {
    /// How many a line allowed.
    pub count: u64,
    /// To how many a server answered.
    pub answered: u64,
    /// How many were refused after all, by their address or for want of a secret: each is a denial of its own.
    pub refused: u64,
    /// How many failed without an answer.
    pub failed: u64,
    /// The first answer's status.
    pub first_status: Option<u16>,
    /// The last one's.
    pub last_status: Option<u16>,
    /// Bytes of the bodies that were sent.
    pub sent_bytes: u64,
    /// Bytes of the bodies that came back.
    pub received_bytes: u64,
}

impl Requests {
    /// A server answered one.
    pub fn answer(&mut self, status: u16) {
        self.answered += 1;
        self.first_status.get_or_insert(status);
        self.last_status = Some(status);
    }

    /// Adds up. The statuses of many lines together would say nothing.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.answered += other.answered;
        self.refused += other.refused;
        self.failed += other.failed;
        self.sent_bytes = self.sent_bytes.saturating_add(other.sent_bytes);
        self.received_bytes = self.received_bytes.saturating_add(other.received_bytes);
    }
}

/// One thing that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// What kind of thing.
    pub kind: UsageKind,
    /// Which one.
    pub subject: String,
    /// How often.
    pub count: u64,
    /// Of a line, the narrower lines that would have done.
    pub acts: Acts,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsageKind {
    /// A granted line that allowed something.
    Line,
    /// An endpoint whose place was asked for.
    Endpoint,
    /// A line that was missing.
    Denied,
}

/// Narrower lines that would have done for all that a line allowed so far, as long as they are few.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Acts(Option<BTreeSet<String>>);

impl Default for Acts {
    fn default() -> Self {
        Self(Some(BTreeSet::new()))
    }
}

impl Acts {
    /// Lines that are kept for one line; who needs more needs a wildcard.
    pub const MOST: usize = 16;

    /// There are too many, or one that no line can say.
    pub const UNKNOWN: Self = Self(None);

    /// Something was done for which this line would have been enough; `None` where no line can say it.
    pub fn take(&mut self, line: Option<String>) {
        match (&mut self.0, line) {
            (Some(known), Some(line)) if known.contains(&line) => {}
            (Some(known), Some(line)) if known.len() < Self::MOST => {
                known.insert(line);
            }
            _ => self.0 = None,
        }
    }

    /// Adds what was done in other calls.
    pub fn merge(&mut self, other: &Self) {
        match &other.0 {
            None => self.0 = None,
            Some(lines) => lines.iter().for_each(|line| self.take(Some(line.clone()))),
        }
    }

    /// All of them, where they are known.
    pub fn known(&self) -> Option<&BTreeSet<String>> {
        self.0.as_ref()
    }
}

/// What was granted to a version beside what its runs used of it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    /// Name of the plugin.
    #[schema(value_type = String)]
    pub name: PluginName,
    /// The version.
    #[schema(value_type = String)]
    pub version: semver::Version,
    /// Where it stands.
    pub state: PluginState,
    /// When it last became active or was approved again: since then every granted line could be used. Absent before.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Runs that ended and were counted.
    pub runs: u64,
    /// When the last of them ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_run: Option<Timestamp>,
    /// After how many days without use a line is found to be unused.
    pub days: u32,
    /// Every granted line, and lines of earlier grants that were used, sorted.
    pub lines: Vec<LineUsage>,
    /// What was asked for and denied, by what was missing.
    pub denied: Vec<DeniedUsage>,
    /// Denials of which only the number is known: there were too many different ones.
    pub denied_beside: u64,
    /// Every granted budget.
    pub budgets: Vec<BudgetUsage>,
    /// Lines that were not used for so long.
    pub findings: Vec<Finding>,
    /// A narrower grant that would have done; absent before the first run.
    pub suggested: Option<Suggestion>,
}

/// One line, and how often it allowed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineUsage {
    /// The canonical line.
    pub line: String,
    /// Whether it is granted now.
    pub granted: bool,
    /// What it allowed so far: calls of the host, requests.
    pub uses: u64,
    /// When a run ended that used it, for the first time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_used: Option<Timestamp>,
    /// The same for the last time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<Timestamp>,
    /// That it was not used for so long, in a sentence.
    pub finding: Option<String>,
}

/// Something that was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeniedUsage {
    /// The line that was missing.
    pub missing: String,
    /// How often.
    pub count: u64,
    /// When a run ended that was denied it, for the first time.
    #[schema(value_type = String, format = DateTime)]
    pub first: Timestamp,
    /// The same for the last time.
    #[schema(value_type = String, format = DateTime)]
    pub last: Timestamp,
}

/// One budget, and the most that a run took of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BudgetUsage {
    /// Its key.
    pub budget: String,
    /// What is granted.
    pub granted: String,
    /// The most that one run took; absent before the first.
    pub highest: Option<String>,
}

/// A grant that allows nothing beyond the present one, and would have done for all that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Suggestion {
    /// All of its canonical lines, budgets included, sorted.
    pub lines: Vec<String>,
    /// Whether an approval of this would allow less than the present one.
    pub narrows: bool,
    /// All requested lines that an approval has to deny: those that nothing needed, and those that are denied now.
    pub deny: Vec<String>,
    /// All budgets that an approval has to lower, by key: to what was enough, or to what they are now.
    pub limits: BTreeMap<String, String>,
    /// Lines that a new version of the plugin can replace by narrower ones.
    pub narrower: Vec<Narrowed>,
    /// Requested lines that nothing needed, and that this build cannot be denied: it imports their interface, or asks
    /// where their endpoint is. They are for a new version to leave out.
    pub rebuild: Vec<String>,
}

/// A line, and what would have done instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Narrowed {
    /// The granted line.
    pub line: String,
    /// Lines that allow what it was used for, and nothing that it does not allow.
    pub instead: Vec<String>,
}
