//! What a body asks for by a query in place of a name: the entity itself, where it points, and who owns it.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;

use super::name;
use crate::catalog::blueprint::TEAM;
use crate::catalog::kind::Kinds;
use crate::catalog::query::{Searcher, parse_query, within};
use crate::catalog::schema::join;
use crate::catalog::{Error, Search, SearchLimits};
use crate::model::{
    Actor, Blueprint, BlueprintId, EntityId, Operand, Operator, Query, Rule, Subject, Timestamp,
    Violation,
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
        blueprint: &Blueprint,
        body: &mut Value,
    ) -> Result<(), Error> {
        self.fill_in_parts(blueprint, body, &mut |_, error| Err(error))
    }

    /// As [`Self::fill_in`], with all that is wrong at once, each at its place in the body.
    ///
    /// # Errors
    /// What is no fault of the body.
    pub(in crate::catalog) fn fill_in_or_tell(
        &mut self,
        blueprint: &Blueprint,
        body: &mut Value,
    ) -> Result<Vec<Violation>, Error> {
        let mut found = Vec::new();
        self.fill_in_parts(blueprint, body, &mut |path, error| {
            match error {
                Error::NotFound(what) => {
                    let message = format!("{what} does not exist");
                    found.push(Violation::new(path, "relation", message));
                }
                Error::Invalid { violations, .. } => found.extend(violations),
                other => return Err(other),
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn fill_in_parts(
        &mut self,
        blueprint: &Blueprint,
        body: &mut Value,
        refuse: &mut dyn FnMut(&str, Error) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !asks(body) {
            return Ok(());
        }
        // What is not found is nothing, for whoever goes on to look at the rest.
        let mut put = |path: &str, place: &mut Value, found: Result<Value, Error>| {
            let (found, refused) = match found {
                Ok(found) => (found, Ok(())),
                Err(error) => (Value::Null, refuse(path, error)),
            };
            *place = found;
            refused
        };
        if let Some(query) = body.get_mut("identifier").filter(|value| is_query(value)) {
            let path = "/identifier";
            let found = self.one(path, &blueprint.identifier, query, IDENTIFYING);
            put(path, query, found)?;
        }
        if let Some(query) = body.get_mut("team").filter(|value| is_query(value)) {
            let path = "/team";
            let teams =
                BlueprintId::parse(TEAM).map_err(|e| store::Error::corrupt("blueprint", e))?;
            let found = self.many(path, &teams, query);
            let found = found.and_then(|found| match found.is_empty() {
                true => Err(none(path, &teams)),
                false => Ok(Value::Array(found)),
            });
            put(path, query, found)?;
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
            let found = if definition.many {
                let found = self.many(&path, &definition.target, query);
                found.map(Value::Array)
            } else {
                self.one(&path, &definition.target, query, POINTING)
            };
            put(&path, query, found)?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        path: &str,
        blueprint: &BlueprintId,
        query: &Value,
        allowed: &[Operator],
    ) -> Result<Value, Error> {
        let found = self.find(path, blueprint, query, allowed)?;
        Ok(Value::from(one(path, blueprint, found)?.as_str()))
    }

    fn many(
        &mut self,
        path: &str,
        blueprint: &BlueprintId,
        query: &Value,
    ) -> Result<Vec<Value>, Error> {
        let found = self.find(path, blueprint, query, POINTING)?;
        Ok(found.iter().map(|id| Value::from(id.as_str())).collect())
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
        if self.tx.find_blueprint_revision(blueprint)?.is_none() {
            // One that comes along with these bodies has no entities yet.
            return Ok(Vec::new());
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
        let found = page.entities.iter();
        let found: Result<Vec<_>, _> = found
            .map(|entity| Ok(entity.read()?.value.identifier))
            .collect();
        let found = found.map_err(|e: serde_json::Error| store::Error::corrupt("entity", e))?;
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
