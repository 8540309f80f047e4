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
                let Some(rule) = rule else {
                    return card.get("level").map(Cow::Borrowed);
                };
                let rules = card.get("rules")?.as_array()?;
                let named =
                    |one: &&Value| one.get("identifier").and_then(Value::as_str) == Some(rule);
                rules.iter().find(named)?.get("status").map(Cow::Borrowed)
            }
            Subject::Constant(_) | Subject::Context(_) => None,
        }
    }
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
            passes(&compare.test, value.as_deref().unwrap_or(&Value::Null))
        }
    }
}

/// Whether a value passes a test. A missing value is `null`.
///
/// A list passes a positive test where one of its elements does, or where it is equal as a whole.
pub fn passes(test: &Test, value: &Value) -> bool {
    let holds = match (&test.operand, test.operator) {
        (_, Operator::Empty) => is_empty(value),
        (Operand::Value(wanted), operator) => is(operator, value, wanted),
        (Operand::Range { from, to }, Operator::Between) => any_scalar(value, |scalar| {
            lies(scalar, from.as_ref(), Ordering::is_ge)
                && lies(scalar, to.as_ref(), Ordering::is_le)
        }),
        _ => false,
    };
    holds != test.negated
}

fn is(operator: Operator, value: &Value, wanted: &Value) -> bool {
    let ordered =
        |fits: fn(Ordering) -> bool| any_scalar(value, |scalar| lies(scalar, Some(wanted), fits));
    match operator {
        Operator::Equal => equals(value, wanted),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::In => each(wanted).iter().any(|one| equals(value, one)),
        Operator::Contains => each(wanted).iter().all(|one| contains(value, one)),
        Operator::ContainsAny => each(wanted).iter().any(|one| contains(value, one)),
        Operator::BeginsWith => any_text(value, |text| {
            wanted.as_str().is_some_and(|part| text.starts_with(part))
        }),
        Operator::EndsWith => any_text(value, |text| {
            wanted.as_str().is_some_and(|part| text.ends_with(part))
        }),
        Operator::Empty | Operator::Between | Operator::Expired | Operator::NotExpired => false,
    }
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
fn equals(value: &Value, wanted: &Value) -> bool {
    same(value, wanted)
        || value
            .as_array()
            .is_some_and(|list| list.iter().any(|one| same(one, wanted)))
}

/// The same JSON, numbers and instants compared by what they mean.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => match (Scalar::of(a), Scalar::of(b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        },
    }
}

/// A part of a text, or an element of a list.
fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(list), _) => list.iter().any(|one| same(one, wanted)),
        _ => false,
    }
}

fn any_scalar(value: &Value, fits: impl Fn(&Scalar<'_>) -> bool) -> bool {
    each(value)
        .iter()
        .filter_map(Scalar::of)
        .any(|scalar| fits(&scalar))
}

fn any_text(value: &Value, fits: impl Fn(&str) -> bool) -> bool {
    each(value).iter().filter_map(Value::as_str).any(fits)
}

/// Whether a scalar lies on one side of an end; an open end has no sides.
fn lies(scalar: &Scalar<'_>, end: Option<&Value>, fits: fn(Ordering) -> bool) -> bool {
    let Some(end) = end else { return true };
    Scalar::of(end)
        .and_then(|end| scalar.compare(&end))
        .is_some_and(fits)
}

#[cfg(test)]
mod tests;
