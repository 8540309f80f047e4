//! Whatever of the blueprints refers to a part that gets another name, with that name.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{Renamed, Renaming};
use crate::jq::name::Renamer;
use crate::model::{Blueprint, BlueprintId};

/// Bytes of the longest filter of a blueprint.
pub(super) fn longest_filter(blueprint: &Blueprint) -> usize {
    let calculations = blueprint.extra.get("calculationProperties");
    let calculations = calculations.and_then(Value::as_object);
    let filters = calculations.into_iter().flat_map(Map::values);
    let filters = filters.filter_map(|definition| definition.get("calculation")?.as_str());
    filters.map(str::len).max().unwrap_or(0)
}

impl Renaming {
    /// A blueprint, with the new name in the place of the old one wherever it stands for what is renamed.
    /// Notes what cannot be followed.
    pub(super) fn follow(
        &self,
        all: &IndexMap<BlueprintId, Blueprint>,
        mut blueprint: Blueprint,
        renamer: &Renamer,
        unfollowed: &mut Vec<String>,
    ) -> Blueprint {
        let id = blueprint.identifier.clone();
        if id == self.blueprint {
            self.follow_at_home(&mut blueprint, renamer, unfollowed);
        }
        for key in ["ownership", "teamInheritance"] {
            if let Some(Value::String(path)) = blueprint
                .extra
                .get_mut(key)
                .and_then(|it| it.get_mut("path"))
            {
                *path = self.follow_relations(all, &id, path);
            }
        }
        for definition in entries(&mut blueprint, "mirrorProperties") {
            if let Some(Value::String(path)) = definition.get_mut("path") {
                *path = self.follow_path(all, &id, path);
            }
        }
        for definition in entries(&mut blueprint, "aggregationProperties") {
            self.follow_aggregation(all, &id, definition);
        }
        blueprint
    }

    /// What stands in the blueprint itself.
    fn follow_at_home(
        &self,
        blueprint: &mut Blueprint,
        renamer: &Renamer,
        unfollowed: &mut Vec<String>,
    ) {
        let (from, to) = (self.from.as_str(), self.to.as_str());
        match self.what {
            Renamed::Relation => {
                blueprint.relations = renamed(std::mem::take(&mut blueprint.relations), from, to);
            }
            Renamed::Property => {
                let schema = &mut blueprint.schema;
                schema.properties = renamed(std::mem::take(&mut schema.properties), from, to);
                for name in schema.required.iter_mut().filter(|name| *name == from) {
                    *name = to.to_owned();
                }
            }
            Renamed::Mirror => {
                if let Some(Value::Object(mirrors)) = blueprint.extra.get_mut("mirrorProperties") {
                    let entries = std::mem::take(mirrors).into_iter();
                    *mirrors = entries
                        .map(|(name, value)| {
                            (if name == from { to.to_owned() } else { name }, value)
                        })
                        .collect();
                }
            }
        }
        let entity = self.what.shape_of_entity();
        let calculations = blueprint.extra.get_mut("calculationProperties");
        let calculations = calculations.and_then(Value::as_object_mut);
        for (calculation, definition) in calculations.into_iter().flatten() {
            let Some(Value::String(text)) = definition.get_mut("calculation") else {
                continue;
            };
            match renamer.rename(text, &entity, from, to) {
                Ok(renamed) => *text = renamed,
                Err(why) => unfollowed.push(format!(
                    "{} `{from}` is not renamed: the filter of calculation property `{calculation}` of blueprint `{}` {why}; change the filter first",
                    self.what.in_words(),
                    self.blueprint
                )),
            }
        }
    }

    fn follow_aggregation(
        &self,
        all: &IndexMap<BlueprintId, Blueprint>,
        home: &BlueprintId,
        definition: &mut Value,
    ) {
        let counts_here =
            definition.get("target").and_then(Value::as_str) == Some(self.blueprint.as_str());
        if counts_here {
            if let Some(spec) = definition.get_mut("calculationSpec")
                && self.what != Renamed::Relation
            {
                self.follow_name(spec.get_mut("property"));
                self.follow_name(spec.get_mut("measureTimeBy"));
            }
            if let Some(query) = definition.get_mut("query") {
                self.follow_query(query);
            }
        }
        let filters = definition
            .get_mut("pathFilter")
            .and_then(Value::as_array_mut);
        for filter in filters.into_iter().flatten() {
            let start = filter.get("fromBlueprint").and_then(Value::as_str);
            let start = start.and_then(|text| BlueprintId::parse(text).ok());
            let mut at = start.unwrap_or_else(|| home.clone());
            let steps = filter.get_mut("path").and_then(Value::as_array_mut);
            for step in steps.into_iter().flatten() {
                let Value::String(step) = step else { break };
                let next = target(all, &at, step);
                *step = self.relation_step(&at, step);
                let Some(next) = next else { break };
                at = next;
            }
        }
    }

    /// Rules that compare what is renamed, however deep they are nested.
    pub(super) fn follow_query(&self, query: &mut Value) {
        let named = match self.what {
            Renamed::Property | Renamed::Mirror => "property",
            Renamed::Relation => "relation",
        };
        self.follow_name(query.get_mut(named));
        for key in ["rules", "conditions"] {
            let rules = query.get_mut(key).and_then(Value::as_array_mut);
            for rule in rules.into_iter().flatten() {
                self.follow_query(rule);
            }
        }
    }

    fn follow_name(&self, value: Option<&mut Value>) {
        if let Some(Value::String(name)) = value
            && *name == self.from
        {
            *name = self.to.to_owned();
        }
    }

    /// A path over relations that ends at a property.
    fn follow_path(
        &self,
        all: &IndexMap<BlueprintId, Blueprint>,
        home: &BlueprintId,
        path: &str,
    ) -> String {
        let Some((relations, property)) = path.rsplit_once('.') else {
            return path.to_owned();
        };
        let end = end_of(all, home, relations);
        let is_it = self.what != Renamed::Relation
            && property == self.from
            && end.as_ref() == Some(&self.blueprint);
        let property = if is_it { &self.to } else { property };
        let relations = self.follow_relations(all, home, relations);
        format!("{relations}.{property}")
    }

    /// A path over relations.
    fn follow_relations(
        &self,
        all: &IndexMap<BlueprintId, Blueprint>,
        home: &BlueprintId,
        path: &str,
    ) -> String {
        let mut at = Some(home.clone());
        let steps: Vec<_> = path
            .split('.')
            .map(|step| match at.take() {
                Some(blueprint) => {
                    at = target(all, &blueprint, step);
                    self.relation_step(&blueprint, step)
                }
                None => step.to_owned(),
            })
            .collect();
        steps.join(".")
    }

    fn relation_step(&self, at: &BlueprintId, step: &str) -> String {
        let is_it = self.what == Renamed::Relation && *at == self.blueprint && step == self.from;
        if is_it { &self.to } else { step }.to_owned()
    }
}

/// Where a relation leads, by the names of before.
fn target(
    all: &IndexMap<BlueprintId, Blueprint>,
    at: &BlueprintId,
    step: &str,
) -> Option<BlueprintId> {
    let relation = all.get(at)?.relations.get(step)?;
    Some(relation.target.clone())
}

fn end_of(
    all: &IndexMap<BlueprintId, Blueprint>,
    home: &BlueprintId,
    path: &str,
) -> Option<BlueprintId> {
    path.split('.')
        .try_fold(home.clone(), |at, step| target(all, &at, step))
}

/// A map in the same order, with one key renamed.
fn renamed<T>(map: IndexMap<String, T>, from: &str, to: &str) -> IndexMap<String, T> {
    map.into_iter()
        .map(|(name, value)| (if name == from { to.to_owned() } else { name }, value))
        .collect()
}

fn entries<'a>(blueprint: &'a mut Blueprint, key: &str) -> impl Iterator<Item = &'a mut Value> {
    let entries = blueprint.extra.get_mut(key).and_then(Value::as_object_mut);
    entries.into_iter().flat_map(|entries| entries.values_mut())
}
