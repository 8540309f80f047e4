//! The words of the house: plain types with their invariants, no I/O.

mod action;
mod audit;
mod blueprint;
mod entity;
mod ident;
mod plugin;
mod principal;
mod run;
mod time;
mod violation;

pub use action::{Action, InvocationMethod, Operation, Trigger, UserInputs};
pub use audit::{AuditEntry, AuditRow, Verb};
pub use blueprint::{Blueprint, BlueprintSchema, RelationDefinition, Stamp, Stamped};
pub use entity::{Entity, EntityDraft, RelationValue, WriteMode};
pub use ident::{ActionId, BlueprintId, EntityId, IdentError, PluginName, RunId};
pub use plugin::{
    Approval, Binding, CapabilityReport, Digest, Finding, PluginState, PluginVersion,
};
pub use principal::{Actor, Origin, Permission, Principal, PrincipalKind, Role};
pub use run::{
    Claim, EventBody, LogLevel, NewRun, Run, RunEnd, RunEvent, RunFailure, RunFilter, RunState,
    RunStatus,
};
pub use time::Timestamp;
pub use violation::Violation;
