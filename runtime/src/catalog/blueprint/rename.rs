//! Another name for a property, a mirror property or a relation: its values follow, and so does whoever refers to it.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{audit, derived_names, find, property, read, refuse};
use crate::catalog::derived::Before;
use crate::catalog::schema::shorten;
use crate::catalog::{Error, scorecard};
use crate::jq::name::{self, Shape};
use crate::model::{
    Actor, AuditEntry, AuditRow, Blueprint, BlueprintId, EntityPermissions, Stamped, Verb,
    Violation,
};
use crate::store::{self, BLUEPRINT_RENAME, WriteTx};

/// What gets another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renamed {
    /// A property of the schema.
    Property,
    /// A mirror property.
    Mirror,
    /// A relation.
    Relation,
}

impl Renamed {
    fn in_words(self) -> &'static str {
        match self {
            Self::Property => "property",
            Self::Mirror => "mirror property",
            Self::Relation => "relation",
        }
    }

    /// What is known of an entity of the blueprint to a filter in which the part gets another name.
    pub fn shape_of_entity(self) -> Shape {
        let key = match self {
            Self::Property | Self::Mirror => "properties",
            Self::Relation => "relations",
        };
        Shape::field(key, Shape::Renamed)
    }

    /// The key that names it in the row of the audit log.
    fn key(self) -> &'static str {
        match self {
            Self::Property => "property",
            Self::Mirror => "mirrorProperty",
            Self::Relation => "relation",
        }
    }
}

/// What a row of the audit log says was renamed in a blueprint.
#[derive(Debug)]
pub(in crate::catalog) struct RenameTold<'a> {
    pub(in crate::catalog) what: Renamed,
    pub(in crate::catalog) from: &'a str,
    pub(in crate::catalog) to: &'a str,
}

impl<'a> RenameTold<'a> {
    /// Reads it; absent where the row tells of something else.
    pub(in crate::catalog) fn of(row: &'a AuditRow) -> Option<Self> {
        if row.resource != BLUEPRINT_RENAME {
            return None;
        }
        let name =
            |value: &'a Option<Value>, what: Renamed| value.as_ref()?.get(what.key())?.as_str();
        [Renamed::Property, Renamed::Mirror, Renamed::Relation]
            .into_iter()
            .find_map(|what| {
                let (from, to) = (name(&row.before, what)?, name(&row.after, what)?);
                Some(Self { what, from, to })
            })
    }

    /// The name that a part has now.
    pub(in crate::catalog) fn name_of(&self, name: String) -> String {
        if name == self.from {
            self.to.to_owned()
        } else {
            name
        }
    }
}

/// One renaming.
#[derive(Clone, Copy)]
struct Change<'a> {
    blueprint: &'a BlueprintId,
    what: Renamed,
    from: &'a str,
    to: &'a str,
}

/// Gives a part of a blueprint another name, in one transaction with everything that refers to it.
pub(in crate::catalog) fn rename(
    tx: &WriteTx<'_>,
    actor: &Actor,
    id: &BlueprintId,
    what: Renamed,
    from: &str,
    to: &str,
) -> Result<Stamped<Blueprint>, Error> {
    let row = find(tx, id)?;
    let blueprint = read(&row)?.value;
    let missing = || {
        let name: String = from.chars().take(100).collect();
        Error::NotFound(format!("{} `{name}` of blueprint `{id}`", what.in_words()))
    };
    if !names(&blueprint, what).iter().any(|name| name == from) {
        return Err(missing());
    }
    if from == to {
        return read(&row);
    }
    refuse(id, check_name(&blueprint, what, to))?;
    let change = Change {
        blueprint: id,
        what,
        from,
        to,
    };
    let derived = Before::of(tx)?;
    let before = tx.list_blueprints()?;
    // The values take their new name without a change of their entities: whoever reads their past learns it from this
    // row, which comes before that of the blueprint.
    let named = |name: &str| json!({ "blueprint": id, what.key(): name });
    tx.insert_audit(&AuditEntry {
        actor,
        verb: Verb::Update,
        resource: BLUEPRINT_RENAME,
        identifier: id.to_string(),
        before: Some(named(from)),
        after: Some(named(to)),
    })?;
    let mut all = IndexMap::new();
    for row in &before {
        let blueprint = read(row)?.value;
        all.insert(blueprint.identifier.clone(), blueprint);
    }
    let mut unfollowed = Vec::new();
    for row in &before {
        let was = read(row)?.value;
        let is = change.follow(&all, was.clone(), &mut unfollowed);
        if let Some(why) = unfollowed.pop() {
            return Err(Error::Conflict {
                code: "has_dependents",
                message: why,
            });
        }
        if is == was {
            continue;
        }
        tx.update_blueprint(row.key, &is, &actor.name)?;
        audit(
            tx,
            actor,
            Verb::Update,
            &is.identifier,
            Some(&was),
            Some(&is),
        )?;
    }
    scorecard::edit_queries(tx, actor, row.key, |query| change.follow_query(query))?;
    match what {
        Renamed::Property => {
            tx.rename_property(row.key, from, to)?;
            tx.rename_values(row.key, from, to)?;
        }
        Renamed::Relation => tx.rename_relation(row.key, from, to)?,
        // It is made again under its new name.
        Renamed::Mirror => tx.delete_derived(row.key, from)?,
    }
    if let Some(text) = &row.permissions {
        let corrupt = |e| store::Error::corrupt("blueprint's permissions", e);
        let mut permissions: EntityPermissions = serde_json::from_str(text).map_err(corrupt)?;
        match what {
            Renamed::Property => permissions.rename_property(from, to),
            Renamed::Relation => permissions.rename_relation(from, to),
            Renamed::Mirror => {}
        }
        let text = serde_json::to_string(&permissions).map_err(corrupt)?;
        tx.update_permissions(row.key, &text)?;
    }
    derived.refuse(tx, id)?;
    derived.queue(tx)?;
    read(&find(tx, id)?)
}

/// The names among which the new one has to be the only one of its kind.
fn names(blueprint: &Blueprint, what: Renamed) -> Vec<String> {
    let derived = |key: &str| -> Vec<String> {
        let entries = blueprint.extra.get(key).and_then(Value::as_object);
        entries.into_iter().flat_map(Map::keys).cloned().collect()
    };
    match what {
        Renamed::Property => blueprint.schema.properties.keys().cloned().collect(),
        Renamed::Mirror => derived("mirrorProperties"),
        Renamed::Relation => blueprint.relations.keys().cloned().collect(),
    }
}

fn check_name(blueprint: &Blueprint, what: Renamed, to: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    property::check_name("", to, &mut found);
    let taken = match what {
        Renamed::Relation => blueprint.relations.contains_key(to),
        Renamed::Property | Renamed::Mirror => {
            blueprint.schema.properties.contains_key(to)
                || derived_names(blueprint).any(|name| name == to)
        }
    };
    if taken {
        let message = format!("`{}` is there already; choose another name", shorten(to));
        found.push(Violation::new("", "unique", message));
    }
    found
}

impl Change<'_> {
    /// A blueprint, with the new name in the place of the old one wherever it stands for what is renamed.
    /// Notes what cannot be followed.
    fn follow(
        self,
        all: &IndexMap<BlueprintId, Blueprint>,
        mut blueprint: Blueprint,
        unfollowed: &mut Vec<String>,
    ) -> Blueprint {
        let id = blueprint.identifier.clone();
        if id == *self.blueprint {
            self.follow_at_home(&mut blueprint, unfollowed);
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
    fn follow_at_home(self, blueprint: &mut Blueprint, unfollowed: &mut Vec<String>) {
        let Self { from, to, .. } = self;
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
            match name::rename(text, &entity, from, to) {
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
        self,
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
    fn follow_query(self, query: &mut Value) {
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

    fn follow_name(self, value: Option<&mut Value>) {
        if let Some(Value::String(name)) = value
            && name == self.from
        {
            *name = self.to.to_owned();
        }
    }

    /// A path over relations that ends at a property.
    fn follow_path(
        self,
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
            && end.as_ref() == Some(self.blueprint);
        let property = if is_it { self.to } else { property };
        let relations = self.follow_relations(all, home, relations);
        format!("{relations}.{property}")
    }

    /// A path over relations.
    fn follow_relations(
        self,
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

    fn relation_step(self, at: &BlueprintId, step: &str) -> String {
        let is_it = self.what == Renamed::Relation && at == self.blueprint && step == self.from;
        if is_it { self.to } else { step }.to_owned()
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
