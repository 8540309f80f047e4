//! Used against granted: what a reviewer reads of a version after it has run for a while.

mod suggest;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::suggest::{Asked, Seen};
pub(crate) use self::tally::{Tally, Trail};
use super::budget::Budget;
use super::error::ReviewError;
use super::grant::{Effective, Grant};
use super::package::Package;
use super::{HostPolicy, PluginHost, apart};
use crate::model::{
    BudgetUsage, DeniedUsage, Finding, LineUsage, PluginName, PluginState, Timestamp, UsageKind,
    UsageReport,
};
use crate::store::{RunUsage, StoredPlugin, UsageRow};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// What is on disk about the use of one version.
struct Kept {
    stored: StoredPlugin,
    rows: Vec<UsageRow>,
    runs: Option<RunUsage>,
    since: Option<Timestamp>,
}

/// From when to when a line has to be used so as not to be found.
#[derive(Clone, Copy)]
struct Span {
    days: u32,
    now: Timestamp,
}

impl Span {
    fn begins(self) -> Timestamp {
        Timestamp(self.now.0.saturating_sub(i64::from(self.days) * DAY))
    }
}

impl PluginHost {
    /// How often each granted line of a version was used; of the active one where none is named. Lines that were not
    /// used for `days` are findings.
    ///
    /// # Errors
    /// There is no such version, or none is active.
    pub async fn find_usage(
        &self,
        name: &PluginName,
        version: Option<&semver::Version>,
        days: u32,
        now: Timestamp,
    ) -> Result<UsageReport, ReviewError> {
        let (plugin, wanted) = (name.clone(), version.cloned());
        let kept = self.backend.store.read(move |tx| {
            let found = match &wanted {
                Some(version) => tx.find_plugin(&plugin, version)?,
                None => tx.find_active_plugin(&plugin)?,
            };
            let stored = found.ok_or_else(|| {
                ReviewError::NotFound(match &wanted {
                    Some(version) => format!("version {version} of plugin `{plugin}`"),
                    None => format!("an active version of plugin `{plugin}`"),
                })
            })?;
            let version = &stored.version.version;
            Ok::<_, ReviewError>(Kept {
                rows: tx.list_plugin_usage(&plugin, version)?,
                runs: tx.find_plugin_runs(&plugin, version)?,
                since: tx.find_plugin_activation(&plugin, version)?,
                stored,
            })
        });
        let kept = kept.await?;
        let package = self.find_package(&kept.stored.version).await?;
        let policy = Arc::clone(&self.policy);
        let span = Span { days, now };
        Ok(apart(move || report(kept, &package, &policy, span)).await?)
    }
}

fn report(kept: Kept, package: &Package, policy: &HostPolicy, span: Span) -> UsageReport {
    let Kept {
        stored,
        rows,
        runs,
        since,
    } = kept;
    let version = stored.version;
    let grant: Option<Grant> = stored
        .grant
        .and_then(|text| serde_json::from_str(&text).ok());
    // What cannot be read, or is for another package, allows nothing.
    let power = grant
        .filter(|grant| grant.is_for(package.digest, package.manifest_hash))
        .map(|grant| Effective::of(&package.manifest, &grant, &policy.ceiling));
    let granted: BTreeSet<String> = power
        .iter()
        .flat_map(Effective::capability_lines)
        .map(|line| line.to_string())
        .collect();
    let of_kind = |kind| {
        let rows = rows.iter().filter(move |row| row.counted.kind == kind);
        rows.map(|row| (row.counted.subject.as_str(), row))
    };
    let used: BTreeMap<&str, &UsageRow> = of_kind(UsageKind::Line).collect();
    let begins = span.begins();
    // Only what had the time to be used, in a version that ran in that time, can be found not to be.
    let is_told = version.state == PluginState::Active
        && since.is_some_and(|since| since <= begins)
        && runs.as_ref().is_some_and(|runs| runs.last >= begins);
    // Where uses are kept without their lines, any line may be among them.
    let is_whole = !used.contains_key("");
    let is_idle = |line: &str| match used.get(line) {
        None => is_whole,
        Some(row) => is_told && row.last < begins,
    };
    let mut findings = Vec::new();
    let known = granted.iter().map(String::as_str);
    let known: BTreeSet<&str> = known.chain(used.keys().copied()).collect();
    let lines = known.into_iter().filter(|line| !line.is_empty());
    let lines: Vec<LineUsage> = lines
        .map(|line| {
            let row = used.get(line);
            let is_granted = granted.contains(line);
            let finding = (is_told && is_granted && is_idle(line)).then(|| match row {
                None => format!("`{line}` was never used in {} days", span.days),
                Some(row) => format!(
                    "`{line}` was not used in {} days; the last use was at {}",
                    span.days, row.last
                ),
            });
            findings.extend(finding.clone().map(|message| Finding {
                code: "unused_line".to_owned(),
                message,
            }));
            LineUsage {
                line: line.to_owned(),
                granted: is_granted,
                uses: row.map_or(0, |row| row.counted.count),
                first_used: row.map(|row| row.first),
                last_used: row.map(|row| row.last),
                finding,
            }
        })
        .collect();
    let denied = of_kind(UsageKind::Denied).filter(|(missing, _)| !missing.is_empty());
    let denied = denied.map(|(missing, row)| DeniedUsage {
        missing: missing.to_owned(),
        count: row.counted.count,
        first: row.first,
        last: row.last,
    });
    let beside = of_kind(UsageKind::Denied).find(|(missing, _)| missing.is_empty());
    let highest = |budget: Budget| runs.as_ref()?.highest.get(budget.key()).copied();
    let budgets = power.iter().flat_map(|power| {
        Budget::ALL.map(|budget| BudgetUsage {
            budget: budget.key().to_owned(),
            granted: budget.render(power.limits.get(budget)),
            highest: highest(budget).map(|highest| budget.render(highest)),
        })
    });
    let suggested = runs.as_ref().zip(power.as_ref()).and_then(|(_, power)| {
        let asked: BTreeSet<&str> = of_kind(UsageKind::Endpoint).map(|(name, _)| name).collect();
        let seen = Seen {
            is_idle: &is_idle,
            acts: &|line| used.get(line)?.counted.acts.known(),
            asked: &asked,
            highest: &highest,
        };
        let asked = Asked {
            lines: &package.manifest.request,
            limits: &package.manifest.limits,
        };
        suggest::narrower(power, asked, &package.needed(), &seen)
    });
    UsageReport {
        state: version.state,
        since,
        runs: runs.as_ref().map_or(0, |runs| runs.runs),
        last_run: runs.as_ref().map(|runs| runs.last),
        days: span.days,
        lines,
        denied: denied.collect(),
        denied_beside: beside.map_or(0, |(_, row)| row.counted.count),
        budgets: budgets.collect(),
        findings,
        suggested,
        name: version.name,
        version: version.version,
    }
}
