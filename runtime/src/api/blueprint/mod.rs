//! Blueprints.

pub(super) mod migration;
pub(super) mod permission;
pub(super) mod rename;

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, JsonBody};
use super::reply::{Created, Done, Json};
use crate::app::App;
use crate::catalog::parse_blueprint;
use crate::model::{Blueprint, BlueprintId, Stamped};

/// One blueprint.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct BlueprintReply {
    /// Always `true`.
    ok: bool,
    /// As it now is.
    blueprint: Stamped<Blueprint>,
}

/// The base shape of a blueprint.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct StructureReply {
    /// Always `true`.
    ok: bool,
    /// Without what was added to it here.
    blueprint: Blueprint,
}

/// All blueprints.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct BlueprintsReply {
    /// Always `true`.
    ok: bool,
    /// By identifier.
    blueprints: Vec<Stamped<Blueprint>>,
}

/// List the blueprints.
#[utoipa::path(
    get, path = "/v1/blueprints", tag = "catalog", security(("bearer" = ["catalog:read"])),
    responses((status = 200, body = BlueprintsReply)),
)]
pub(super) async fn list_blueprints(
    State(app): State<App>,
) -> Result<Json<BlueprintsReply>, ApiError> {
    Ok(Json(BlueprintsReply {
        ok: true,
        blueprints: app.catalog.list_blueprints().await?,
    }))
}

/// Create a blueprint.
#[utoipa::path(
    post, path = "/v1/blueprints", tag = "catalog", security(("bearer" = ["catalog:write"])),
    request_body = Blueprint, responses((status = 201, body = BlueprintReply)),
)]
pub(super) async fn create_blueprint(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<Value>,
) -> Result<Created<BlueprintReply>, ApiError> {
    let blueprint = app
        .catalog
        .create_blueprint(&caller, parse_blueprint(body)?)
        .await?;
    Ok(Created(
        true,
        BlueprintReply {
            ok: true,
            blueprint,
        },
    ))
}

/// Read a blueprint.
#[utoipa::path(
    get, path = "/v1/blueprints/{blueprint}", tag = "catalog", security(("bearer" = ["catalog:read"])),
    params(("blueprint" = String, Path, description = "Identifier of the blueprint")),
    responses((status = 200, body = BlueprintReply)),
)]
pub(super) async fn find_blueprint(
    State(app): State<App>,
    InPath(id): InPath<BlueprintId>,
) -> Result<Json<BlueprintReply>, ApiError> {
    Ok(Json(BlueprintReply {
        ok: true,
        blueprint: app.catalog.find_blueprint(&id).await?,
    }))
}

/// Replace a blueprint.
#[utoipa::path(
    put, path = "/v1/blueprints/{blueprint}", tag = "catalog", security(("bearer" = ["catalog:write"])),
    params(("blueprint" = String, Path, description = "Identifier of the blueprint")),
    request_body = Blueprint, responses((status = 200, body = BlueprintReply)),
)]
pub(super) async fn replace_blueprint(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<BlueprintId>,
    JsonBody(body): JsonBody<Value>,
) -> Result<Json<BlueprintReply>, ApiError> {
    let blueprint = app
        .catalog
        .replace_blueprint(&caller, &id, parse_blueprint(body)?)
        .await?;
    Ok(Json(BlueprintReply {
        ok: true,
        blueprint,
    }))
}

/// Change parts of a blueprint.
///
/// Objects merge key by key, `null` removes a key, anything else replaces.
#[utoipa::path(
    patch, path = "/v1/blueprints/{blueprint}", tag = "catalog", security(("bearer" = ["catalog:write"])),
    params(("blueprint" = String, Path, description = "Identifier of the blueprint")),
    request_body = Object, responses((status = 200, body = BlueprintReply)),
)]
pub(super) async fn patch_blueprint(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<BlueprintId>,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<Json<BlueprintReply>, ApiError> {
    let blueprint = app.catalog.patch_blueprint(&caller, &id, body).await?;
    Ok(Json(BlueprintReply {
        ok: true,
        blueprint,
    }))
}

/// Delete a blueprint that has no entities.
#[utoipa::path(
    delete, path = "/v1/blueprints/{blueprint}", tag = "catalog", security(("bearer" = ["catalog:write"])),
    params(("blueprint" = String, Path, description = "Identifier of the blueprint")),
    responses((status = 200, body = Done)),
)]
pub(super) async fn delete_blueprint(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<BlueprintId>,
) -> Result<Json<Done>, ApiError> {
    app.catalog.delete_blueprint(&caller, &id).await?;
    Ok(Done::OK)
}

/// Read the base shape of a blueprint that is part of the portal: what its extensions build on.
#[utoipa::path(
    get, path = "/v1/blueprints/system/{blueprint}/structure", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(("blueprint" = String, Path, description = "`_team` or `_user`")),
    responses((status = 200, body = StructureReply)),
)]
pub(super) async fn find_structure(
    State(app): State<App>,
    InPath(id): InPath<BlueprintId>,
) -> Result<Json<StructureReply>, ApiError> {
    Ok(Json(StructureReply {
        ok: true,
        blueprint: app.catalog.find_structure(&id)?,
    }))
}
