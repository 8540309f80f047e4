//! The form of an action, worked out for whoever fills it in.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, JsonBody};
use super::reply::Json;
use crate::action::EvaluatedForm;
use crate::app::App;
use crate::model::{ActionId, EntityId};

/// How far a form is filled in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FilledForm {
    /// The inputs so far.
    #[serde(default)]
    #[schema(value_type = Object)]
    properties: Map<String, Value>,
    /// Identifier of the entity to work on.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    entity: Option<EntityId>,
}

/// A form.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct FormReply {
    /// Always `true`, also where something of the form could not be worked out.
    ok: bool,
    /// Everything that a client needs to draw it.
    form: EvaluatedForm,
}

/// Work out the form of an action.
///
/// Given what is filled in so far, the answer says of each input whether it is shown, disabled and required, its default
/// and what a value has to be like: nothing is left to work out. What could not be worked out, and what may not be given,
/// stands in `violations`; a start would be refused for those.
#[utoipa::path(
    post, path = "/v1/actions/{action}/form", tag = "actions", security(("bearer" = ["actions:run"])),
    params(("action" = String, Path, description = "Identifier of the action")),
    request_body = FilledForm, responses((status = 200, body = FormReply)),
)]
pub(super) async fn fill_in_form(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<ActionId>,
    JsonBody(filled): JsonBody<FilledForm>,
) -> Result<Json<FormReply>, ApiError> {
    let form = app
        .actions
        .fill_in_form(&caller, &id, filled.properties, filled.entity)
        .await?;
    Ok(Json(FormReply { ok: true, form }))
}
