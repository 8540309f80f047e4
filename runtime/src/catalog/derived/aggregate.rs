//! Figures over many related entities.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Number, Value};

use super::super::kind::Kinds;
use super::super::query::evaluate;
use super::facts::Facts;
use super::graph::{AggregationPlan, Graph};
use super::load;
use super::reach::Reach;
use super::walk::{MAX_WALKED, TooFar, Walk};
use crate::catalog::Error;
use crate::model::{Field, Figure, Function, Pace, Scalar, Timestamp};
use crate::store::{BlueprintKey, EntityKey, ReadTx};

/// Entities that are in memory at a time while conditions are tried on them.
const CHUNK: usize = 2_000;

/// Where figures are made.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a, 'tx> {
    pub(super) tx: &'a ReadTx<'tx>,
    pub(super) kinds: &'a Kinds,
    pub(super) graph: &'a Graph,
    pub(super) now: Timestamp,
}

/// An aggregation of one entity. The `Err` says why it has no value.
pub(super) type Aggregated = Result<Option<Value>, String>;

/// An aggregation of some entities of one blueprint, in their order.
pub(super) fn aggregate(
    at: Surroundings<'_, '_>,
    plan: &AggregationPlan,
    blueprint: BlueprintKey,
    keys: &[EntityKey],
) -> Result<Vec<Aggregated>, Error> {
    let mut made = Vec::with_capacity(keys.len());
    // What is still to be made: the last of it first.
    let mut open = vec![keys];
    while let Some(keys) = open.pop() {
        let mut gathered = Vec::with_capacity(plan.gathers.len());
        for gather in &plan.gathers {
            gathered.push(Reach::read(at.tx, gather, blueprint, keys)?);
        }
        match gathered.into_iter().collect::<Result<Vec<_>, TooFar>>() {
            Ok(reaches) => made.extend(figures(at, plan, keys, reaches)?),
            Err(TooFar) if keys.len() > 1 => {
                let (first, rest) = keys.split_at(keys.len() / 2);
                open.extend([rest, first]);
            }
            Err(TooFar) => {
                let message = format!(
                    "it leads over too many relations or to more than {MAX_WALKED} entities"
                );
                made.push(Err(message));
            }
        }
    }
    Ok(made)
}

/// What some entities have gathered: each what it reaches by any of the walks.
fn figures(
    at: Surroundings<'_, '_>,
    plan: &AggregationPlan,
    keys: &[EntityKey],
    mut reaches: Vec<Reach>,
) -> Result<Vec<Aggregated>, Error> {
    let mut gather = |key: EntityKey| {
        let mut found = Vec::new();
        for (reach, walk) in reaches.iter_mut().zip(&plan.gathers) {
            let reached = reach.from(key).into_iter();
            // A flood begins with the entity itself; it is not related to itself by that.
            let flood = matches!(walk, Walk::Flood { .. });
            found.extend(reached.filter(|reached| !flood || *reached != key));
        }
        found.sort_unstable();
        found.dedup();
        found
    };
    if plan.conditions.is_none() && matches!(plan.figure, Figure::Count) {
        let count = |key: &EntityKey| Ok(Some(Value::from(gather(*key).len())));
        return Ok(keys.iter().map(count).collect());
    }
    // Many are gathered by several: what has to be read of them is read once.
    let all: BTreeSet<EntityKey> = keys.iter().flat_map(|key| gather(*key)).collect();
    let all: Vec<EntityKey> = all.into_iter().collect();
    let all = filter(at, plan, all)?;
    let values = Values::read(at, plan, &all)?;
    let figure = |key: &EntityKey| {
        let mut gathered = gather(*key);
        gathered.retain(|key| all.binary_search(key).is_ok());
        Ok(figure(plan, &gathered, &values, at.now))
    };
    Ok(keys.iter().map(figure).collect())
}

/// Those for which the conditions hold, in order.
fn filter(
    at: Surroundings<'_, '_>,
    plan: &AggregationPlan,
    keys: Vec<EntityKey>,
) -> Result<Vec<EntityKey>, Error> {
    let Some(conditions) = &plan.conditions else {
        return Ok(keys);
    };
    let Some(target) = at.graph.plan(plan.target) else {
        return Ok(Vec::new());
    };
    let bound = conditions.at(at.now);
    let mut kept = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(CHUNK) {
        for (key, entity, derived) in load::load(at.tx, at.kinds, target, chunk)? {
            let facts = Facts {
                entity: &entity.value,
                stamp: Some(&entity.stamp),
                properties: &derived.properties,
                scorecards: &derived.scorecards,
            };
            if evaluate(&bound, &facts) {
                kept.push(key);
            }
        }
    }
    kept.sort_unstable();
    Ok(kept)
}

/// What a figure is made of: the instants and the numbers of entities, of those that have one.
#[derive(Default)]
struct Values {
    instants: HashMap<EntityKey, i64>,
    numbers: HashMap<EntityKey, f64>,
}

impl Values {
    fn read(
        at: Surroundings<'_, '_>,
        plan: &AggregationPlan,
        keys: &[EntityKey],
    ) -> Result<Self, Error> {
        let (pace, property) = match &plan.figure {
            Figure::Count => (None, None),
            Figure::CountPer(pace) => (Some(pace), None),
            Figure::Of(_, property) => (None, Some(property)),
            Figure::SumPer(pace, property) => (Some(pace), Some(property)),
        };
        let mut values = Self::default();
        if let Some(pace) = pace {
            let found = field(at, plan, keys, &pace.instant)?;
            let instants = found.iter();
            values.instants = instants
                .filter_map(|(key, value)| Some((*key, instant(value)?)))
                .collect();
        }
        if let Some(property) = property {
            let found = field(at, plan, keys, &Field::Property(property.to_owned()))?;
            let numbers = found.iter();
            values.numbers = numbers
                .filter_map(|(key, value)| Some((*key, value.as_f64()?)))
                .collect();
        }
        Ok(values)
    }
}

fn field(
    at: Surroundings<'_, '_>,
    plan: &AggregationPlan,
    keys: &[EntityKey],
    field: &Field,
) -> Result<HashMap<EntityKey, Value>, Error> {
    let target = at.graph.plan(plan.target);
    let own = |name: &String| {
        target.is_some_and(|target| target.blueprint.schema.properties.contains_key(name))
    };
    let derived = matches!(field, Field::Property(name) if !own(name));
    Ok(at.tx.list_field(keys, field, derived)?)
}

fn figure(
    plan: &AggregationPlan,
    keys: &[EntityKey],
    values: &Values,
    now: Timestamp,
) -> Option<Value> {
    let instants = || -> Vec<i64> {
        let found = keys.iter().filter_map(|key| values.instants.get(key));
        found.copied().collect()
    };
    match &plan.figure {
        Figure::Count => Some(Value::from(keys.len())),
        Figure::CountPer(pace) => {
            let instants = instants();
            per(count_to_f64(instants.len()), &instants, pace, now)
        }
        Figure::Of(function, _) => {
            let found = keys.iter().filter_map(|key| values.numbers.get(key));
            let mut numbers: Vec<f64> = found.copied().collect();
            reduce(*function, &mut numbers)
        }
        Figure::SumPer(pace, _) => {
            // What has no instant lies in none of the spans.
            let timed = keys.iter().filter(|key| values.instants.contains_key(key));
            let sum = timed.filter_map(|key| values.numbers.get(key)).sum();
            per(sum, &instants(), pace, now)
        }
    }
}

/// Milliseconds of a value that is an instant.
fn instant(value: &Value) -> Option<i64> {
    match Scalar::of(value)? {
        Scalar::Instant(microseconds) => Some(microseconds / 1_000),
        _ => None,
    }
}

/// An amount for each of the spans since the first instant; the one that has only begun counts as a whole one.
fn per(amount: f64, instants: &[i64], pace: &Pace, now: Timestamp) -> Option<Value> {
    let Some(first) = instants.iter().min() else {
        return Some(Value::from(0));
    };
    let passed = now.0.saturating_sub(*first).max(0);
    let spans = passed / pace.span.milliseconds() + 1;
    number(amount / count_to_f64(usize::try_from(spans).unwrap_or(usize::MAX)))
}

fn reduce(function: Function, numbers: &mut [f64]) -> Option<Value> {
    let count = count_to_f64(numbers.len());
    match function {
        Function::Sum => number(numbers.iter().sum()),
        Function::Min => number(numbers.iter().copied().reduce(f64::min)?),
        Function::Max => number(numbers.iter().copied().reduce(f64::max)?),
        Function::Average if numbers.is_empty() => None,
        Function::Average => number(numbers.iter().sum::<f64>() / count),
        Function::Median => {
            numbers.sort_by(f64::total_cmp);
            let middle = numbers.len() / 2;
            let upper = *numbers.get(middle)?;
            let median = match numbers.len() % 2 {
                1 => upper,
                _ => f64::midpoint(*numbers.get(middle.checked_sub(1)?)?, upper),
            };
            number(median)
        }
    }
}

/// A whole number is written as one.
#[expect(
    clippy::cast_possible_truncation,
    reason = "within 2^53 whole numbers are exact in both"
)]
fn number(value: f64) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

#[expect(clippy::cast_precision_loss, reason = "no catalog has 2^53 entities")]
fn count_to_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Meta, Span};

    #[test]
    fn figures_of_numbers_are_what_they_are_called() {
        use Function as F;
        for (function, numbers, expected) in [
            (F::Sum, vec![], Some(json!(0))),
            (F::Sum, vec![0.5, 1.5], Some(json!(2))),
            (F::Min, vec![], None),
            (F::Min, vec![3.0, -1.0], Some(json!(-1))),
            (F::Max, vec![3.0, -1.0], Some(json!(3))),
            (F::Median, vec![], None),
            (F::Median, vec![9.0, 1.0, 5.0], Some(json!(5))),
            (F::Median, vec![4.0, 1.0, 2.0, 9.0], Some(json!(3))),
            (F::Average, vec![], None),
            (F::Average, vec![1.0, 2.0], Some(json!(1.5))),
        ] {
            let mut given = numbers.clone();
            assert_eq!(
                reduce(function, &mut given),
                expected,
                "{function:?} {numbers:?}"
            );
        }
    }

    #[test]
    fn an_amount_is_spread_over_the_spans_since_the_first_instant() {
        const DAY: i64 = 86_400_000;
        let pace = |span| Pace {
            span,
            instant: Field::Meta(Meta::CreatedAt),
        };
        let now = Timestamp(10 * DAY);
        let of = |span, first| per(20.0, &[first + 5, first], &pace(span), now);
        assert_eq!(of(Span::Day, DAY / 2), Some(json!(2)));
        assert_eq!(of(Span::Week, 9 * DAY), Some(json!(20)));
        assert_eq!(of(Span::Week, 0), Some(json!(10)));
        assert_eq!(of(Span::Hour, 9 * DAY), Some(json!(0.8)));
        // An instant that is still to come.
        assert_eq!(of(Span::Day, 20 * DAY), Some(json!(20)));
        assert_eq!(per(0.0, &[], &pace(Span::Day), now), Some(json!(0)));
    }
}
