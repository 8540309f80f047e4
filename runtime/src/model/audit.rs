//! Who did what, when, and during which run.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Actor, Origin, RunId, Timestamp};

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    /// Made.
    Create,
    /// Changed.
    Update,
    /// Removed.
    Delete,
    /// A plugin version was allowed to run.
    Approve,
    /// A plugin asked for what it was not granted.
    Deny,
}

/// One row to be written to the audit log, in the same transaction as the change itself.
#[derive(Clone, Debug)]
pub struct AuditEntry<'a> {
    /// On whose behalf.
    pub actor: &'a Actor,
    /// What was done.
    pub verb: Verb,
    /// Kind of the object: `blueprint`, `entity`, `action`, `plugin`, `user` and so on.
    pub resource: &'static str,
    /// The object's identifier; for an entity `blueprint/identifier`.
    pub identifier: String,
    /// The object before the change, or what there is to say of a decision.
    pub before: Option<Value>,
    /// The object after the change.
    pub after: Option<Value>,
}

/// One row of the audit log as it is read.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// Counts up over the whole log.
    pub sequence: u64,
    /// When it was done.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// On whose behalf.
    pub actor: String,
    /// Through which door.
    #[schema(value_type = String)]
    pub origin: Origin,
    /// During which run.
    #[schema(value_type = Option<String>)]
    pub run_id: Option<RunId>,
    /// What was done.
    pub action: Verb,
    /// Kind of the object.
    pub resource: String,
    /// The object's identifier.
    pub identifier: String,
    /// The object before the change.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// The object after the change.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
}
