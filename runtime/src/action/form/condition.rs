//! Which entities an action is for, and which its inputs may name.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::evaluate::{Filled, Reading};
use super::filter::{self, INPUTS};
use crate::action::input::{BASE, named_entities};
use crate::action::permission::query;
use crate::action::rule::child;
use crate::action::{Actions, Error};
use crate::catalog::{Search, parse_query};
use crate::model::{
    Actor, BlueprintId, Combinator, Compare, EntityId, Meta, Operand, Operator, Query, Rule,
    Subject, Test, Timestamp, UserInputs, Violation,
};

impl Actions {
    /// The action's condition on the entity that it works on, where it has one that does not hold.
    pub(in crate::action) async fn check_condition(
        &self,
        filled: Filled<'_>,
    ) -> Result<Option<Violation>, Error> {
        let (Some(condition), Some(blueprint), Some(entity)) = (
            filled.definition.condition(),
            filled.definition.blueprint(),
            filled.entity,
        ) else {
            return Ok(None);
        };
        let query = match parse_query(condition, "/trigger/condition") {
            Ok(query) => query,
            // It was read when the action was saved; what cannot be read lets nothing pass.
            Err(broken) => return Ok(broken.into_iter().next()),
        };
        let wanted = BTreeSet::from([entity.as_str()]);
        let missing = self.find_outside(filled.person, blueprint, &wanted, query);
        Ok(missing.await?.into_iter().next().map(|_| {
            let message = format!(
                "the action is not for this entity: `condition` of its trigger does not hold for `{entity}`"
            );
            Violation::new("/entity", "condition", message)
        }))
    }

    /// Entities that inputs name outside the data sets that they are to be chosen from.
    pub(in crate::action) async fn check_datasets(
        &self,
        reading: &mut Reading<'_>,
        filled: Filled<'_>,
        properties: &Map<String, Value>,
    ) -> Result<Vec<Violation>, Error> {
        let wanted = chosen(filled.form, properties);
        let filters: Vec<_> = wanted
            .iter()
            .flat_map(|choice| query::filters(choice.dataset, &choice.path))
            .collect();
        let mut violations = Vec::new();
        let mut values = Vec::new();
        for value in reading.eval(&filters, properties).await? {
            match value {
                Ok(value) => values.push(value),
                Err(violation) => violations.push(violation),
            }
        }
        if !violations.is_empty() {
            return Ok(violations);
        }
        let mut values = values.into_iter();
        for choice in wanted {
            let query = match query::fill(choice.dataset, &choice.path, &mut values) {
                Ok(query) => query,
                Err(broken) => return Ok(broken),
            };
            let ids = choice.named.iter().map(|(_, id)| *id).collect();
            let outside = self
                .find_outside(filled.person, &choice.blueprint, &ids, query)
                .await?;
            for (path, id) in choice.named {
                if outside.contains(id) {
                    let message = format!(
                        "`{id}` is not among the entities that this input offers: the rules of `{}` do not hold for it",
                        choice.path
                    );
                    violations.push(Violation::new(path, "dataset", message));
                }
            }
        }
        Ok(violations)
    }

    /// Those of some entities for which a query does not hold, or which somebody does not see.
    async fn find_outside(
        &self,
        person: &Actor,
        blueprint: &BlueprintId,
        ids: &BTreeSet<&str>,
        query: Query,
    ) -> Result<BTreeSet<String>, Error> {
        let is_one = Rule::Compare(Compare {
            subject: Subject::Meta(Meta::Identifier),
            test: Test {
                operator: Operator::In,
                operand: Operand::Value(ids.iter().copied().collect()),
                negated: false,
            },
        });
        let search = Search {
            query: Query {
                combinator: Combinator::And,
                rules: vec![is_one, Rule::Group(query)],
            },
            blueprint: Some(blueprint.clone()),
            text: None,
            after: None,
            limit: ids.len().max(1),
            explain: false,
            partial: false,
        };
        let found = self
            .inner
            .catalog
            .search(person, search, Timestamp::now())
            .await?;
        let mut outside: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        for entity in &found.entities {
            if let Ok(entity) = entity.read() {
                outside.remove(entity.value.identifier.as_str());
            }
        }
        Ok(outside)
    }
}

/// What one input names of its data set.
struct Choice<'a> {
    dataset: &'a Value,
    path: String,
    blueprint: BlueprintId,
    named: Vec<(String, &'a str)>,
}

fn chosen<'a>(form: &'a UserInputs, properties: &'a Map<String, Value>) -> Vec<Choice<'a>> {
    let named = named_entities(form, properties);
    let mut found = Vec::new();
    for (name, input) in &form.properties {
        for (dataset, path) in filter::datasets(input, &child(INPUTS, name)) {
            let at = child(BASE, name);
            let own: Vec<_> = named
                .iter()
                .filter(|(path, _, id)| {
                    let below = path.strip_prefix(&at);
                    let is_own = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                    is_own && EntityId::parse(*id).is_ok()
                })
                .collect();
            if let Some((_, blueprint, _)) = own.first() {
                found.push(Choice {
                    dataset,
                    path,
                    blueprint: blueprint.clone(),
                    named: own
                        .iter()
                        .map(|(path, _, id)| (path.clone(), *id))
                        .collect(),
                });
            }
        }
    }
    found
}
