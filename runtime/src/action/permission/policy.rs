//! Policies: queries on the catalog, and jq conditions on what they find. What fails refuses.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::query;
use crate::action::rule::{child, kind};
use crate::action::{Actions, Error};
use crate::catalog::{self, Search};
use crate::jq::{Expression, JqError};
use crate::model::{
    Action, ActionRight, Actor, EntityId, Origin, Policy, Query, Role, Timestamp, UserInputs,
    Violation,
};

/// Entities that one query may find. With a part of them a condition could say anything.
const MAX_ENTITIES: usize = 1_000;

/// JSON of everything that the queries of one policy find.
const MAX_RESULT_BYTES: usize = 16 * 1024 * 1024;

/// One rule that a start was held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Ruling {
    /// Where the rule stands: `permissions`, `policy`, `inputs` or `approval`.
    pub rule: &'static str,
    /// JSON pointer into the permissions, or into the body of the request.
    pub path: String,
    /// Whether it lets the start pass.
    pub holds: bool,
    /// What it says, in one sentence.
    pub message: String,
}

/// A start of a run, as far as policies look at it.
#[derive(Clone, Copy)]
pub(in crate::action) struct Asked<'a> {
    pub(in crate::action) person: &'a Actor,
    pub(in crate::action) definition: &'a Action,
    pub(in crate::action) form: &'a UserInputs,
    pub(in crate::action) properties: &'a Map<String, Value>,
    pub(in crate::action) entity: Option<&'a EntityId>,
    pub(in crate::action) at: Timestamp,
}

/// What the conditions of a policy gave, or everything that kept them from it.
pub(super) type Judged = Result<Vec<Value>, Vec<Violation>>;

pub(super) fn path_of(right: ActionRight) -> String {
    format!("/{}/policy", right.as_str())
}

pub(super) fn path_of_query(right: ActionRight, name: &str) -> String {
    child(&format!("{}/queries", path_of(right)), name)
}

impl Actions {
    /// What each condition of the `execute` policy says of a start. It is allowed where nothing failed and one of them
    /// gives `true`.
    pub(in crate::action) async fn judge_start(
        &self,
        policy: &Policy,
        asked: Asked<'_>,
    ) -> Result<Vec<Ruling>, Error> {
        let judged = self.judge(ActionRight::Execute, policy, asked).await?;
        Ok(match judged {
            Ok(values) => values
                .into_iter()
                .zip(&policy.conditions)
                .enumerate()
                .map(|(index, (value, condition))| Ruling {
                    rule: "policy",
                    path: format!("{}/conditions/{index}", path_of(ActionRight::Execute)),
                    holds: value == Value::Bool(true),
                    message: match value {
                        Value::Bool(holds) => format!("condition `{condition}` gives {holds}"),
                        other => format!(
                            "condition `{condition}` gives {}, which counts as false",
                            kind(&other)
                        ),
                    },
                })
                .collect(),
            Err(failures) => failures
                .into_iter()
                .map(|failure| Ruling {
                    rule: "policy",
                    path: failure.path,
                    holds: false,
                    message: failure.message,
                })
                .collect(),
        })
    }

    /// Evaluates the queries and conditions of a policy.
    pub(super) async fn judge(
        &self,
        right: ActionRight,
        policy: &Policy,
        asked: Asked<'_>,
    ) -> Result<Judged, Error> {
        let mut context = self.policy_context(asked).await?;
        let queries = match self.bind_queries(right, policy, asked, &context).await {
            Ok(queries) => queries,
            Err(failures) => return Ok(Err(failures)),
        };
        let mut results = Map::new();
        let mut bytes = 0;
        for (name, found) in queries {
            let path = path_of_query(right, &name);
            match self.find_all(asked, found, &mut bytes).await? {
                Ok(entities) => {
                    results.insert(name, json!({ "entities": entities }));
                }
                Err(message) => {
                    let message = format!("query `{name}` failed: {message}");
                    return Ok(Err(vec![Violation::new(path, "query", message)]));
                }
            }
        }
        if let Some(context) = context.as_object_mut() {
            context.insert("results".to_owned(), Value::Object(results));
        }
        let filters = policy.conditions.iter().enumerate().map(|(index, filter)| {
            let path = format!("{}/conditions/{index}", path_of(right));
            (path, filter.clone())
        });
        Ok(self
            .eval_all(filters.collect(), &Arc::new(context), asked.person)
            .await)
    }

    /// The queries with the values of their filters.
    async fn bind_queries(
        &self,
        right: ActionRight,
        policy: &Policy,
        asked: Asked<'_>,
        context: &Value,
    ) -> Result<Vec<(String, Query)>, Vec<Violation>> {
        let filters: Vec<_> = policy
            .queries
            .iter()
            .flat_map(|(name, query)| query::filters(query, &path_of_query(right, name)))
            .collect();
        let values = if filters.is_empty() {
            Vec::new()
        } else {
            self.eval_all(filters, &Arc::new(context.clone()), asked.person)
                .await?
        };
        let mut values = values.into_iter();
        let mut bound = Vec::with_capacity(policy.queries.len());
        for (name, query) in &policy.queries {
            let query = query::fill(query, &path_of_query(right, name), &mut values)?;
            bound.push((name.clone(), query));
        }
        Ok(bound)
    }

    /// Everything that a query of a policy finds. The inner `Err` says why that cannot be said.
    async fn find_all(
        &self,
        asked: Asked<'_>,
        query: Query,
        bytes: &mut usize,
    ) -> Result<Result<Vec<Value>, String>, Error> {
        // The rule is the administrator's: what it looks at must not depend on what the person may see, or whoever sees
        // no incident would be let in during one. Words such as "my teams" still mean the person.
        let eyes = Actor {
            origin: Origin::System,
            ..asked.person.clone()
        };
        let search = Search {
            query,
            blueprint: None,
            text: None,
            after: None,
            limit: MAX_ENTITIES,
            explain: false,
            partial: false,
        };
        let found = match self.inner.catalog.search(&eyes, search, asked.at).await {
            Ok(found) => found,
            Err(catalog::Error::Store(error)) => return Err(error.into()),
            Err(error) => return Ok(Err(error.to_string())),
        };
        if found.next.is_some() {
            let message = format!("it finds more than {MAX_ENTITIES} entities; narrow it");
            return Ok(Err(message));
        }
        let mut entities = Vec::with_capacity(found.entities.len());
        for entity in found.entities {
            *bytes += entity.as_str().len();
            if *bytes > MAX_RESULT_BYTES {
                let message = format!(
                    "the queries of the policy find more than {MAX_RESULT_BYTES} bytes of JSON; narrow them"
                );
                return Ok(Err(message));
            }
            match serde_json::from_str(entity.as_str()) {
                Ok(entity) => entities.push(entity),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        Ok(Ok(entities))
    }

    /// The values of filters that all read the same; every one that has none fails.
    pub(in crate::action) async fn eval_all(
        &self,
        filters: Vec<(String, String)>,
        context: &Arc<Value>,
        person: &Actor,
    ) -> Judged {
        let batch = filters
            .iter()
            .map(|(_, filter)| Expression {
                filter: filter.clone(),
                input: Arc::clone(context),
            })
            .collect();
        let results = self.inner.jq.eval(batch).await;
        let mut values = Vec::with_capacity(filters.len());
        let mut failures = Vec::new();
        for ((path, filter), result) in filters.into_iter().zip(results) {
            match result {
                Ok(value) => values.push(value),
                Err(error) => {
                    let message = format!("`{filter}` has no value: {}", explain(&error, person));
                    failures.push(Violation::new(path, "jq", message));
                }
            }
        }
        if failures.is_empty() {
            Ok(values)
        } else {
            Err(failures)
        }
    }

    async fn policy_context(&self, asked: Asked<'_>) -> Result<Value, Error> {
        let definition = asked.definition;
        let entity = match (definition.blueprint(), asked.entity) {
            (Some(blueprint), Some(entity)) => self.find_shown(blueprint, entity).await?,
            _ => None,
        };
        let blueprint = match definition.blueprint() {
            Some(id) => match self.inner.catalog.find_blueprint(id).await {
                Ok(blueprint) => json!(blueprint.value),
                Err(catalog::Error::NotFound(_)) => Value::Null,
                Err(error) => return Err(error.into()),
            },
            None => Value::Null,
        };
        let user = self.describe_person(asked.person).await?;
        Ok(json!({
            "inputs": self.expand(asked.form, asked.properties).await?,
            "user": user,
            "entity": entity,
            "blueprint": blueprint,
            "action": {
                "identifier": definition.identifier,
                "title": definition.title,
                "blueprint": definition.blueprint(),
                "operation": definition.operation(),
            },
            "trigger": { "at": asked.at, "user": user },
        }))
    }
}

/// Why a start is refused: nothing where it is not.
pub(super) fn refusals(rulings: &[Ruling]) -> Vec<Violation> {
    // One condition that holds is enough, but none of them may have failed: then there are no values at all.
    if rulings.iter().any(|ruling| ruling.holds) {
        return Vec::new();
    }
    let refusal = |ruling: &Ruling| Violation::new(&ruling.path, "policy", ruling.message.clone());
    rulings.iter().map(refusal).collect()
}

/// What is told of a filter that has no value. Its own words may quote what the person may not see: administrators
/// read them.
fn explain(error: &JqError, person: &Actor) -> String {
    match error {
        JqError::Failed(_) if person.role != Role::Admin => {
            "it ended with an error, whose text an administrator is shown".to_owned()
        }
        error => error.to_string(),
    }
}
