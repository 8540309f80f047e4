//! Actions.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, JsonBody};
use super::reply::{Created, Done, Json};
use crate::action::parse_action;
use crate::app::App;
use crate::model::{Action, ActionId, Stamped};

/// One action.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ActionReply {
    /// Always `true`.
    ok: bool,
    /// As it now is.
    action: Stamped<Action>,
}

/// All actions.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ActionsReply {
    /// Always `true`.
    ok: bool,
    /// By identifier.
    actions: Vec<Stamped<Action>>,
}

/// List the actions.
///
/// Those that the caller may start, by the lists of their permissions; all of them for whoever writes actions or sees
/// everybody's runs.
#[utoipa::path(
    get, path = "/v1/actions", tag = "actions", security(("bearer" = ["catalog:read"])),
    responses((status = 200, body = ActionsReply)),
)]
pub(super) async fn list_actions(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<ActionsReply>, ApiError> {
    Ok(Json(ActionsReply {
        ok: true,
        actions: app.actions.list_visible(&caller).await?,
    }))
}

/// Create an action.
#[utoipa::path(
    post, path = "/v1/actions", tag = "actions", security(("bearer" = ["catalog:write"])),
    request_body = Action, responses((status = 201, body = ActionReply)),
)]
pub(super) async fn create_action(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<Value>,
) -> Result<Created<ActionReply>, ApiError> {
    let action = app.actions.create(&caller, parse_action(body)?).await?;
    Ok(Created(true, ActionReply { ok: true, action }))
}

/// Read an action.
#[utoipa::path(
    get, path = "/v1/actions/{action}", tag = "actions", security(("bearer" = ["catalog:read"])),
    params(("action" = String, Path, description = "Identifier of the action")),
    responses((status = 200, body = ActionReply)),
)]
pub(super) async fn find_action(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<ActionId>,
) -> Result<Json<ActionReply>, ApiError> {
    Ok(Json(ActionReply {
        ok: true,
        action: app.actions.find_visible(&caller, &id).await?,
    }))
}

/// Replace an action.
#[utoipa::path(
    put, path = "/v1/actions/{action}", tag = "actions", security(("bearer" = ["catalog:write"])),
    params(("action" = String, Path, description = "Identifier of the action")),
    request_body = Action, responses((status = 200, body = ActionReply)),
)]
pub(super) async fn replace_action(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<ActionId>,
    JsonBody(body): JsonBody<Value>,
) -> Result<Json<ActionReply>, ApiError> {
    let action = app
        .actions
        .replace(&caller, &id, parse_action(body)?)
        .await?;
    Ok(Json(ActionReply { ok: true, action }))
}

/// Delete an action; its runs stay.
#[utoipa::path(
    delete, path = "/v1/actions/{action}", tag = "actions", security(("bearer" = ["catalog:write"])),
    params(("action" = String, Path, description = "Identifier of the action")),
    responses((status = 200, body = Done)),
)]
pub(super) async fn delete_action(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<ActionId>,
) -> Result<Json<Done>, ApiError> {
    app.actions.delete(&caller, &id).await?;
    Ok(Done::OK)
}
