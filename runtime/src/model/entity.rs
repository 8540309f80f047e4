//! One row of the catalog.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BlueprintId, EntityId};

/// An entity as the catalog holds it: complete and valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entity {
    /// Unique within its blueprint.
    #[schema(value_type = String)]
    pub identifier: EntityId,
    /// Title for people.
    #[serde(default)]
    pub title: Option<String>,
    /// Name of an icon.
    #[serde(default)]
    pub icon: Option<String>,
    /// Its blueprint.
    #[schema(value_type = String)]
    pub blueprint: BlueprintId,
    /// Identifiers of the owning teams.
    #[serde(default)]
    pub team: Vec<String>,
    /// Property name to value.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub properties: Map<String, Value>,
    /// Every relation of the blueprint, by name.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub relations: IndexMap<String, RelationValue>,
    /// What the scorecards of the blueprint say of it, where it is read; never part of what is written.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub scorecards: Map<String, Value>,
}

/// Where a relation points. JSON: `null`, an identifier, or a list of identifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelationValue {
    /// To nothing.
    None,
    /// A relation to one entity.
    One(EntityId),
    /// A relation to many entities, in order.
    Many(Vec<EntityId>),
}

impl RelationValue {
    /// The identifiers it points at, in order.
    pub fn targets(&self) -> &[EntityId] {
        match self {
            Self::None => &[],
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }

    /// Points no longer at one entity.
    pub fn remove(&mut self, target: &EntityId) {
        match self {
            Self::None => {}
            Self::One(id) => {
                if id == target {
                    *self = Self::None;
                }
            }
            Self::Many(ids) => ids.retain(|id| id != target),
        }
    }
}

impl Serialize for RelationValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::One(id) => id.serialize(serializer),
            Self::Many(ids) => ids.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RelationValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        // By hand: an untagged enum would answer a bad value with "did not match any variant".
        let identifier = |value: Value| match value {
            Value::String(text) => EntityId::parse(text).map_err(D::Error::custom),
            other => Err(D::Error::custom(format!(
                "a relation holds identifiers, not {other}"
            ))),
        };
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::None),
            Value::Array(values) => values
                .into_iter()
                .map(identifier)
                .collect::<Result<_, _>>()
                .map(Self::Many),
            value => identifier(value).map(Self::One),
        }
    }
}

/// An entity as a client sends it: anything may be left out, nothing is checked yet.
///
/// `None` means the client did not name the field; whether that clears it or keeps it is the [`WriteMode`]'s to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntityDraft {
    /// Absent: the catalog makes one up.
    pub identifier: Option<EntityId>,
    /// `Some(None)` clears it.
    pub title: Option<Option<String>>,
    /// `Some(None)` clears it.
    pub icon: Option<Option<String>>,
    /// The owning teams.
    pub team: Option<Vec<String>>,
    /// Property name to value; `null` clears one.
    pub properties: Option<Map<String, Value>>,
    /// Relation name to where it points.
    pub relations: Option<IndexMap<String, RelationValue>>,
}

/// What a write does with an entity that is there already, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// It must not exist.
    Create,
    /// Created, or replaced whole: what the draft leaves out is cleared.
    Replace,
    /// Created, or changed in what the draft names.
    Merge,
    /// It must exist; changed in what the draft names.
    Update,
    /// It must exist; replaced whole.
    Overwrite,
}
