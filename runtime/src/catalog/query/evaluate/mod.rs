//! Tries a query on one entity in memory: what every other way of answering a query has to agree with.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::bind::Bound;
use crate::model::{
    Combinator, Compare, Meta, Operand, Operator, Query, Rule, Scalar, Subject, Test, Walk,
};

/// Something that queries can be tried on.
pub trait Subjects {
    /// A value of it; `None` and JSON `null` are the same.
    fn find(&self, subject: &Subject) -> Option<Cow<'_, Value>>;

    /// Whether it stands where a walk leads to. What knows nothing of the graph stands nowhere.
    fn is_reached(&self, _: &Walk) -> bool {
        false
    }
}

/// An entity as the API shows it.
impl Subjects for Value {
    fn find(&self, subject: &Subject) -> Option<Cow<'_, Value>> {
        match subject {
            Subject::Property(name) => self.get("properties")?.get(name).map(Cow::Borrowed),
            Subject::Relation(name) => self.get("relations")?.get(name).map(Cow::Borrowed),
            Subject::Meta(meta) => {
                let name = meta.as_str().trim_start_matches('$');
                let value = self.get(name)?;
                Some(match (meta, value) {
                    (Meta::Team, Value::String(_)) => Cow::Owned(Value::Array(vec![value.clone()])),
                    _ => Cow::Borrowed(value),
                })
            }
            Subject::Scorecard { scorecard, rule } => {
                let card = self.get("scorecards")?.get(scorecard)?;
                of_scorecard(card, rule.as_deref()).map(Cow::Borrowed)
            }
            Subject::Constant(_) | Subject::Context(_) => None,
        }
    }
}

/// The level in what a scorecard says of an entity, or the status of one of its rules.
pub(super) fn of_scorecard<'a>(card: &'a Value, rule: Option<&str>) -> Option<&'a Value> {
    let Some(rule) = rule else {
        return card.get("level");
    };
    let rules = card.get("rules")?.as_array()?;
    let is_named = |one: &&Value| one.get("identifier").and_then(Value::as_str) == Some(rule);
    rules.iter().find(is_named)?.get("status")
}

/// Whether a query holds for something.
pub fn evaluate(query: &Bound, of: &impl Subjects) -> bool {
    holds(&query.0, of)
}

fn holds(query: &Query, of: &impl Subjects) -> bool {
    let holds = |rule: &Rule| match rule {
        Rule::Compare(compare) => compares(compare, of),
        Rule::Group(query) => holds(query, of),
        Rule::Walk(walk) => of.is_reached(walk),
        // Which properties are of the type is for the blueprint to say: the rule was put in terms of them before.
        Rule::Schema(_) => false,
    };
    match query.combinator {
        Combinator::And => query.rules.iter().all(holds),
        Combinator::Or => query.rules.iter().any(holds),
    }
}

/// Whether one comparison holds.
pub(super) fn compares(compare: &Compare, of: &impl Subjects) -> bool {
    match &compare.subject {
        Subject::Constant(value) => passes(&compare.test, value),
        subject => {
            let value = of.find(subject);
            let value = value.as_deref().unwrap_or(&Value::Null);
            passes_as(&compare.test, value, reading(subject))
        }
    }
}

/// Whether a value passes a test. A missing value is `null`.
///
/// A list passes a positive test where one of its elements does, or where it is equal as a whole.
pub fn passes(test: &Test, value: &Value) -> bool {
    passes_as(test, value, |value| Scalar::of(value))
}

/// How JSON is read as a scalar.
type Reading = for<'a> fn(&'a Value) -> Option<Scalar<'a>>;

/// Identifiers and names are texts and nothing else, even where they look like a date.
fn reading(subject: &Subject) -> Reading {
    match subject {
        Subject::Relation(_)
        | Subject::Meta(
            Meta::Identifier
            | Meta::Icon
            | Meta::Blueprint
            | Meta::CreatedBy
            | Meta::UpdatedBy
            | Meta::Datasource,
        ) => |value| Scalar::plain(value),
        _ => |value| Scalar::of(value),
    }
}

fn passes_as(test: &Test, value: &Value, read: Reading) -> bool {
    let holds = match (&test.operand, test.operator) {
        (_, Operator::Empty) => is_empty(value),
        (Operand::Value(wanted), operator) => is(operator, value, wanted, read),
        (Operand::Range { from, to }, Operator::Between) => any_scalar(value, read, |scalar| {
            lies(scalar, from.as_ref(), Ordering::is_ge, read)
                && lies(scalar, to.as_ref(), Ordering::is_le, read)
        }),
        _ => false,
    };
    holds != test.negated
}

fn is(operator: Operator, value: &Value, wanted: &Value, read: Reading) -> bool {
    let ordered = |fits: fn(Ordering) -> bool| {
        any_scalar(value, read, |scalar| lies(scalar, Some(wanted), fits, read))
    };
    match operator {
        Operator::Equal => equals(value, wanted, read),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::In => each(wanted).iter().any(|one| equals(value, one, read)),
        Operator::Contains => each(wanted).iter().all(|one| contains(value, one, read)),
        Operator::ContainsAny => each(wanted).iter().any(|one| contains(value, one, read)),
        Operator::BeginsWith => any_text(value, |text| {
            wanted.as_str().is_some_and(|part| text.starts_with(part))
        }),
        Operator::EndsWith => any_text(value, |text| {
            wanted.as_str().is_some_and(|part| text.ends_with(part))
        }),
        Operator::Expired => is_when(value, wanted, Ordering::is_le, read),
        Operator::NotExpired => is_when(value, wanted, Ordering::is_gt, read),
        Operator::Empty | Operator::Between => false,
    }
}

/// Whether an instant lies on one side of now. What is no instant lies on neither.
fn is_when(value: &Value, now: &Value, fits: fn(Ordering) -> bool, read: Reading) -> bool {
    any_scalar(value, read, |scalar| {
        Scalar::of(now)
            .and_then(|now| scalar.compare(&now))
            .is_some_and(fits)
    })
}

/// The elements of a list; anything else is a list of itself.
fn each(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        one => std::slice::from_ref(one),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Equal as a whole, or for a list one of its elements.
fn equals(value: &Value, wanted: &Value, read: Reading) -> bool {
    same(value, wanted, read)
        || value
            .as_array()
            .is_some_and(|list| list.iter().any(|one| same(one, wanted, read)))
}

/// The same JSON, numbers and instants compared by what they mean.
fn same(a: &Value, b: &Value, read: Reading) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, read))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b, read)))
        }
        _ => match (read(a), read(b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        },
    }
}

/// A part of a text, or an element of a list.
fn contains(value: &Value, wanted: &Value, read: Reading) -> bool {
    match (value, wanted) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(list), _) => list.iter().any(|one| same(one, wanted, read)),
        _ => false,
    }
}

fn any_scalar(value: &Value, read: Reading, fits: impl Fn(&Scalar<'_>) -> bool) -> bool {
    each(value)
        .iter()
        .filter_map(read)
        .any(|scalar| fits(&scalar))
}

fn any_text(value: &Value, fits: impl Fn(&str) -> bool) -> bool {
    each(value).iter().filter_map(Value::as_str).any(fits)
}

/// Whether a scalar lies on one side of an end; an open end has no sides.
fn lies(
    scalar: &Scalar<'_>,
    end: Option<&Value>,
    fits: fn(Ordering) -> bool,
    read: Reading,
) -> bool {
    let Some(end) = end else { return true };
    read(end)
        .and_then(|end| scalar.compare(&end))
        .is_some_and(fits)
}

#[cfg(test)]
mod tests;
