//! A scorecard made ready for evaluating many entities.

use serde_json::{Map, Value};

use super::super::derived::Conditions;
use super::super::query::{Bound, Subjects, evaluate, parse_conditions};
use crate::catalog::Error;
use crate::model::{RuleResult, RuleStatus, Scorecard, ScorecardResult, Subject, Timestamp};
use crate::store;

/// A stored scorecard, parsed.
#[derive(Debug, PartialEq)]
pub(in crate::catalog) struct Card {
    pub(in crate::catalog) identifier: String,
    levels: Vec<String>,
    filter: Option<Conditions>,
    rules: Vec<CardRule>,
}

#[derive(Debug, PartialEq)]
struct CardRule {
    identifier: String,
    level: usize,
    conditions: Conditions,
}

/// A scorecard at a moment.
pub(in crate::catalog) struct CardNow<'a> {
    card: &'a Card,
    filter: Option<std::borrow::Cow<'a, Bound>>,
    rules: Vec<std::borrow::Cow<'a, Bound>>,
}

impl Card {
    /// Reads a stored scorecard, all of whose rules were checked when it was stored.
    pub(in crate::catalog) fn read(document: &str) -> Result<Self, Error> {
        let scorecard: Scorecard =
            serde_json::from_str(document).map_err(|e| store::Error::corrupt("scorecard", e))?;
        let conditions = |value: &Value| {
            let parsed = parse_conditions(value, "").map_err(|refused| {
                let why = refused.first().map(ToString::to_string);
                store::Error::corrupt("scorecard", why.unwrap_or_default())
            });
            parsed.map(Conditions::new)
        };
        let mut rules = Vec::with_capacity(scorecard.rules.len());
        for rule in &scorecard.rules {
            let level = scorecard
                .levels
                .iter()
                .position(|level| level.title == rule.level);
            let Some(level) = level else {
                return Err(store::Error::corrupt("scorecard", "a rule of no level").into());
            };
            rules.push(CardRule {
                identifier: rule.identifier.clone(),
                level,
                conditions: conditions(&rule.query)?,
            });
        }
        Ok(Self {
            filter: scorecard.filter.as_ref().map(conditions).transpose()?,
            levels: scorecard
                .levels
                .into_iter()
                .map(|level| level.title)
                .collect(),
            identifier: scorecard.identifier,
            rules,
        })
    }

    fn conditions(&self) -> impl Iterator<Item = &Conditions> {
        let rules = self.rules.iter().map(|rule| &rule.conditions);
        self.filter.iter().chain(rules)
    }

    /// What it looks at.
    pub(in crate::catalog) fn subjects(&self) -> Vec<&Subject> {
        self.conditions().flat_map(Conditions::subjects).collect()
    }

    /// Whether its results change with nothing but time.
    pub(in crate::catalog) fn is_timely(&self) -> bool {
        self.conditions().any(Conditions::is_timely)
    }

    /// The scorecard at a moment, to be tried on many entities.
    pub(in crate::catalog) fn at(&self, now: Timestamp) -> CardNow<'_> {
        CardNow {
            card: self,
            filter: self.filter.as_ref().map(|filter| filter.at(now)),
            rules: self
                .rules
                .iter()
                .map(|rule| rule.conditions.at(now))
                .collect(),
        }
    }
}

impl CardNow<'_> {
    /// Its identifier.
    pub(in crate::catalog) fn identifier(&self) -> &str {
        &self.card.identifier
    }

    /// What it says of an entity; nothing where the entity is none of those that it is about.
    pub(in crate::catalog) fn evaluate(&self, of: &impl Subjects) -> Option<ScorecardResult> {
        if self
            .filter
            .as_ref()
            .is_some_and(|filter| !evaluate(filter, of))
        {
            return None;
        }
        let levels = &self.card.levels;
        let name = |level: usize| levels.get(level).cloned().unwrap_or_default();
        let mut reached = levels.len().saturating_sub(1);
        let mut rules = Vec::with_capacity(self.rules.len());
        for (rule, conditions) in self.card.rules.iter().zip(&self.rules) {
            let met = evaluate(conditions, of);
            if !met {
                // Without this rule neither its level nor any above it is reached.
                reached = reached.min(rule.level.saturating_sub(1));
            }
            rules.push(RuleResult {
                identifier: rule.identifier.clone(),
                status: if met {
                    RuleStatus::Success
                } else {
                    RuleStatus::Failure
                },
                level: name(rule.level),
            });
        }
        Some(ScorecardResult {
            level: name(reached),
            rules,
        })
    }
}

/// Results by scorecard, as an entity's `scorecards` shows them.
pub(in crate::catalog) fn show(
    results: impl IntoIterator<Item = (String, ScorecardResult)>,
) -> Result<Map<String, Value>, Error> {
    let mut shown = Map::new();
    for (identifier, result) in results {
        let value =
            serde_json::to_value(result).map_err(|e| store::Error::corrupt("scorecard", e))?;
        shown.insert(identifier, value);
    }
    Ok(shown)
}
