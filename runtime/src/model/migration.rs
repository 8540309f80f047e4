//! Work on many entities that goes on behind the request that asked for it.

use serde::{Deserialize, Serialize};

use super::{Actor, BlueprintId, Timestamp};

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum MigrationStatus {
    /// Nothing was done yet.
    Pending,
    /// Under way; a restart takes it up again.
    Running,
    /// Done.
    Completed,
    /// Given up; `message` says why. What was done until then stays done.
    Failure,
}

/// The deletion of all entities of a blueprint.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Migration {
    /// `m_` and letters and digits.
    pub id: String,
    /// How far it is.
    pub status: MigrationStatus,
    /// The blueprint whose entities are deleted.
    #[serde(rename = "sourceBlueprint")]
    #[schema(value_type = String)]
    pub blueprint: BlueprintId,
    /// Whether the blueprint goes too, at the end.
    pub delete_blueprint: bool,
    /// On whose behalf.
    #[serde(serialize_with = "by_name")]
    #[schema(value_type = String)]
    pub actor: Actor,
    /// Entities deleted so far.
    #[serde(rename = "deletedEntities")]
    pub done: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it last went on.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

fn by_name<S: serde::Serializer>(actor: &Actor, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&actor.name)
}
