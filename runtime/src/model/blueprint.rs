//! The schema of one kind of entity.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BlueprintId, Timestamp};

/// A kind of entity: its properties, its relations and what is derived from them.
///
/// Keys that this version does not know are kept in `extra` and given back as they came, so that documents written
/// for other servers of the same API survive a round trip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blueprint {
    /// Unique in the whole catalog.
    #[schema(value_type = String)]
    pub identifier: BlueprintId,
    /// Title for people, 1 to 100 characters.
    pub title: String,
    /// At most 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Name of an icon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// The properties.
    pub schema: BlueprintSchema,
    /// The edges to other entities, by name.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub relations: IndexMap<String, RelationDefinition>,
    /// Everything else, as it came: mirror, calculation and aggregation properties, ownership and so on.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extra: Map<String, Value>,
}

/// The properties of a blueprint, as JSON Schema.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BlueprintSchema {
    /// Property name to its JSON Schema.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub properties: IndexMap<String, Value>,
    /// Names of the properties that every entity must have.
    #[serde(default)]
    pub required: Vec<String>,
}

/// One named edge from the entities of a blueprint to those of another, or of the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RelationDefinition {
    /// Title for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the relation means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Blueprint of the entities that it points at.
    #[schema(value_type = String)]
    pub target: BlueprintId,
    /// Whether every entity must have it. Never together with `many`.
    #[serde(default)]
    pub required: bool,
    /// Whether it points at any number of entities instead of at most one.
    #[serde(default)]
    pub many: bool,
    /// Keys that this version does not know, as they came.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extra: Map<String, Value>,
}

/// Who made and last changed a stored object, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
    /// The program that wrote it last, by its own words; of entities alone. Queries see it, answers do not show it.
    #[serde(skip)]
    pub datasource: Option<String>,
}

/// Something stored, with its stamp; JSON shows both side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Stamped<T> {
    /// The thing itself.
    #[serde(flatten)]
    pub value: T,
    /// Who and when.
    #[serde(flatten)]
    pub stamp: Stamp,
}
