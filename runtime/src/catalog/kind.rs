//! A blueprint made ready for checking entities, kept for the next one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::Error;
use super::blueprint::property;
use super::derived::is_derived;
use super::schema::{Schema, join};
use crate::model::{Blueprint, BlueprintId, EntityPermissions, Violation};
use crate::store::{self, BlueprintKey, BlueprintRow, ReadTx};

/// Blueprints kept ready. Past that many all are forgotten: a catalog has dozens.
const MAX_KINDS: usize = 512;

/// Names that a message lists before it says how many more there are.
const MAX_NAMES: usize = 20;

/// A stored blueprint, parsed and compiled.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) key: BlueprintKey,
    revision: i64,
    pub(super) parts: Arc<Parts>,
}

/// What depends on nothing but the row of the blueprint.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) blueprint: Blueprint,
    pub(super) permissions: EntityPermissions,
    schemas: IndexMap<String, Schema>,
    /// What new entities get where nothing is said.
    pub(super) defaults: Vec<(String, Value)>,
}

/// The blueprints that were used lately, by row and revision: a changed blueprint, or one whose transaction was undone,
/// can never be mistaken for another.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds {
    ready: Arc<Mutex<Ready>>,
}

type Ready = HashMap<(BlueprintKey, i64), Arc<Parts>>;

impl Kinds {
    /// A blueprint that must exist.
    pub(super) fn load(&self, tx: &ReadTx<'_>, id: &BlueprintId) -> Result<Kind, Error> {
        let missing = || Error::NotFound(format!("blueprint `{id}`"));
        let (key, revision) = tx.find_blueprint_revision(id)?.ok_or_else(missing)?;
        if let Some(parts) = self.known(key, revision) {
            return Ok(Kind {
                key,
                revision,
                parts,
            });
        }
        self.ready(&tx.find_blueprint(id)?.ok_or_else(missing)?)
    }

    /// A stored blueprint, made ready.
    pub(super) fn ready(&self, row: &BlueprintRow) -> Result<Kind, Error> {
        let (key, revision) = (row.key, row.revision);
        let parts = match self.known(key, revision) {
            Some(parts) => parts,
            None => {
                let parts = Arc::new(Parts::read(row)?);
                let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
                if ready.len() >= MAX_KINDS {
                    ready.clear();
                }
                ready.insert((key, revision), Arc::clone(&parts));
                parts
            }
        };
        Ok(Kind {
            key,
            revision,
            parts,
        })
    }

    fn known(&self, key: BlueprintKey, revision: i64) -> Option<Arc<Parts>> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.get(&(key, revision)).cloned()
    }
}

impl Kind {
    pub(super) fn blueprint(&self) -> &Blueprint {
        &self.parts.blueprint
    }

    /// Whether both are the same row with the same text.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.key, self.revision) == (other.key, other.revision)
    }
}

impl Parts {
    fn read(row: &BlueprintRow) -> Result<Self, Error> {
        let blueprint: Blueprint = serde_json::from_str(&row.document)
            .map_err(|e| store::Error::corrupt("blueprint", e))?;
        // Permissions that cannot be read stop whoever asks: without them nobody knows what is allowed.
        let permissions = row.permissions.as_deref().map(serde_json::from_str);
        let permissions = permissions
            .transpose()
            .map_err(|e| store::Error::corrupt("blueprint's permissions", e))?;
        let mut schemas = IndexMap::new();
        let mut defaults = Vec::new();
        for (name, definition) in &blueprint.schema.properties {
            let compiled = property::compile(definition).map_err(|refused| {
                let why = refused.first().map(ToString::to_string).unwrap_or_default();
                store::Error::corrupt("blueprint", why)
            })?;
            schemas.insert(name.clone(), compiled);
            let default = definition.get("default").filter(|value| !value.is_null());
            defaults.extend(default.map(|value| (name.clone(), value.clone())));
        }
        Ok(Self {
            blueprint,
            permissions: permissions.unwrap_or_default(),
            schemas,
            defaults,
        })
    }

    /// Every rule of the blueprint that an entity's properties break.
    pub(super) fn check_properties(&self, properties: &Map<String, Value>) -> Vec<Violation> {
        let mut found = Vec::new();
        for name in &self.blueprint.schema.required {
            if !properties.contains_key(name) {
                let path = join("/properties", name);
                found.push(Violation::new(
                    path,
                    "required",
                    format!("property `{name}` is required"),
                ));
            }
        }
        for (name, value) in properties {
            let path = join("/properties", name);
            match self.schemas.get(name) {
                Some(schema) => found.extend(schema.check(value, &path)),
                None if is_derived(&self.blueprint, name) => {
                    let message = format!(
                        "`{name}` is derived by blueprint `{}`: nobody writes it",
                        self.blueprint.identifier
                    );
                    found.push(Violation::new(path, "readOnly", message));
                }
                None => found.push(Violation::new(
                    path,
                    "additionalProperties",
                    self.unknown("property", name),
                )),
            }
        }
        found
    }

    /// Says that a property or relation is not in the blueprint, and which ones are.
    pub(super) fn unknown(&self, what: &str, name: &str) -> String {
        let blueprint = &self.blueprint;
        let names: Vec<&str> = match what {
            "relation" => blueprint.relations.keys().map(String::as_str).collect(),
            _ => blueprint
                .schema
                .properties
                .keys()
                .map(String::as_str)
                .collect(),
        };
        let shown = names
            .iter()
            .take(MAX_NAMES)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let known = match names.len() {
            0 => "it has none".to_owned(),
            count if count > MAX_NAMES => format!("it has {shown} and {} more", count - MAX_NAMES),
            _ => format!("it has {shown}"),
        };
        let name: String = name.chars().take(100).collect();
        format!(
            "`{name}` is not a {what} of blueprint `{}`; {known}",
            blueprint.identifier
        )
    }
}
