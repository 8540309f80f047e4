//! What a body asks for by a query in place of a name: the entity itself, where it points, and who owns it.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;

use super::name;
use crate::catalog::blueprint::TEAM;
use crate::catalog::kind::{Kind, Kinds};
use crate::catalog::query::{Searcher, parse_query, within};
use crate::catalog::schema::join;
use crate::catalog::{Error, Search, SearchLimits};
use crate::model::{
    Actor, BlueprintId, EntityId, Operand, Operator, Query, Rule, Subject, Timestamp, Violation,
};
use crate::store::{self, ReadTx};

/// Entities that one query may stand for.
const MAX_FOUND: usize = 100;

/// Operators that may stand in a query for the entity itself.
const IDENTIFYING: &[Operator] = &[Operator::Equal, Operator::In];

/// Operators that may stand in a query for what it points at, or who owns it.
const POINTING: &[Operator] = &[Operator::Equal, Operator::In, Operator::Contains];

/// Whether a body asks for anything by a query.
pub(in crate::catalog) fn asks(body: &Value) -> bool {
    let relations = body.get("relations").and_then(Value::as_object);
    let named = ["identifier", "team"]
        .iter()
        .filter_map(|key| body.get(*key));
    named
        .chain(
            relations
                .into_iter()
                .flat_map(|relations| relations.values()),
        )
        .any(is_query)
}

/// Nothing else in these places is an object with rules.
fn is_query(value: &Value) -> bool {
    value.get("rules").is_some()
}

/// Finds what bodies ask for, on one snapshot and in bounded time, with the eyes of whoever writes.
pub(in crate::catalog) struct Lookup<'a, 'tx> {
    tx: &'a ReadTx<'tx>,
    kinds: &'a Kinds,
    actor: &'a Actor,
    limits: SearchLimits,
    begun: Instant,
    /// Whether anything was looked for yet.
    asked: bool,
    now: Timestamp,
    /// What was found already: many entities point at the same few.
    known: HashMap<(BlueprintId, String), Vec<EntityId>>,
}

impl<'a, 'tx> Lookup<'a, 'tx> {
    pub(in crate::catalog) fn new(
        tx: &'a ReadTx<'tx>,
        kinds: &'a Kinds,
        actor: &'a Actor,
        limits: SearchLimits,
    ) -> Self {
        Self {
            tx,
            kinds,
            actor,
            limits,
            begun: Instant::now(),
            asked: false,
            now: Timestamp::now(),
            known: HashMap::new(),
        }
    }

    /// Puts the names of what is found in the place of the queries.
    ///
    /// # Errors
    /// [`Error::NotFound`] where one has to be found and none is, [`Error::Invalid`] where several are or the query is not
    /// one of those that may stand there.
    pub(in crate::catalog) fn fill_in(
        &mut self,
        kind: &Kind,
        body: &mut Value,
    ) -> Result<(), Error> {
        if !asks(body) {
            return Ok(());
        }
        let blueprint = kind.blueprint();
        if let Some(query) = body.get_mut("identifier").filter(|value| is_query(value)) {
            let id = &blueprint.identifier;
            let found = self.find("/identifier", id, query, IDENTIFYING)?;
            *query = Value::from(one("/identifier", id, found)?.as_str());
        }
        if let Some(query) = body.get_mut("team").filter(|value| is_query(value)) {
            let teams =
                BlueprintId::parse(TEAM).map_err(|e| store::Error::corrupt("blueprint", e))?;
            let found = self.find("/team", &teams, query, POINTING)?;
            if found.is_empty() {
                return Err(none("/team", &teams));
            }
            *query = found.iter().map(EntityId::as_str).collect();
        }
        let relations = body.get_mut("relations").and_then(Value::as_object_mut);
        for (relation, query) in relations.into_iter().flatten() {
            // A relation that the blueprint does not have is refused by its name.
            let Some(definition) = blueprint
                .relations
                .get(relation)
                .filter(|_| is_query(query))
            else {
                continue;
            };
            let path = join("/relations", relation);
            let found = self.find(&path, &definition.target, query, POINTING)?;
            *query = if definition.many {
                found.iter().map(EntityId::as_str).collect()
            } else {
                Value::from(one(&path, &definition.target, found)?.as_str())
            };
        }
        Ok(())
    }

    fn find(
        &mut self,
        path: &str,
        blueprint: &BlueprintId,
        query: &Value,
        allowed: &[Operator],
    ) -> Result<Vec<EntityId>, Error> {
        let parsed = parse_query(query, path).map_err(refused)?;
        let mut violations = Vec::new();
        check(&parsed, path, allowed, &mut violations);
        if !violations.is_empty() {
            return Err(refused(violations));
        }
        let key = (blueprint.clone(), query.to_string());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let mut limits = self.limits;
        let is_first = !std::mem::replace(&mut self.asked, true);
        if !is_first {
            limits.time = limits.time.saturating_sub(self.begun.elapsed());
            if limits.time.is_zero() {
                return Err(self.used_up());
            }
        }
        let search = Search {
            query: parsed,
            blueprint: Some(blueprint.clone()),
            text: None,
            after: None,
            limit: MAX_FOUND,
            explain: false,
            partial: false,
        };
        let page = within(self.tx, limits, || {
            Searcher::new(
                self.tx,
                self.kinds,
                self.actor,
                &search.query,
                limits,
                self.now,
            )?
            .find(&search)
        });
        let page = match page {
            Err(Error::TooExpensive(_))
                if !is_first && self.begun.elapsed() >= self.limits.time =>
            {
                return Err(self.used_up());
            }
            outcome => outcome?,
        };
        if page.next.is_some() {
            let message = format!(
                "the query finds more than {MAX_FOUND} entities of blueprint `{blueprint}`; narrow it"
            );
            return Err(refused(vec![Violation::new(path, "maxItems", message)]));
        }
        let found = page.entities.into_iter();
        let found: Vec<_> = found.map(|entity| entity.value.identifier).collect();
        self.known.insert(key, found.clone());
        Ok(found)
    }

    /// The refusal of every query that comes when the time of all of them is over.
    fn used_up(&self) -> Error {
        Error::TooExpensive(format!(
            "the queries of this request together took longer than {} ms; send fewer of them in one request",
            self.limits.time.as_millis()
        ))
    }
}

/// Finds rules that may not stand in such a query: it names entities by what they have, and does not rule any out.
fn check(query: &Query, path: &str, allowed: &[Operator], found: &mut Vec<Violation>) {
    if query.rules.is_empty() {
        let message = "needs at least one rule: without any it finds everything";
        found.push(Violation::new(format!("{path}/rules"), "minItems", message));
    }
    for (index, rule) in query.rules.iter().enumerate() {
        let path = format!("{path}/rules/{index}");
        match rule {
            Rule::Group(query) => check(query, &path, allowed, found),
            Rule::Compare(compare) if is_null(&compare.test.operand) => {
                let message = "must not be null: what is missing names no entity";
                found.push(Violation::new(format!("{path}/value"), "type", message));
            }
            // Both may turn out to be nothing, or true of everything, for somebody.
            Rule::Compare(compare)
                if matches!(compare.subject, Subject::Context(_))
                    || matches!(compare.test.operand, Operand::Context(_)) =>
            {
                let message = "only what is the same whoever asks may stand here";
                found.push(Violation::new(path, "context", message));
            }
            Rule::Compare(compare)
                if !compare.test.negated && allowed.contains(&compare.test.operator) => {}
            _ => {
                let names = if allowed == IDENTIFYING {
                    "`=` and `in`"
                } else {
                    "`=`, `in` and `contains`"
                };
                let message = format!("only comparisons by {names} may stand here");
                found.push(Violation::new(path, "operator", message));
            }
        }
    }
}

/// Whether something stands for what is missing, if only among others.
fn is_null(operand: &Operand) -> bool {
    match operand {
        Operand::Value(Value::Array(values)) => values.contains(&Value::Null),
        Operand::Value(value) => value.is_null(),
        _ => false,
    }
}

/// The one entity that has to be found.
fn one(path: &str, blueprint: &BlueprintId, mut found: Vec<EntityId>) -> Result<EntityId, Error> {
    match (found.pop(), found.last()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(none(path, blueprint)),
        (Some(last), Some(first)) => {
            let message = format!(
                "the query finds several entities where one is needed, {} and {} among them; narrow it",
                name(blueprint, first),
                name(blueprint, &last)
            );
            Err(refused(vec![Violation::new(path, "unique", message)]))
        }
    }
}

fn none(path: &str, blueprint: &BlueprintId) -> Error {
    Error::NotFound(format!(
        "an entity of blueprint `{blueprint}` for which the query at `{path}` holds"
    ))
}

fn refused(violations: Vec<Violation>) -> Error {
    Error::Invalid {
        subject: "the entity".to_owned(),
        violations,
    }
}
