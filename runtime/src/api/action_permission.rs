//! Who may start an action, and who may approve its runs.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, JsonBody};
use super::reply::Json;
use crate::action::parse_action_permissions;
use crate::app::App;
use crate::model::{ActionId, ActionPermissions};

/// Permissions of an action.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ActionPermissionsReply {
    /// Always `true`.
    ok: bool,
    /// What holds now: `execute` and `approve`, each with `users`, `roles`, `teams`, `ownedByTeam` and `policy`.
    #[schema(value_type = Object)]
    permissions: ActionPermissions,
}

/// Read who may start an action, and who may approve its runs.
///
/// As long as nothing was said, whoever's role lets them start actions may start it, and administrators approve.
#[utoipa::path(
    get, path = "/v1/actions/{action}/permissions", tag = "actions", security(("bearer" = ["catalog:read"])),
    operation_id = "find_action_permissions",
    params(("action" = String, Path, description = "Identifier of the action")),
    responses((status = 200, body = ActionPermissionsReply)),
)]
pub(super) async fn find_permissions(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<ActionId>,
) -> Result<Json<ActionPermissionsReply>, ApiError> {
    app.actions.find_visible(&caller, &id).await?;
    Ok(Json(ActionPermissionsReply {
        ok: true,
        permissions: app.actions.find_permissions(&id).await?,
    }))
}

/// Say who may start an action, and who may approve its runs.
///
/// `{"execute": {"users", "roles", "teams", "ownedByTeam", "policy"}, "approve": {"users", "roles", "teams", "policy"}}`.
/// A right that is named is replaced whole, `null` goes back to the default; where none of its lists is named, those of
/// the default stay. It narrows what roles allow and never adds to it. A policy `{"queries": {NAME: {combinator, rules}},
/// "conditions": [jq]}` decides for everybody, and the lists say who sees the action: for `execute` one condition has to
/// give `true`, for `approve` each gives the e-mail addresses of those who may. A query or condition that fails refuses.
/// Queries see the whole catalog, and find 1,000 entities at most.
#[utoipa::path(
    patch, path = "/v1/actions/{action}/permissions", tag = "actions", security(("bearer" = ["users:manage"])),
    operation_id = "patch_action_permissions",
    params(("action" = String, Path, description = "Identifier of the action")),
    request_body = Object, responses((status = 200, body = ActionPermissionsReply)),
)]
pub(super) async fn patch_permissions(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<ActionId>,
    JsonBody(body): JsonBody<Value>,
) -> Result<Json<ActionPermissionsReply>, ApiError> {
    let patch = parse_action_permissions(body)?;
    Ok(Json(ActionPermissionsReply {
        ok: true,
        permissions: app.actions.patch_permissions(&caller, &id, patch).await?,
    }))
}
