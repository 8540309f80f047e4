//! The quality rules of one kind of entity.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::BlueprintId;

/// Rules in levels: an entity has the highest level of which it, and every level below, breaks no rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Scorecard {
    /// Unique within its blueprint.
    pub identifier: String,
    /// Title for people.
    pub title: String,
    /// Blueprint of the entities that it is about.
    #[schema(value_type = String)]
    pub blueprint: BlueprintId,
    /// Which entities it is about, as `{combinator, conditions}`; absent: all of the blueprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Value>,
    /// The levels, the lowest first; that one has no rules.
    pub levels: Vec<Level>,
    /// What an entity has to meet.
    pub rules: Vec<ScorecardRule>,
    /// Keys that this version does not know, as they came.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extra: Map<String, Value>,
}

/// One level of a scorecard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Level {
    /// Name of the level.
    pub title: String,
    /// Its colour.
    pub color: String,
}

/// One rule of a scorecard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScorecardRule {
    /// Unique within the scorecard.
    pub identifier: String,
    /// Title for people.
    pub title: String,
    /// What the rule means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The level that asks for it; never the lowest.
    pub level: String,
    /// What an entity has to be like, as `{combinator, conditions}`.
    #[schema(value_type = Object)]
    pub query: Value,
    /// Keys that this version does not know, as they came.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extra: Map<String, Value>,
}

/// What a scorecard says of one entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScorecardResult {
    /// The level that it has.
    pub level: String,
    /// What became of each rule.
    pub rules: Vec<RuleResult>,
}

/// What one rule says of one entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleResult {
    /// The rule.
    pub identifier: String,
    /// Whether it is met.
    pub status: RuleStatus,
    /// The level that asks for it.
    pub level: String,
}

/// Whether a rule is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RuleStatus {
    /// It is.
    Success,
    /// It is not.
    Failure,
}
