//! Work on many entities that goes on behind the request.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, Params};
use crate::api::reply::Json;
use crate::app::App;
use crate::model::{BlueprintId, Migration};

/// Work that was begun.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct BegunReply {
    /// Always `true`.
    ok: bool,
    /// Ask `GET /v1/migrations/{id}` how far it is.
    migration_id: String,
}

/// One piece of work.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct MigrationReply {
    /// Always `true`.
    ok: bool,
    /// How far it is.
    migration: Migration,
}

/// Delete all entities of a blueprint, batch by batch behind the request.
///
/// It stops with what it has done where a required relation of another blueprint holds an entity.
#[utoipa::path(
    delete, path = "/v1/blueprints/{blueprint}/all-entities", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("delete_blueprint" = Option<bool>, Query, description = "Delete the blueprint too, at the end"),
    ),
    responses((status = 202, body = BegunReply)),
)]
pub(in crate::api) async fn delete_all_entities(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<BlueprintId>,
    params: Params,
) -> Result<Response, ApiError> {
    let migration = app
        .catalog
        .start_emptying(&caller, &id, params.switch("delete_blueprint"))
        .await?;
    let reply = BegunReply {
        ok: true,
        migration_id: migration.id,
    };
    Ok((StatusCode::ACCEPTED, Json(reply)).into_response())
}

/// Read how far a piece of work is.
#[utoipa::path(
    get, path = "/v1/migrations/{migration}", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(("migration" = String, Path, description = "Its `migrationId`")),
    responses((status = 200, body = MigrationReply)),
)]
pub(in crate::api) async fn find_migration(
    State(app): State<App>,
    InPath(id): InPath<String>,
) -> Result<Json<MigrationReply>, ApiError> {
    Ok(Json(MigrationReply {
        ok: true,
        migration: app.catalog.find_migration(&id).await?,
    }))
}
