//! Who may do what with the entities of a blueprint.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, JsonBody};
use crate::api::reply::Json;
use crate::app::App;
use crate::catalog::{DerivedElsewhere, parse_permissions};
use crate::model::{BlueprintId, EntityPermissions};

/// Permissions of a blueprint.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct PermissionsReply {
    /// Always `true`.
    ok: bool,
    /// What holds now.
    permissions: Permissions,
    /// Derived properties of other blueprints that are made of these entities. Whoever may read those reads them,
    /// whatever is said here: where that is too much, they have to go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    derived_elsewhere: Vec<DerivedElsewhere>,
}

/// Permissions, by what they are about.
#[derive(Serialize, utoipa::ToSchema)]
struct Permissions {
    /// `read`, `register`, `update`, `unregister`, and for single parts `updateProperties` and `updateRelations`.
    #[schema(value_type = Object)]
    entities: EntityPermissions,
}

async fn reply(
    app: &App,
    id: &BlueprintId,
    entities: EntityPermissions,
) -> Result<Json<PermissionsReply>, ApiError> {
    Ok(Json(PermissionsReply {
        ok: true,
        permissions: Permissions { entities },
        derived_elsewhere: app.catalog.list_derived_elsewhere(id).await?,
    }))
}

/// Read who may do what with the entities of a blueprint.
///
/// As long as nothing was said, whoever's role lets them read or write the catalog may read or write these entities.
#[utoipa::path(
    get, path = "/v1/blueprints/{blueprint}/permissions", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(("blueprint" = String, Path, description = "Identifier of the blueprint")),
    responses((status = 200, body = PermissionsReply)),
)]
pub(in crate::api) async fn find_permissions(
    State(app): State<App>,
    InPath(id): InPath<BlueprintId>,
) -> Result<Json<PermissionsReply>, ApiError> {
    let permissions = app.catalog.find_permissions(&id).await?;
    reply(&app, &id, permissions).await
}

/// Say who may do what with the entities of a blueprint.
///
/// Narrows what roles allow and never adds to it; administrators may do everything. What is named replaces what was
/// said of it before, `null` goes back to the default. Plugins act within their grant instead. What other blueprints
/// already derive from these entities stays, and is listed in the answer.
#[utoipa::path(
    patch, path = "/v1/blueprints/{blueprint}/permissions", tag = "catalog",
    security(("bearer" = ["users:manage"])),
    params(("blueprint" = String, Path, description = "Identifier of the blueprint")),
    request_body = Object, responses((status = 200, body = PermissionsReply)),
)]
pub(in crate::api) async fn patch_permissions(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<BlueprintId>,
    JsonBody(body): JsonBody<Value>,
) -> Result<Json<PermissionsReply>, ApiError> {
    let patch = parse_permissions(body)?;
    let permissions = app.catalog.patch_permissions(&caller, &id, patch).await?;
    reply(&app, &id, permissions).await
}
