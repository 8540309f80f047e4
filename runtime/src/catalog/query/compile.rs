//! From a query to conditions that the store can check by its indexes, for one blueprint at a time.
//!
//! A condition never leaves out an entity for which the query holds. Where it lets in others too it is not exact, and
//! the query is tried once more on each entity that it lets in.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Value, json};

use super::bind::Bound;
use super::evaluate::{Subjects, compares, passes};
use super::walk::Walks;
use crate::catalog::Error;
use crate::catalog::kind::{Kind, Kinds};
use crate::model::{
    Blueprint, Combinator, Compare, EntityId, Meta, Operand, Operator, Query, Rule, Scalar,
    SchemaCompare, Subject, Walk,
};
use crate::store::{
    Column, ColumnTest, Condition, EntityKey, Hidden, IndexValue, PropertyKey, ReadTx, Span,
    scorecard_name,
};

/// Entities that a stretch of the index may have to be looked up as a whole.
pub(super) const MAX_SPAN: usize = 20_000;

/// Values of one list that are looked up one by one for each entity.
const MAX_POINTS: usize = 50;

/// What a query comes to for one blueprint.
#[derive(Debug)]
pub(super) struct Compiled {
    /// What the store checks.
    pub(super) condition: Condition,
    /// Whether that is all there is to check.
    pub(super) exact: bool,
    /// The query in terms of this blueprint, for the rest.
    pub(super) query: Bound,
}

/// A part of a condition, and whether it lets in only what the rule holds for.
type Part = (Condition, bool);

/// Compiles queries on one snapshot. Keeps what is the same for every blueprint.
pub(super) struct Compiler<'a, 'tx> {
    pub(super) tx: &'a ReadTx<'tx>,
    pub(super) kinds: &'a Kinds,
    walks: Walks<'a, 'tx>,
    cut: RefCell<HashMap<PropertyKey, bool>>,
}

impl<'a, 'tx> Compiler<'a, 'tx> {
    pub(super) fn new(tx: &'a ReadTx<'tx>, kinds: &'a Kinds, hidden: Rc<Hidden>) -> Self {
        Self {
            tx,
            kinds,
            walks: Walks::new(tx, kinds, hidden),
            cut: RefCell::default(),
        }
    }

    /// What a query comes to for a blueprint.
    pub(super) fn compile(&self, query: &Bound, kind: &Kind) -> Result<Compiled, Error> {
        let query = expand(&query.0, kind.blueprint());
        let (condition, exact) = self.query(&query, kind)?;
        let condition = simplify(condition);
        let exact = exact || condition == Condition::Never;
        Ok(Compiled {
            condition,
            exact,
            query: Bound(query),
        })
    }

    /// Where a walk leads to among the entities of a blueprint.
    pub(super) fn reached(&self, walk: &Walk, kind: &Kind) -> Result<Rc<Vec<EntityKey>>, Error> {
        self.walks.reached(walk, kind)
    }

    fn query(&self, query: &Query, kind: &Kind) -> Result<Part, Error> {
        // Most blueprints are ruled out by their name: nothing else of the query costs anything then.
        let ruled_out = |rule: &Rule| match rule {
            Rule::Compare(compare) if compare.subject == Subject::Meta(Meta::Blueprint) => {
                !compares(compare, &OfBlueprint(kind.blueprint()))
            }
            _ => false,
        };
        if query.combinator == Combinator::And && query.rules.iter().any(ruled_out) {
            return Ok((Condition::Never, true));
        }
        let mut parts = Vec::with_capacity(query.rules.len());
        let mut exact = true;
        for rule in &query.rules {
            let (part, is_exact) = match rule {
                Rule::Group(query) => self.query(query, kind)?,
                Rule::Compare(compare) => self.compare(compare, kind)?,
                Rule::Walk(walk) => (Condition::Keys(self.reached(walk, kind)?.to_vec()), true),
                // Put in terms of properties before.
                Rule::Schema(_) => (Condition::Never, true),
            };
            exact &= is_exact;
            parts.push(part);
        }
        Ok(match query.combinator {
            Combinator::And => (Condition::All(parts), exact),
            Combinator::Or => (Condition::Any(parts), exact),
        })
    }

    fn compare(&self, compare: &Compare, kind: &Kind) -> Result<Part, Error> {
        let blueprint = kind.blueprint();
        let constant = |value: &Value| {
            let holds = passes(&compare.test, value);
            Ok((
                if holds {
                    Condition::Always
                } else {
                    Condition::Never
                },
                true,
            ))
        };
        let (condition, exact) = match &compare.subject {
            Subject::Constant(value) => return constant(value),
            Subject::Context(_) => return constant(&Value::Null),
            Subject::Meta(Meta::Blueprint) => {
                let holds = compares(compare, &OfBlueprint(blueprint));
                return Ok((
                    if holds {
                        Condition::Always
                    } else {
                        Condition::Never
                    },
                    true,
                ));
            }
            Subject::Property(name) => {
                let list = blueprint.schema.properties.get(name).is_some_and(|schema| {
                    schema.get("type").and_then(Value::as_str) == Some("array")
                });
                self.indexed(compare, kind, name, list)?
            }
            Subject::Meta(meta @ (Meta::Title | Meta::Team)) => {
                self.indexed(compare, kind, meta.as_str(), *meta == Meta::Team)?
            }
            Subject::Scorecard { scorecard, rule } => self.indexed(
                compare,
                kind,
                &scorecard_name(scorecard, rule.as_deref()),
                false,
            )?,
            Subject::Meta(Meta::Identifier) => column(Column::Identifier, compare),
            Subject::Meta(Meta::Icon) => column(Column::Icon, compare),
            Subject::Meta(Meta::Datasource) => column(Column::Datasource, compare),
            Subject::Meta(Meta::CreatedBy) => column(Column::CreatedBy, compare),
            Subject::Meta(Meta::UpdatedBy) => column(Column::UpdatedBy, compare),
            Subject::Meta(Meta::CreatedAt) => time(Column::CreatedAt, compare),
            Subject::Meta(Meta::UpdatedAt) => time(Column::UpdatedAt, compare),
            Subject::Relation(name) => self.relation(compare, kind, name)?,
        };
        Ok(match (compare.test.negated, exact) {
            (false, _) => (condition, exact),
            (true, true) => (Condition::Not(Box::new(condition)), true),
            // What lets in too much would leave out too much when turned around.
            (true, false) => (Condition::Always, false),
        })
    }

    /// A comparison of what is in the value index, in its positive form.
    fn indexed(
        &self,
        compare: &Compare,
        kind: &Kind,
        name: &str,
        list: bool,
    ) -> Result<Part, Error> {
        const LOOK: Part = (Condition::Always, false);
        let Some(property) = self.tx.find_property(kind.key, name)? else {
            // What has no rows has no value, or one that is empty.
            let mut positive = compare.test.clone();
            positive.negated = false;
            let holds = [Value::Null, json!([]), json!({})].map(|value| passes(&positive, &value));
            return Ok(match holds {
                [true, true, true] => (Condition::Always, true),
                [false, false, false] => (Condition::Never, true),
                _ => LOOK,
            });
        };
        if self.is_cut(property)? {
            return Ok(LOOK);
        }
        let test = &compare.test;
        let ordered = |from: Option<(&Value, bool)>, to: Option<(&Value, bool)>| {
            match (end_of(from), end_of(to)) {
                // Nothing is of two kinds at once.
                (Some(Some((from, _))), Some(Some((to, _)))) if from.compare(&to).is_none() => {
                    Ok((Condition::Never, true))
                }
                (Some(from), Some(to)) => self.stretch(property, from, to),
                _ => Ok((Condition::Never, true)),
            }
        };
        match (&test.operand, test.operator) {
            (_, Operator::Empty) => {
                let (present, exact) = self.span(property, Span::Present, true)?;
                Ok(if exact {
                    (Condition::Not(Box::new(present)), true)
                } else {
                    LOOK
                })
            }
            (Operand::Value(value), Operator::Equal) => {
                self.points(property, std::slice::from_ref(value))
            }
            (Operand::Value(Value::Array(values)), Operator::In) => self.points(property, values),
            (Operand::Value(value), Operator::Contains) if list && !value.is_array() => {
                self.points(property, std::slice::from_ref(value))
            }
            (Operand::Value(Value::Array(values)), Operator::Contains) if list => {
                let mut parts = Vec::with_capacity(values.len());
                let mut exact = true;
                for value in values.iter().take(MAX_POINTS) {
                    let (part, is_exact) = self.points(property, std::slice::from_ref(value))?;
                    parts.push(part);
                    exact &= is_exact;
                }
                Ok((Condition::All(parts), exact && values.len() <= MAX_POINTS))
            }
            (Operand::Value(Value::Array(values)), Operator::ContainsAny) if list => {
                self.points(property, values)
            }
            (Operand::Value(Value::String(prefix)), Operator::BeginsWith) => {
                match Span::beginning(prefix) {
                    Some(span) => self.span(property, span, true),
                    None => Ok(LOOK),
                }
            }
            (Operand::Value(value), Operator::Greater | Operator::NotExpired) => {
                ordered(Some((value, false)), None)
            }
            (Operand::Value(value), Operator::GreaterOrEqual) => ordered(Some((value, true)), None),
            (Operand::Value(value), Operator::Less) => ordered(None, Some((value, false))),
            (Operand::Value(value), Operator::LessOrEqual | Operator::Expired) => {
                ordered(None, Some((value, true)))
            }
            (Operand::Range { from, to }, Operator::Between) => ordered(
                from.as_ref().map(|value| (value, true)),
                to.as_ref().map(|value| (value, true)),
            ),
            _ => Ok(LOOK),
        }
    }

    fn is_cut(&self, property: PropertyKey) -> Result<bool, Error> {
        if let Some(cut) = self.cut.borrow().get(&property) {
            return Ok(*cut);
        }
        let cut = self.tx.has_cut_lists(property)?;
        self.cut.borrow_mut().insert(property, cut);
        Ok(cut)
    }

    /// One of several values.
    fn points(&self, property: PropertyKey, values: &[Value]) -> Result<Part, Error> {
        let mut points = Vec::with_capacity(values.len());
        let mut exact = true;
        for value in values {
            // Only scalars have rows that tell one from the other.
            let Some(scalar) = Scalar::of(value) else {
                return Ok((Condition::Always, false));
            };
            exact &= IndexValue::is_exact(&scalar);
            points.push(IndexValue::of(&scalar));
        }
        if points.len() <= MAX_POINTS {
            let parts = points
                .into_iter()
                .map(|value| Condition::Value(property, value));
            return Ok((Condition::Any(parts.collect()), exact));
        }
        let mut keys = Vec::new();
        for point in points {
            let span = Span::Point(point);
            if keys.len() + self.tx.count_span(property, &span, MAX_SPAN)? >= MAX_SPAN {
                return Ok((Condition::Always, false));
            }
            keys.extend(self.tx.list_span(property, &span)?);
        }
        keys.sort_unstable();
        keys.dedup();
        Ok((Condition::Keys(keys), exact))
    }

    fn stretch(
        &self,
        property: PropertyKey,
        from: Option<(Scalar<'_>, bool)>,
        to: Option<(Scalar<'_>, bool)>,
    ) -> Result<Part, Error> {
        let exact = |end: &Option<(Scalar<'_>, bool)>| {
            end.as_ref()
                .is_none_or(|(scalar, _)| IndexValue::is_exact(scalar))
        };
        let is_exact = exact(&from) && exact(&to);
        let span = Span::between(
            from.as_ref().map(|(scalar, closed)| (scalar, *closed)),
            to.as_ref().map(|(scalar, closed)| (scalar, *closed)),
        );
        match span {
            Some(span) => self.span(property, span, is_exact),
            None => Ok((Condition::Always, false)),
        }
    }

    /// A stretch of the index, where it is short enough to be looked up as a whole.
    fn span(&self, property: PropertyKey, span: Span, exact: bool) -> Result<Part, Error> {
        if self.tx.count_span(property, &span, MAX_SPAN)? >= MAX_SPAN {
            return Ok((Condition::Always, false));
        }
        Ok((Condition::Span(property, span), exact))
    }

    /// A comparison of where a relation points, in its positive form.
    fn relation(&self, compare: &Compare, kind: &Kind, name: &str) -> Result<Part, Error> {
        let Some(definition) = kind.blueprint().relations.get(name) else {
            let mut positive = compare.test.clone();
            positive.negated = false;
            let holds = passes(&positive, &Value::Null);
            return Ok((
                if holds {
                    Condition::Always
                } else {
                    Condition::Never
                },
                true,
            ));
        };
        let test = &compare.test;
        let values = match (&test.operand, test.operator) {
            (_, Operator::Empty) => {
                let pointing = Condition::AnyTarget(name.to_owned());
                return Ok((Condition::Not(Box::new(pointing)), true));
            }
            (Operand::Value(Value::Array(values)), Operator::In) => values.as_slice(),
            (Operand::Value(Value::Array(values)), Operator::ContainsAny) if definition.many => {
                values.as_slice()
            }
            (Operand::Value(value @ Value::String(_)), Operator::Equal) => {
                std::slice::from_ref(value)
            }
            (Operand::Value(value @ Value::String(_)), Operator::Contains) if definition.many => {
                std::slice::from_ref(value)
            }
            _ => return Ok((Condition::Always, false)),
        };
        let mut keys = Vec::with_capacity(values.len());
        let target = self.kinds.load(self.tx, &definition.target)?;
        for value in values {
            let Value::String(text) = value else {
                // `null` asks for those that point nowhere.
                return Ok((Condition::Always, false));
            };
            if let Ok(id) = EntityId::parse(text) {
                keys.extend(self.tx.find_entity_key(target.key, &id)?);
            }
        }
        Ok((Condition::Target(name.to_owned(), keys), true))
    }
}

/// What every entity of a blueprint has in common.
struct OfBlueprint<'a>(&'a Blueprint);

impl Subjects for OfBlueprint<'_> {
    fn find(&self, subject: &Subject) -> Option<Cow<'_, Value>> {
        let is_name = *subject == Subject::Meta(Meta::Blueprint);
        is_name.then(|| Cow::Owned(Value::from(self.0.identifier.as_str())))
    }
}

/// One end of a stretch: open, a scalar, or `None` where it is neither.
fn end_of(end: Option<(&Value, bool)>) -> Option<Option<(Scalar<'_>, bool)>> {
    match end {
        None => Some(None),
        Some((value, closed)) => Scalar::of(value).map(|scalar| Some((scalar, closed))),
    }
}

/// A comparison of a text of the entity's own row, in its positive form.
fn column(column: Column, compare: &Compare) -> Part {
    let texts = |values: &[Value]| {
        let texts: Option<Vec<String>> = values
            .iter()
            .map(|value| value.as_str().map(str::to_owned))
            .collect();
        match texts {
            Some(texts) => (Condition::Column(column, ColumnTest::In(texts)), true),
            None => (Condition::Always, false),
        }
    };
    let of = |test| (Condition::Column(column, test), true);
    match (&compare.test.operand, compare.test.operator) {
        (_, Operator::Empty) => of(ColumnTest::Empty),
        // A name is no instant, even where it looks like one.
        (_, Operator::Expired | Operator::NotExpired) => (Condition::Never, true),
        (Operand::Value(value), Operator::Equal) => texts(std::slice::from_ref(value)),
        (Operand::Value(Value::Array(values)), Operator::In) => texts(values),
        (Operand::Value(Value::String(text)), Operator::Contains) => {
            of(ColumnTest::Contains(text.clone()))
        }
        (Operand::Value(Value::String(text)), Operator::BeginsWith) => {
            of(ColumnTest::BeginsWith(text.clone()))
        }
        _ => (Condition::Always, false),
    }
}

/// A comparison of a time of the entity's own row, in its positive form.
fn time(column: Column, compare: &Compare) -> Part {
    let instant = |value: &Value| match Scalar::of(value) {
        Some(Scalar::Instant(microseconds)) => Some(microseconds),
        _ => None,
    };
    // Rows count milliseconds: what lies between two of them belongs to the later one from below.
    let up = |microseconds: i64| {
        microseconds.div_euclid(1_000) + i64::from(microseconds.rem_euclid(1_000) != 0)
    };
    let down = |microseconds: i64| microseconds.div_euclid(1_000);
    let between = |from: Option<i64>, to: Option<i64>| match (from, to) {
        (Some(from), Some(to)) => (
            Condition::Column(column, ColumnTest::Between(from, to)),
            true,
        ),
        _ => (Condition::Never, true),
    };
    match (&compare.test.operand, compare.test.operator) {
        (_, Operator::Empty) => (Condition::Never, true),
        (Operand::Value(value), Operator::Equal) if !value.is_array() && !value.is_object() => {
            between(instant(value).map(up), instant(value).map(down))
        }
        (Operand::Value(value), Operator::Greater | Operator::NotExpired) => {
            between(instant(value).map(|at| down(at) + 1), Some(i64::MAX))
        }
        (Operand::Value(value), Operator::GreaterOrEqual) => {
            between(instant(value).map(up), Some(i64::MAX))
        }
        (Operand::Value(value), Operator::Less) => {
            between(Some(i64::MIN), instant(value).map(|at| up(at) - 1))
        }
        (Operand::Value(value), Operator::LessOrEqual | Operator::Expired) => {
            between(Some(i64::MIN), instant(value).map(down))
        }
        (Operand::Range { from, to }, Operator::Between) => between(
            from.as_ref()
                .map_or(Some(i64::MIN), |at| instant(at).map(up)),
            to.as_ref()
                .map_or(Some(i64::MAX), |at| instant(at).map(down)),
        ),
        _ => (Condition::Always, false),
    }
}

/// Puts rules about types in terms of the properties of a blueprint.
fn expand(query: &Query, blueprint: &Blueprint) -> Query {
    Query {
        combinator: query.combinator,
        rules: query
            .rules
            .iter()
            .map(|rule| match rule {
                Rule::Group(query) => Rule::Group(expand(query, blueprint)),
                Rule::Schema(schema) => Rule::Group(of_type(schema, blueprint)),
                other => other.clone(),
            })
            .collect(),
    }
}

fn of_type(schema: &SchemaCompare, blueprint: &Blueprint) -> Query {
    let word = |property: &Value, pointer: &str, wanted: &Option<String>| {
        wanted
            .as_deref()
            .is_none_or(|wanted| property.pointer(pointer).and_then(Value::as_str) == Some(wanted))
    };
    let fits = |property: &Value| {
        property.get("type").and_then(Value::as_str) == Some(schema.kind.as_str())
            && word(property, "/format", &schema.format)
            && word(property, "/items/type", &schema.items)
    };
    let calculated = blueprint
        .extra
        .get("calculationProperties")
        .and_then(Value::as_object);
    let own = blueprint.schema.properties.iter();
    let names = own
        .chain(calculated.into_iter().flatten())
        .filter(|(_, property)| fits(property));
    Query {
        combinator: Combinator::Or,
        rules: names
            .map(|(name, _)| {
                Rule::Compare(Compare {
                    subject: Subject::Property(name.clone()),
                    test: schema.test.clone(),
                })
            })
            .collect(),
    }
}

/// The same condition without what says nothing.
fn simplify(condition: Condition) -> Condition {
    match condition {
        Condition::All(parts) => {
            let mut kept = Vec::new();
            for part in parts.into_iter().map(simplify) {
                match part {
                    Condition::Always => {}
                    Condition::Never => return Condition::Never,
                    Condition::All(parts) => kept.extend(parts),
                    part => kept.push(part),
                }
            }
            match kept.len() {
                0 => Condition::Always,
                1 => kept.swap_remove(0),
                _ => Condition::All(kept),
            }
        }
        Condition::Any(parts) => {
            let mut kept = Vec::new();
            for part in parts.into_iter().map(simplify) {
                match part {
                    Condition::Never => {}
                    Condition::Always => return Condition::Always,
                    Condition::Any(parts) => kept.extend(parts),
                    part => kept.push(part),
                }
            }
            match kept.len() {
                0 => Condition::Never,
                1 => kept.swap_remove(0),
                _ => Condition::Any(kept),
            }
        }
        Condition::Not(part) => match simplify(*part) {
            Condition::Always => Condition::Never,
            Condition::Never => Condition::Always,
            Condition::Not(part) => *part,
            part => Condition::Not(Box::new(part)),
        },
        Condition::Keys(keys) | Condition::Target(_, keys) if keys.is_empty() => Condition::Never,
        other => other,
    }
}
