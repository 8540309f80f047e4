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
    /// A backup was put in place.
    Restore,
    /// A plugin read the text of a secret.
    Read,
    /// A plugin sent requests: all of one run, told when it ends.
    Request,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::Approve,
        Self::Deny,
        Self::Restore,
        Self::Read,
        Self::Request,
    ];

    /// The verb as the store and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Approve => "APPROVE",
            Self::Deny => "DENY",
            Self::Restore => "RESTORE",
            Self::Read => "READ",
            Self::Request => "REQUEST",
        }
    }

    /// Whether what is told was done or refused.
    pub fn status(self) -> AuditStatus {
        match self {
            Self::Deny => AuditStatus::Failure,
            Self::Create
            | Self::Update
            | Self::Delete
            | Self::Approve
            | Self::Restore
            | Self::Read
            | Self::Request => AuditStatus::Success,
        }
    }
}

/// How what a row tells of ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum AuditStatus {
    /// It was done.
    Success,
    /// It was refused.
    Failure,
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
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// Counts up by one over the whole log.
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
    /// Whether it was done or refused.
    pub status: AuditStatus,
    /// Kind of the object.
    pub resource: String,
    /// The object's identifier; for an entity `blueprint/identifier`.
    pub identifier: String,
    /// The blueprint, where the object is one or belongs to one.
    pub blueprint: Option<String>,
    /// The entity's identifier within its blueprint, where the object is one.
    pub entity: Option<String>,
    /// The object before the change.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// The object after the change.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// SHA-256 over the row and the hash of the row before it, in hexadecimal digits.
    pub hash: String,
}

/// Which rows of the audit log are wanted; all conditions hold at once.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Kinds of objects; empty for all.
    pub resources: Vec<String>,
    /// What was done; empty for all.
    pub verbs: Vec<Verb>,
    /// Through which doors; empty for all.
    pub origins: Vec<String>,
    /// During this run.
    pub run: Option<RunId>,
    /// Of this blueprint: it itself and what belongs to it.
    pub blueprint: Option<String>,
    /// Of entities that are or were called so.
    pub entity: Option<String>,
    /// Of objects that are or were called so; entities also as `blueprint/identifier`.
    pub identifier: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
}

/// Some rows of the audit log, and where to go on.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// In the order that was asked for.
    pub rows: Vec<AuditRow>,
    /// Sequence to go on from; absent where there is nothing more. A page may be short and still not be the last: what
    /// one look costs is bounded.
    pub next: Option<u64>,
}
