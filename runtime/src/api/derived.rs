//! Derived values: what is still to be made, and the short wait of writes for what follows from them.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use serde::Serialize;

use super::auth::Caller;
use super::error::ApiError;
use super::openapi::Right;
use super::reply::Json;
use super::state::Door;
use crate::app::App;
use crate::catalog::DerivedState;
use crate::model::Permission;

/// Routes below these change what is derived.
const CATALOG: [&str; 3] = ["/v1/blueprints", "/v1/entities", "/v1/catalog"];

/// What is still to be derived.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct DerivedReply {
    /// Always `true`.
    ok: bool,
    /// What is still to be derived, and what could not be.
    #[serde(flatten)]
    state: DerivedState,
}

/// Show what is still to be derived, and which derived values could not be made and why.
#[utoipa::path(
    get, path = "/v1/catalog/derived-queue", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    responses((status = 200, body = DerivedReply)),
)]
pub(super) async fn find_derived_queue(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<DerivedReply>, ApiError> {
    let state = app.catalog.deriver().state(&caller).await?;
    Ok(Json(DerivedReply { ok: true, state }))
}

/// Holds the answer to a write back, for a second at most, until what follows from it is derived: whoever then reads,
/// reads what is right.
pub(super) async fn settle(
    State(app): State<App>,
    State(door): State<Arc<Door>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let path = path.as_ref().map_or("", MatchedPath::as_str);
    // By its right, not by its method: a search is a POST, too.
    let right = door.rights.find(path, request.method());
    let writes = matches!(right, Ok(Right::Needs(Permission::WriteCatalog)))
        && CATALOG.iter().any(|prefix| path.starts_with(prefix));
    // A changed definition concerns all entities; of a small catalog they are done at once.
    let background = !path.contains("/entities");
    let response = next.run(request).await;
    if writes
        && response.status().is_success()
        && let Err(error) = app.catalog.deriver().settle(background).await
    {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a write could not wait for what follows from it"
        );
    }
    response
}
