//! What a developer may ask for.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ActionId, BlueprintId, Engine, PluginName, RunAs};

/// An action: trigger, typed inputs, and which plugin function carries it out.
///
/// Keys that this version does not know are kept in `extra` and given back as they came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Unique among all actions.
    #[schema(value_type = String)]
    pub identifier: ActionId,
    /// Title for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Name of an icon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How it is started.
    pub trigger: Trigger,
    /// What carries it out.
    pub invocation_method: InvocationMethod,
    /// How its runs are carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Everything else, as it came.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extra: Map<String, Value>,
}

/// How an action is started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Trigger {
    /// By a person or program that asks for it.
    #[serde(rename_all = "camelCase")]
    SelfService {
        /// Whether it makes something new, or works on or removes an entity.
        operation: Operation,
        /// Blueprint of the entity that it makes or works on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        blueprint_identifier: Option<BlueprintId>,
        /// The form. Absent: the plugin's own input schema.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_inputs: Option<UserInputs>,
        /// Everything else, as it came.
        #[serde(flatten)]
        #[schema(value_type = Object)]
        extra: Map<String, Value>,
    },
}

/// Whether an action makes something new, or works on an entity that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Operation {
    /// Makes something new.
    #[serde(rename = "CREATE")]
    Create,
    /// Works on an entity.
    #[serde(rename = "DAY-2")]
    DayTwo,
    /// Removes an entity.
    #[serde(rename = "DELETE")]
    Delete,
}

/// The form that a developer fills in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UserInputs {
    /// Input name to its JSON Schema (with the portal's formats).
    #[serde(default)]
    #[schema(value_type = Object)]
    pub properties: IndexMap<String, Value>,
    /// Names of the inputs that must be given, or the filter that gives them.
    #[serde(default)]
    pub required: Required,
    /// Everything else, as it came: order, steps, titles.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extra: Map<String, Value>,
}

/// Which inputs of a form must be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Required {
    /// Those of these names.
    Names(Vec<String>),
    /// Those whose names a jq filter gives.
    Computed {
        /// The filter.
        #[serde(rename = "jqQuery")]
        jq_query: String,
    },
}

impl Required {
    /// The names, as far as they are known without asking.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Names(names) => names,
            Self::Computed { .. } => &[],
        }
    }
}

impl Default for Required {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

/// What carries an action out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InvocationMethod {
    /// A function of an installed plugin.
    Plugin {
        /// Which plugin.
        #[schema(value_type = String)]
        plugin: PluginName,
        /// An exact version; absent: whichever is active when the run starts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        version: Option<semver::Version>,
        /// The function's name in the plugin's manifest.
        action: String,
        /// The plugin's input, values templated with `{{ jq }}`. Absent: the run's own inputs, unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        inputs: Option<Map<String, Value>>,
        /// Everything else, as it came.
        #[serde(flatten)]
        #[schema(value_type = Object)]
        extra: Map<String, Value>,
    },
}

impl Action {
    /// The form that it carries itself, where it does.
    pub fn user_inputs(&self) -> Option<&UserInputs> {
        let Trigger::SelfService { user_inputs, .. } = &self.trigger;
        user_inputs.as_ref()
    }

    /// Whether it makes something new, or works on or removes an entity.
    pub fn operation(&self) -> Operation {
        let Trigger::SelfService { operation, .. } = &self.trigger;
        *operation
    }

    /// What has to hold for the entity that it works on: a query.
    pub fn condition(&self) -> Option<&Value> {
        let Trigger::SelfService { extra, .. } = &self.trigger;
        extra
            .get("condition")
            .filter(|condition| !condition.is_null())
    }

    /// With whose rights its plugin works in the catalog.
    pub fn run_as(&self) -> RunAs {
        self.engine
            .as_ref()
            .map(|engine| engine.run_as)
            .unwrap_or_default()
    }

    /// How its runs are carried out.
    pub fn engine(&self) -> Engine {
        self.engine.clone().unwrap_or_default()
    }

    /// Blueprint of the entity that it makes or works on.
    pub fn blueprint(&self) -> Option<&BlueprintId> {
        let Trigger::SelfService {
            blueprint_identifier,
            ..
        } = &self.trigger;
        blueprint_identifier.as_ref()
    }
}
