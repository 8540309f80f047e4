//! A narrower grant, made of what was used. It never allows what the present one does not.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Narrowed, Suggestion};
use crate::plugin::budget::{Budget, Limits, Unit};
use crate::plugin::capability::http::HttpRule;
use crate::plugin::capability::line::Line;
use crate::plugin::capability::within::Maximum;
use crate::plugin::capability::{Capability, Power};
use crate::plugin::grant::Effective;

/// The least that is suggested for a time: a busy machine takes longer than a quiet one.
const LEAST_WALL: u64 = 1_000;
const LEAST_CPU: u64 = 100;

/// The least that is suggested for memory, log and output: a program grows with what it is given.
const LEAST_BYTES: u64 = 4 << 10;

/// What is known of the runs so far.
pub(super) struct Seen<'a> {
    /// Whether a granted line was not used.
    pub(super) is_idle: &'a dyn Fn(&str) -> bool,
    /// Narrower lines that would have done for what a line was used for.
    pub(super) acts: &'a dyn Fn(&str) -> Option<&'a BTreeSet<String>>,
    /// Endpoints whose place was asked for.
    pub(super) asked: &'a BTreeSet<&'a str>,
    /// The most that a run took of a budget.
    pub(super) highest: &'a dyn Fn(Budget) -> Option<u64>,
}

/// What the manifest asks for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) lines: &'a [Capability],
    pub(super) limits: &'a Limits,
}

/// A line of the request that is granted, with the lines that the grant makes of it.
struct Granted<'a> {
    asked: &'a Capability,
    bound: Vec<Capability>,
}

impl Granted<'_> {
    fn is_idle(&self, seen: &Seen<'_>) -> bool {
        self.bound
            .iter()
            .all(|line| (seen.is_idle)(&line.to_string()))
    }
}

/// What would have done. `needed` are the powers without which the component cannot be linked at all.
pub(super) fn narrower(
    power: &Effective,
    asked: Asked<'_>,
    needed: &BTreeSet<Power>,
    seen: &Seen<'_>,
) -> Option<Suggestion> {
    let granted = granted(power);
    let kept = kept(&granted, power, needed, seen);
    // An approval stands by itself: what the present one denies it denies again.
    let held = &power.capabilities;
    let denied = asked.lines.iter().filter(|line| !held.contains(line));
    let mut suggestion = Suggestion {
        lines: Vec::new(),
        narrows: false,
        deny: denied.map(ToString::to_string).collect(),
        limits: BTreeMap::new(),
        narrower: Vec::new(),
        rebuild: Vec::new(),
    };
    let mut lines: Vec<Line> = Vec::new();
    for (number, line) in granted.iter().enumerate() {
        let is_idle = line.is_idle(seen);
        if is_idle && !kept.contains(&number) {
            suggestion.deny.push(line.asked.to_string());
            suggestion.narrows = true;
            continue;
        }
        if is_idle {
            suggestion.rebuild.push(line.asked.to_string());
        }
        for bound in &line.bound {
            let whole = Line::Capability(bound.clone());
            match instead(&whole, seen) {
                None => lines.push(whole),
                Some(instead) => {
                    suggestion.narrower.push(Narrowed {
                        line: whole.to_string(),
                        instead: instead.iter().map(ToString::to_string).collect(),
                    });
                    lines.extend(instead);
                }
            }
        }
    }
    for budget in Budget::ALL {
        let most = power.limits.get(budget);
        let enough = (seen.highest)(budget).and_then(|highest| enough(budget, highest));
        let enough = enough.filter(|enough| *enough < most);
        suggestion.narrows |= enough.is_some();
        let enough = enough.unwrap_or(most);
        if enough < asked.limits.get(budget) {
            let text = budget.render(enough);
            suggestion.limits.insert(budget.key().to_owned(), text);
        }
        lines.push(Line::Limit(budget, enough));
    }
    // Held against the grant as an upgrade is: whatever is wrong above suggests nothing that allows more.
    let grant: Maximum = power.lines().into_iter().collect();
    if let Some(excess) = grant.beyond(&lines).first() {
        tracing::error!(%excess, "a suggested grant would allow more than the present one");
        return None;
    }
    suggestion.deny.sort_unstable();
    let lines: BTreeSet<String> = lines.iter().map(ToString::to_string).collect();
    suggestion.lines = lines.into_iter().collect();
    Some(suggestion)
}

fn granted(power: &Effective) -> Vec<Granted<'_>> {
    let bound = |asked: &Capability| match asked.power() {
        Power::Http => {
            let rules = power.http.iter().filter(|rule| rule.asked() == *asked);
            rules.map(HttpRule::line).collect()
        }
        _ => vec![asked.clone()],
    };
    let granted = power.capabilities.iter();
    granted
        .map(|asked| Granted {
            asked,
            bound: bound(asked),
        })
        .collect()
}

/// Which lines stay although nothing used them: without any line of a power that the component imports it does not
/// start, and without any line of an endpoint it is not told where that is.
fn kept(
    granted: &[Granted<'_>],
    power: &Effective,
    needed: &BTreeSet<Power>,
    seen: &Seen<'_>,
) -> BTreeSet<usize> {
    let numbered = || granted.iter().enumerate();
    let mut kept = BTreeSet::new();
    let mut keep_group = |group: Vec<(usize, &Granted<'_>)>| {
        if group.iter().all(|(_, line)| line.is_idle(seen)) {
            kept.extend(group.into_iter().map(|(number, _)| number));
        }
    };
    for needed in needed {
        let of_power = numbered().filter(|(_, line)| line.asked.power() == *needed);
        keep_group(of_power.collect());
    }
    for endpoint in seen.asked {
        let rules = power.http.iter().filter(|rule| rule.endpoint == *endpoint);
        let lines: Vec<Capability> = rules.map(HttpRule::asked).collect();
        let of_endpoint = numbered().filter(|(_, line)| lines.contains(line.asked));
        keep_group(of_endpoint.collect());
    }
    kept
}

/// Narrower lines for one, if it was used for so little that they are known, and they are other lines.
fn instead(whole: &Line, seen: &Seen<'_>) -> Option<Vec<Line>> {
    let text = whole.to_string();
    let acts = (seen.acts)(&text)?;
    if acts.is_empty() || acts.contains(&text) {
        return None;
    }
    // What does not read back was kept by another version of this program, or is not what it was.
    let lines = acts.iter().map(|act| Line::parse(act).ok());
    let lines: Vec<Line> = lines.collect::<Option<_>>()?;
    let maximum: Maximum = [whole.clone()].into_iter().collect();
    maximum.beyond(&lines).is_empty().then_some(lines)
}

/// Twice the most that a run took, in a round number.
fn enough(budget: Budget, highest: u64) -> Option<u64> {
    let twice = highest.saturating_mul(2).max(budget.least());
    let enough = match (budget, budget.unit()) {
        (Budget::WallTime, _) => round(twice.max(LEAST_WALL)),
        (Budget::CpuTime, _) => round(twice.max(LEAST_CPU)),
        (_, Unit::Time | Unit::Count) => round(twice),
        (Budget::HttpBytes, Unit::Size) if highest == 0 => 0,
        (_, Unit::Size) => twice.max(LEAST_BYTES).checked_next_power_of_two()?,
    };
    budget.check(enough).ok()
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
fn round(least: u64) -> u64 {
    if least == 0 {
        return 0;
    }
    let mut unit: u64 = 1;
    loop {
        let steps = [1, 2, 5].map(|step| unit.saturating_mul(step));
        if let Some(step) = steps.into_iter().find(|step| *step >= least) {
            return step;
        }
        unit = unit.saturating_mul(10);
    }
}
