//! The words of the house: plain types with their invariants, no I/O.

mod action;
mod action_permission;
mod audit;
mod blueprint;
mod derived;
mod effects;
mod engine;
mod entity;
mod entity_json;
mod ident;
mod migration;
mod network;
mod pause;
mod permission;
mod plugin;
mod plugin_diff;
mod principal;
mod provenance;
mod query;
mod run;
mod run_state;
mod sbom;
mod scalar;
mod scorecard;
mod secret;
mod start_key;
mod statistics;
mod step;
mod time;
mod usage;
mod violation;

pub use action::{Action, InvocationMethod, Operation, Required, Trigger, UserInputs};
pub use action_permission::{
    ActionGrant, ActionPermissionPatch, ActionPermissions, ActionRight, Policy,
};
pub use audit::{AuditEntry, AuditFilter, AuditPage, AuditRow, AuditStatus, Verb};
pub use blueprint::{Blueprint, BlueprintSchema, RelationDefinition, Stamp, Stamped};
pub use derived::{
    Aggregation, Calculation, DerivedFailure, DerivedProperties, Field, Figure, Function, Mirror,
    Pace, PropertyType, RelationPath, Span,
};
pub use effects::Effects;
pub use engine::{Engine, PerEntity, RetryPolicy, RunAs};
pub use entity::{Entity, EntityDraft, RelationValue, WriteMode};
pub use entity_json::EntityJson;
pub use ident::{
    ActionId, BlueprintId, EntityId, IdentError, PluginName, RunId, SecretName, SourceName,
};
pub use migration::{Migration, MigrationStatus};
pub use network::network;
pub use pause::{Pause, PauseError};
pub use permission::{EntityPermissions, EntityRight, Grant, PermissionPatch};
pub use plugin::{
    Approval, Binding, CapabilityReport, Digest, Finding, PluginState, PluginVersion,
    SecretRequest, UnderWay, UpgradePolicy,
};
pub use plugin_diff::{Carried, Change, LineRisk, Risk, VersionDiff, VersionMark};
pub use principal::{Actor, Origin, Permission, Principal, PrincipalKind, Role};
pub use provenance::{Provenance, SignatureMark, SignatureVerdict};
pub use query::{
    Combinator, Compare, ContextValue, Direction, Holder, Identifiers, Meta, Operand, Operator,
    PathMatch, Period, Query, Related, Rule, SchemaCompare, Step, Subject, Test, Walk,
};
pub use run::{
    Claim, EventBody, LogLevel, NewRun, Run, RunEnd, RunEvent, RunFailure, RunFilter, RunMove,
    RunOrigin,
};
pub use run_state::{RUN_TRANSITIONS, RunCause, RunState, RunStatus, RunTransition};
pub use sbom::{Sbom, SbomComponent, SbomOrigin, SbomScope, SbomTool};
pub use scalar::Scalar;
pub use scorecard::{Level, RuleResult, RuleStatus, Scorecard, ScorecardResult, ScorecardRule};
pub use secret::{SecretKey, SecretMark, SecretUsage, SecretUse, SecretValue};
pub use start_key::StartKey;
pub use statistics::{ActionStatistics, Feedback, FeedbackSummary, Percentiles};
pub use step::{RunStep, StepKind, StepState};
pub use time::Timestamp;
pub use usage::{
    Acts, BudgetUsage, CallUsage, Counted, DeniedUsage, LineRequests, LineUsage, Narrowed,
    RequestTrail, Requests, Suggestion, UsageKind, UsageReport,
};
pub use violation::Violation;
