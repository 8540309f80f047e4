//! Another name for a property, a mirror property or a relation: its values follow, and so does whoever refers to it.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{audit, derived_names, find, follow, property, read, refuse};
use crate::catalog::derived::Before;
use crate::catalog::schema::shorten;
use crate::catalog::{Error, scorecard};
use crate::jq::name::{Renamer, Shape};
use crate::model::{
    Actor, AuditEntry, AuditRow, Blueprint, BlueprintId, EntityPermissions, Stamped, Verb,
    Violation,
};
use crate::store::{self, BLUEPRINT_RENAME, BlueprintKey, ReadTx, WriteTx};

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
    pub(super) fn in_words(self) -> &'static str {
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
#[derive(Clone, Debug)]
pub struct Renaming {
    /// The blueprint in which a part gets another name.
    pub blueprint: BlueprintId,
    /// What kind of part.
    pub what: Renamed,
    /// Its name so far.
    pub from: String,
    /// Its name from now on.
    pub to: String,
}

/// A renaming that can be done as far as names go, with the blueprints as they are on a snapshot.
#[derive(Debug)]
pub struct RenameDraft {
    renaming: Renaming,
    /// Another number after every change of a blueprint or a scorecard.
    version: i64,
    before: Vec<(BlueprintKey, Blueprint)>,
    longest: usize,
}

/// A renaming that has been thought through but not carried out.
#[derive(Debug)]
pub struct RenamePlan {
    renaming: Renaming,
    version: i64,
    /// What the blueprints that change were, and what they become.
    changed: Vec<(BlueprintKey, Blueprint, Blueprint)>,
}

impl RenameDraft {
    /// Reads what a renaming has to be thought through with.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such part, [`Error::Invalid`] where the new name is none.
    pub fn read(tx: &ReadTx<'_>, renaming: Renaming) -> Result<Self, Error> {
        let Renaming {
            blueprint: id,
            what,
            from,
            to,
        } = &renaming;
        let blueprint = read(&find(tx, id)?)?.value;
        if !names(&blueprint, *what).contains(from) {
            let name: String = from.chars().take(100).collect();
            let what = what.in_words();
            return Err(Error::NotFound(format!(
                "{what} `{name}` of blueprint `{id}`"
            )));
        }
        let mut before = Vec::new();
        if from != to {
            refuse(id, check_name(&blueprint, *what, to))?;
            for row in tx.list_blueprints()? {
                before.push((row.key, read(&row)?.value));
            }
        }
        Ok(Self {
            version: tx.find_schema_version()?,
            longest: follow::longest_filter(&blueprint),
            renaming,
            before,
        })
    }

    /// Bytes of the longest filter that has to be followed.
    pub fn longest_filter(&self) -> usize {
        self.longest
    }

    /// Thinks it through.
    ///
    /// # Errors
    /// [`Error::Conflict`] where a filter may refer to it in a way that cannot be followed.
    pub fn follow(self, renamer: &Renamer) -> Result<RenamePlan, Error> {
        let all: IndexMap<BlueprintId, Blueprint> = self
            .before
            .iter()
            .map(|(_, blueprint)| (blueprint.identifier.clone(), blueprint.clone()))
            .collect();
        let mut changed = Vec::new();
        let mut unfollowed = Vec::new();
        for (key, was) in self.before {
            let is = self
                .renaming
                .follow(&all, was.clone(), renamer, &mut unfollowed);
            if let Some(message) = unfollowed.pop() {
                return Err(Error::Conflict {
                    code: "has_dependents",
                    message,
                });
            }
            if is != was {
                changed.push((key, was, is));
            }
        }
        Ok(RenamePlan {
            renaming: self.renaming,
            version: self.version,
            changed,
        })
    }
}

impl RenamePlan {
    /// Whether the blueprints are as they were when this was thought through.
    pub fn still_holds(&self, tx: &ReadTx<'_>) -> Result<bool, Error> {
        Ok(tx.find_schema_version()? == self.version)
    }

    /// Carries it out, where it [still holds](Self::still_holds), within a caller's transaction: values follow, and so does
    /// whatever of the catalog refers to the part. An `Err` must undo it.
    pub fn carry_out(&self, tx: &WriteTx<'_>, actor: &Actor) -> Result<Stamped<Blueprint>, Error> {
        let Renaming {
            blueprint: id,
            what,
            from,
            to,
        } = &self.renaming;
        let row = find(tx, id)?;
        if from == to {
            return read(&row);
        }
        let derived = Before::of(tx)?;
        // The values take their new name without a change of their entities: whoever reads their past learns it from
        // this row, which comes before that of the blueprint.
        let named = |name: &str| json!({ "blueprint": id, what.key(): name });
        tx.insert_audit(&AuditEntry {
            actor,
            verb: Verb::Update,
            resource: BLUEPRINT_RENAME,
            identifier: id.to_string(),
            before: Some(named(from)),
            after: Some(named(to)),
        })?;
        for (key, was, is) in &self.changed {
            tx.update_blueprint(*key, is, &actor.name)?;
            audit(tx, actor, Verb::Update, &is.identifier, Some(was), Some(is))?;
        }
        scorecard::edit_queries(tx, actor, row.key, |query| {
            self.renaming.follow_query(query);
        })?;
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
