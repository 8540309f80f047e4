//! Entities as answers show them, written as JSON without a look into their values.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::catalog::derived::{Graph, Plan};
use crate::catalog::kind::Kind;
use crate::catalog::{Error, Values};
use crate::model::{BlueprintId, EntityJson, RelationDefinition, Stamp};
use crate::store::{self, Edges, EntityKey, ReadTx, WholeRow};

/// Entities of one blueprint as JSON, by their rows, which are given in order; those that are gone are left out.
pub(in crate::catalog) fn show_all(
    tx: &ReadTx<'_>,
    kind: &Kind,
    keys: &[EntityKey],
    values: Values,
) -> Result<Vec<EntityJson>, Error> {
    let mut shown = Vec::with_capacity(keys.len());
    if keys.is_empty() {
        return Ok(shown);
    }
    visit(tx, kind, keys, values, |_, entity| {
        shown.push(entity.write()?);
        Ok(())
    })?;
    Ok(shown)
}

/// Looks at entities of one blueprint one by one, by their rows, which are given in order.
pub(in crate::catalog) fn visit(
    tx: &ReadTx<'_>,
    kind: &Kind,
    keys: &[EntityKey],
    values: Values,
    mut visit: impl FnMut(EntityKey, &Shown<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let edges = tx.list_edges(keys)?;
    let graph = match values {
        Values::All => Some(Graph::load(tx)?),
        Values::Own => None,
    };
    let plan = graph
        .as_deref()
        .and_then(|graph| graph.plan(kind.key))
        .filter(|plan| plan.derives());
    tx.visit_whole(keys, |key, row| {
        let relations = Relations {
            kind,
            edges: &edges,
            source: key,
        };
        visit(key, &Shown::new(row, relations, plan.map(AsRef::as_ref))?)
    })
}

/// An entity on its way from its row to an answer. Serializes as a stamped entity does.
#[derive(Serialize)]
pub(in crate::catalog) struct Shown<'a> {
    pub(in crate::catalog) identifier: &'a str,
    pub(in crate::catalog) title: Option<&'a str>,
    icon: Option<&'a str>,
    blueprint: &'a BlueprintId,
    team: &'a RawValue,
    pub(in crate::catalog) properties: Fields<'a>,
    relations: Relations<'a>,
    #[serde(skip_serializing_if = "Fields::is_empty")]
    scorecards: Fields<'a>,
    #[serde(flatten)]
    stamp: Stamp,
}

impl<'a> Shown<'a> {
    fn new(
        row: WholeRow<'a>,
        relations: Relations<'a>,
        plan: Option<&'a Plan>,
    ) -> Result<Self, Error> {
        let mut properties: Fields<'a> = parse(row.properties)?;
        let mut scorecards = Fields::default();
        if let Some(plan) = plan {
            let (derived, cards) = row.derived.unwrap_or(("{}", "{}"));
            let derived: Fields<'a> = parse(derived)?;
            // A derived property without a value is there all the same.
            for name in &plan.names {
                properties.set(name, derived.get(name).unwrap_or(RawValue::NULL));
            }
            scorecards = parse(cards)?;
            scorecards.0.retain(|(name, _)| plan.has_scorecard(name));
        }
        Ok(Self {
            identifier: row.identifier,
            title: row.title,
            icon: row.icon,
            blueprint: &relations.kind.blueprint().identifier,
            team: parse(row.team)?,
            properties,
            relations,
            scorecards,
            stamp: row.stamp,
        })
    }

    /// The owning teams.
    pub(in crate::catalog) fn owners(&self) -> Result<Vec<String>, Error> {
        parse(self.team.get())
    }

    /// As JSON.
    pub(in crate::catalog) fn write(&self) -> Result<EntityJson, Error> {
        Ok(EntityJson::write(self).map_err(|e| store::Error::corrupt("entity", e))?)
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    Ok(serde_json::from_str(text).map_err(|e| store::Error::corrupt("entity", e))?)
}

/// The fields of an object, in order, the values as they are written.
#[derive(Debug, Default)]
pub(in crate::catalog) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    pub(in crate::catalog) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value)
    }

    fn set(&mut self, name: &'a str, value: &'a RawValue) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value,
            None => self.0.push((Cow::Borrowed(name), value)),
        }
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    fields.push((name, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A field's name, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Where an entity points, each relation in the shape that the blueprint gives it.
struct Relations<'a> {
    kind: &'a Kind,
    edges: &'a Edges,
    source: EntityKey,
}

impl Serialize for Relations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let relations = &self.kind.blueprint().relations;
        let mut map = serializer.serialize_map(Some(relations.len()))?;
        for (name, definition) in relations {
            let targets = Targets {
                relations: self,
                name,
                definition,
            };
            map.serialize_entry(name, &targets)?;
        }
        map.end()
    }
}

struct Targets<'a> {
    relations: &'a Relations<'a>,
    name: &'a str,
    definition: &'a RelationDefinition,
}

impl Serialize for Targets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Relations { edges, source, .. } = self.relations;
        let mut targets = edges.targets(*source, self.name);
        if !self.definition.many {
            return targets.next().serialize(serializer);
        }
        let mut list = serializer.serialize_seq(None)?;
        for target in targets {
            list.serialize_element(target)?;
        }
        list.end()
    }
}
