//! What an entity was, and bringing one back.

use axum::extract::State;
use serde::Serialize;

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, Params};
use crate::api::reply::{Created, Json};
use crate::app::App;
use crate::catalog::Lost;
use crate::model::{AuditRow, BlueprintId, Entity, EntityId, Stamped};

/// Changes of an entity.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct HistoryReply {
    /// Always `true`.
    ok: bool,
    /// Newest first.
    changes: Vec<AuditRow>,
    /// The `next` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// An entity that was put back.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct RestoreReply {
    /// Always `true`.
    ok: bool,
    /// As it now is.
    entity: Stamped<Entity>,
    /// What it pointed at and what no longer exists; empty where it is as it was.
    missing_relations: Vec<Lost>,
}

/// List the changes of an entity, newest first, also of one that is gone.
#[utoipa::path(
    get, path = "/v1/blueprints/{blueprint}/entities/{entity}/history", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("entity" = String, Path, description = "Identifier that the entity has or had"),
        ("limit" = Option<u32>, Query, description = "Changes on a page, 1 to 1000; 200 where absent"),
        ("next" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, body = HistoryReply)),
)]
pub(in crate::api) async fn list_entity_history(
    State(app): State<App>,
    caller: Caller,
    InPath((blueprint, id)): InPath<(BlueprintId, EntityId)>,
    params: Params,
) -> Result<Json<HistoryReply>, ApiError> {
    let limit = params.limit(200, 1_000)?;
    let page = app
        .history
        .list_entity_changes(&caller, &blueprint, &id, params.parsed("next")?, limit)
        .await?;
    Ok(Json(HistoryReply {
        ok: true,
        changes: page.rows,
        next: page.next.map(|next| next.to_string()),
    }))
}

/// Put a deleted entity back as it was.
///
/// It is checked against the blueprint as it is now. Relations to what is gone too are left out and named in the reply.
#[utoipa::path(
    post, path = "/v1/blueprints/{blueprint}/entities/{entity}/restore", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("entity" = String, Path, description = "Identifier of the deleted entity"),
        ("run_id" = Option<String>, Query, description = "The run during which this happens"),
    ),
    responses((status = 201, body = RestoreReply)),
)]
pub(in crate::api) async fn restore_entity(
    State(app): State<App>,
    caller: Caller,
    InPath((blueprint, id)): InPath<(BlueprintId, EntityId)>,
    params: Params,
) -> Result<Created<RestoreReply>, ApiError> {
    let actor = super::during_run(&app, &caller, &params).await?;
    let restored = app.history.restore_entity(&actor, &blueprint, &id).await?;
    Ok(Created(
        true,
        RestoreReply {
            ok: true,
            entity: restored.entity,
            missing_relations: restored.lost,
        },
    ))
}
