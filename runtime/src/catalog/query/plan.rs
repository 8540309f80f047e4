//! Decides where the search for the entities of a blueprint begins: with the rule that leaves the fewest.

use serde_json::{Value, json};

use super::bind::Bound;
use super::compile::{Compiled, Compiler, MAX_SPAN};
use crate::catalog::Error;
use crate::catalog::kind::Kind;
use crate::store::{Column, ColumnTest, Condition, Driver, EntityKey, Matching, ReadTx, Span};

/// Entities that are counted to compare one rule with another. One that leaves more counts as broad.
const PROBE: usize = 4_000;

/// How the entities of one blueprint are found.
#[derive(Debug)]
pub(super) struct Plan {
    kind: Kind,
    driver: Driver,
    condition: Condition,
    /// Whether what is found need not be looked at once more.
    pub(super) exact: bool,
    /// The query in terms of the blueprint.
    pub(super) query: Bound,
}

impl Plan {
    pub(super) fn new(
        compiler: &Compiler<'_, '_>,
        query: &Bound,
        kind: &Kind,
    ) -> Result<Self, Error> {
        let Compiled {
            condition,
            exact,
            query,
        } = compiler.compile(query, kind)?;
        let (driver, condition) = choose(compiler.tx, kind, condition)?;
        Ok(Self {
            kind: kind.clone(),
            driver,
            condition,
            exact,
            query,
        })
    }

    /// Narrows the search to some entities, given in order.
    pub(super) fn among(&mut self, keys: &[EntityKey]) {
        let rest = match std::mem::replace(&mut self.driver, Driver::All) {
            Driver::Keys(driver) => return self.driver = Driver::Keys(intersect(&driver, keys)),
            Driver::All => None,
            Driver::Value(property, value) => Some(Condition::Value(property, value)),
        };
        self.driver = Driver::Keys(keys.to_vec());
        if let Some(rest) = rest {
            let condition = std::mem::replace(&mut self.condition, Condition::Always);
            self.condition = Condition::All(vec![rest, condition]);
        }
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether there is nothing to be found.
    pub(super) fn is_empty(&self) -> bool {
        self.condition == Condition::Never
            || matches!(&self.driver, Driver::Keys(keys) if keys.is_empty())
    }

    pub(super) fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Whether all entities of the blueprint that meet the condition are meant.
    pub(super) fn drives_all(&self) -> bool {
        self.driver == Driver::All
    }

    pub(super) fn matching(&self) -> Matching<'_> {
        Matching {
            blueprint: self.kind.key,
            driver: &self.driver,
            condition: &self.condition,
        }
    }

    /// The plan for an administrator to read.
    pub(super) fn explain(&self, tx: &ReadTx<'_>) -> Result<Value, Error> {
        let driver = match &self.driver {
            Driver::All => json!({"all": "every entity of the blueprint"}),
            Driver::Keys(keys) => json!({"keys": keys.len()}),
            Driver::Value(property, value) => {
                let value = Condition::Value(*property, value.clone());
                describe(tx, &value)?
            }
        };
        Ok(json!({
            "blueprint": self.kind.blueprint().identifier,
            "begin": driver,
            "check": describe(tx, &self.condition)?,
            "exact": self.exact,
        }))
    }
}

/// Where to begin, and what is left to check.
fn choose(
    tx: &ReadTx<'_>,
    kind: &Kind,
    condition: Condition,
) -> Result<(Driver, Condition), Error> {
    let mut parts = match condition {
        Condition::All(parts) => parts,
        Condition::Always => Vec::new(),
        Condition::Never => return Ok((Driver::Keys(Vec::new()), Condition::Never)),
        one => vec![one],
    };
    let mut best: Option<(usize, usize)> = None;
    let alone = parts.len() == 1;
    // Lists that are here already come first: nothing else is counted further than the shortest of them.
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| !matches!(parts.get(*index), Some(Condition::Keys(_))));
    for index in order {
        let probe = best.map_or(PROBE, |(_, least)| PROBE.min(least.saturating_add(1)));
        // What has no rival need not be counted.
        let size = match parts.get(index) {
            Some(Condition::Value(..)) if alone => Some(0),
            Some(part) => estimate(tx, part, probe)?,
            None => None,
        };
        if let Some(size) = size
            && best.is_none_or(|(_, least)| size < least)
        {
            best = Some((index, size));
        }
    }
    let Some((index, size)) = best else {
        return Ok((Driver::All, rest(parts)));
    };
    let first = parts.remove(index);
    let driver = match first {
        Condition::Value(property, value) => Driver::Value(property, value),
        // Too many to put in order for one page: each is asked by itself.
        broad if size > MAX_SPAN && !matches!(broad, Condition::Keys(_)) => {
            parts.push(broad);
            return Ok((Driver::All, rest(parts)));
        }
        other => Driver::Keys(collect(tx, kind, &other)?),
    };
    let Driver::Keys(mut keys) = driver else {
        return Ok((driver, rest(parts)));
    };
    // Two lists that are here already are quicker compared here.
    parts.retain(|part| match part {
        Condition::Keys(others) => {
            keys = intersect(&keys, others);
            false
        }
        _ => true,
    });
    Ok((Driver::Keys(keys), rest(parts)))
}

fn rest(mut parts: Vec<Condition>) -> Condition {
    match parts.len() {
        0 => Condition::Always,
        1 => parts.swap_remove(0),
        _ => Condition::All(parts),
    }
}

/// How many entities a condition leaves, counted no further than `probe`; `None` where only a look at each can tell.
fn estimate(tx: &ReadTx<'_>, condition: &Condition, probe: usize) -> Result<Option<usize>, Error> {
    /// More than what is counted, so that a list of known length comes first.
    const BROAD: usize = usize::MAX / 1_000_000;
    let counted = |count: usize| if count >= probe { BROAD } else { count };
    Ok(match condition {
        Condition::Value(property, value) => Some(counted(tx.count_span(
            *property,
            &Span::Point(value.clone()),
            probe,
        )?)),
        Condition::Span(property, span) => Some(tx.count_span(*property, span, MAX_SPAN)?),
        Condition::Target(name, keys) => Some(counted(tx.count_sources(name, keys, probe)?)),
        Condition::Keys(keys) => Some(keys.len()),
        Condition::Column(Column::Identifier, ColumnTest::In(texts)) => Some(texts.len()),
        Condition::Any(parts) => {
            let mut sum = 0_usize;
            for part in parts {
                let Some(size) = estimate(tx, part, probe)? else {
                    return Ok(None);
                };
                sum = sum.saturating_add(size);
            }
            Some(sum)
        }
        Condition::Never => Some(0),
        Condition::Always
        | Condition::All(_)
        | Condition::Not(_)
        | Condition::Column(..)
        | Condition::AnyTarget(_) => None,
    })
}

/// The entities that a condition leaves, in order.
fn collect(tx: &ReadTx<'_>, kind: &Kind, condition: &Condition) -> Result<Vec<EntityKey>, Error> {
    Ok(match condition {
        Condition::Value(property, value) => {
            tx.list_span(*property, &Span::Point(value.clone()))?
        }
        Condition::Span(property, span) => tx.list_span(*property, span)?,
        Condition::Target(name, keys) => tx.step_back(kind.key, name, keys)?,
        Condition::Keys(keys) => keys.clone(),
        Condition::Column(column, test) => {
            tx.list_by_column(kind.key, *column, test, usize::MAX)?
        }
        Condition::Any(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(collect(tx, kind, part)?);
            }
            all.sort_unstable();
            all.dedup();
            all
        }
        // Nothing else has an estimate.
        _ => Vec::new(),
    })
}

/// What two lists in order have in common.
fn intersect(a: &[EntityKey], b: &[EntityKey]) -> Vec<EntityKey> {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    short
        .iter()
        .filter(|key| long.binary_search(key).is_ok())
        .copied()
        .collect()
}

fn describe(tx: &ReadTx<'_>, condition: &Condition) -> Result<Value, Error> {
    let all = |parts: &[Condition]| -> Result<Vec<Value>, Error> {
        parts.iter().map(|part| describe(tx, part)).collect()
    };
    Ok(match condition {
        Condition::Always => json!("nothing"),
        Condition::Never => json!("never"),
        Condition::All(parts) => json!({"all": all(parts)?}),
        Condition::Any(parts) => json!({"any": all(parts)?}),
        Condition::Not(part) => json!({"not": describe(tx, part)?}),
        Condition::Value(property, value) => {
            json!({"index": "value", "property": tx.find_property_name(*property)?, "value": value.to_json()})
        }
        Condition::Span(property, _) => {
            json!({"index": "value", "property": tx.find_property_name(*property)?, "stretch": true})
        }
        Condition::Column(column, test) => {
            json!({"column": format!("{column:?}"), "test": format!("{test:?}").chars().take(200).collect::<String>()})
        }
        Condition::Target(name, keys) => {
            json!({"index": "relation", "relation": name, "targets": keys.len()})
        }
        Condition::AnyTarget(name) => json!({"index": "relation", "relation": name}),
        Condition::Keys(keys) => json!({"keys": keys.len()}),
    })
}
