//! A run as clients of the Port API know it, with our finer words beside.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::app::App;
use crate::catalog::Values;
use crate::model::{
    ActionId, BlueprintId, EntityId, Run, RunFailure, RunState, RunStatus, RunStep, StepKind,
    StepState, Timestamp,
};
use crate::{action, catalog};

/// A run.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct RunView {
    /// Unique among all runs.
    id: String,
    /// In the words of the Port API.
    status: RunStatus,
    /// Nobody sets one yet.
    status_label: Option<String>,
    /// Where exactly it is.
    state: RunState,
    /// Blueprint of the entity that it works on or makes.
    blueprint: Option<Named>,
    /// The entity that it works on.
    entity: Option<Named>,
    /// The action that it executes.
    action: Named,
    /// The inputs, defaults filled in.
    #[schema(value_type = Object)]
    properties: Map<String, Value>,
    /// Through which door it was asked for.
    #[schema(value_type = String)]
    source: &'static str,
    /// Whether a person has to approve it first.
    required_approval: bool,
    /// The decision of that person.
    #[schema(value_type = Option<Object>)]
    approval: Option<Value>,
    /// Links that the plugin left.
    link: Vec<String>,
    /// Nobody sets one yet.
    summary: Option<String>,
    /// What the plugin answered.
    #[schema(value_type = Option<Object>)]
    output: Option<Value>,
    /// Why it ended badly.
    failure: Option<RunFailure>,
    /// How often guest code was started.
    attempts: u32,
    /// The run in which a plugin started it, on behalf of who asked.
    #[schema(value_type = Option<String>)]
    parent_run: Option<String>,
    /// The run that ended badly and that it does once more.
    #[schema(value_type = Option<String>)]
    retry_of: Option<String>,
    /// The version of the plugin that it began with, and keeps.
    version: Option<String>,
    /// When it goes on by itself, where it waits for that.
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    /// Who asked that it be ended, while a plugin is at work.
    cancelled_by: Option<String>,
    /// Who asked.
    created_by: String,
    /// Who moved it last by hand; else whoever asked.
    updated_by: String,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When it reached its terminal state.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
}

/// A run with all that is known of it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct WholeRunView {
    #[serde(flatten)]
    pub(in crate::api) run: RunView,
    /// What it has done so far, as far as that is on disk: its steps and sleeps in their order, then what an attempt did
    /// outside of them where that must not be done twice.
    pub(in crate::api) steps: Vec<StepView>,
}

/// A recorded piece of a run.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct StepView {
    /// The plugin's own name for it.
    name: String,
    /// What it is.
    kind: StepKind,
    /// How far it is.
    state: StepState,
    /// The attempt of the run in which it was begun last.
    attempt: u32,
    /// Whether it may be done again where it was cut off.
    idempotent: bool,
    /// When it was begun last.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
}

impl From<RunStep> for StepView {
    fn from(step: RunStep) -> Self {
        Self {
            name: step.name,
            kind: step.kind,
            state: step.state,
            attempt: step.attempt,
            idempotent: step.idempotent,
            started_at: step.started_at,
            ended_at: step.ended_at,
        }
    }
}

/// Something that a run refers to, by name and title.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Named {
    /// Its identifier.
    identifier: String,
    /// Its title now.
    title: Option<String>,
    /// Its icon now.
    icon: Option<String>,
    /// Whether it is gone by now.
    deleted: bool,
}

/// Turns runs into views; looks each thing that several of them refer to up once.
pub(in crate::api) struct Views<'a> {
    app: &'a App,
    caller: &'a Caller,
    blueprints: HashMap<BlueprintId, Named>,
    actions: HashMap<ActionId, Named>,
    entities: HashMap<(BlueprintId, EntityId), Named>,
}

impl<'a> Views<'a> {
    pub(in crate::api) fn new(app: &'a App, caller: &'a Caller) -> Self {
        Self {
            app,
            caller,
            blueprints: HashMap::new(),
            actions: HashMap::new(),
            entities: HashMap::new(),
        }
    }

    pub(in crate::api) async fn show(&mut self, run: Run) -> Result<RunView, ApiError> {
        let blueprint = match &run.blueprint {
            Some(id) => Some(self.blueprint(id).await?),
            None => None,
        };
        let entity = match (&run.blueprint, &run.entity) {
            (Some(blueprint), Some(id)) => Some(self.entity(blueprint, id).await?),
            (None, Some(id)) => Some(Named::gone(id.as_str())),
            (_, None) => None,
        };
        let action = self.action(&run.action).await?;
        Ok(RunView {
            id: run.id.into(),
            status: run.state.status(),
            status_label: None,
            state: run.state,
            blueprint,
            entity,
            action,
            properties: run.properties,
            source: "API",
            required_approval: false,
            approval: None,
            link: run.links,
            summary: None,
            output: run.output,
            failure: run.failure,
            attempts: run.attempts,
            updated_by: run.updated_by.unwrap_or_else(|| run.created_by.clone()),
            retry_of: run.retry_of.map(|of| of.to_string()),
            version: run.version.map(|version| version.to_string()),
            due_at: run.due_at,
            cancelled_by: run.cancelled_by,
            parent_run: run.parent.map(|parent| parent.to_string()),
            created_by: run.created_by,
            created_at: run.created_at,
            updated_at: run.updated_at,
            ended_at: run.ended_at,
        })
    }

    async fn blueprint(&mut self, id: &BlueprintId) -> Result<Named, ApiError> {
        if let Some(known) = self.blueprints.get(id) {
            return Ok(known.clone());
        }
        let named = match self.app.catalog.find_blueprint(id).await {
            Ok(found) => Named::there(id.as_str(), Some(found.value.title), found.value.icon),
            Err(catalog::Error::NotFound(_)) => Named::gone(id.as_str()),
            Err(error) => return Err(error.into()),
        };
        self.blueprints.insert(id.clone(), named.clone());
        Ok(named)
    }

    async fn action(&mut self, id: &ActionId) -> Result<Named, ApiError> {
        if let Some(known) = self.actions.get(id) {
            return Ok(known.clone());
        }
        let named = match self.app.actions.find(id).await {
            Ok(found) => Named::there(id.as_str(), found.value.title, found.value.icon),
            Err(action::Error::NotFound(_)) => Named::gone(id.as_str()),
            Err(error) => return Err(error.into()),
        };
        self.actions.insert(id.clone(), named.clone());
        Ok(named)
    }

    async fn entity(&mut self, blueprint: &BlueprintId, id: &EntityId) -> Result<Named, ApiError> {
        let key = (blueprint.clone(), id.clone());
        if let Some(known) = self.entities.get(&key) {
            return Ok(known.clone());
        }
        let catalog = &self.app.catalog;
        let found = catalog.find_entity_for(self.caller, blueprint, id, Values::Own);
        let named = match found.await {
            Ok(found) => Named::there(id.as_str(), found.value.title, found.value.icon),
            // The run says so itself; what else there is to know is hidden.
            Err(catalog::Error::Forbidden(_)) => Named::there(id.as_str(), None, None),
            Err(catalog::Error::NotFound(_)) => Named::gone(id.as_str()),
            Err(error) => return Err(error.into()),
        };
        self.entities.insert(key, named.clone());
        Ok(named)
    }
}

impl Named {
    fn there(id: &str, title: Option<String>, icon: Option<String>) -> Self {
        Self {
            identifier: id.to_owned(),
            title,
            icon,
            deleted: false,
        }
    }

    fn gone(id: &str) -> Self {
        Self {
            identifier: id.to_owned(),
            title: None,
            icon: None,
            deleted: true,
        }
    }
}
