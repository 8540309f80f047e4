//! What changes from one version of a plugin to another.

use axum::extract::State;
use serde::Serialize;

use crate::api::error::ApiError;
use crate::api::extract::{InPath, Params};
use crate::api::reply::Json;
use crate::app::App;
use crate::model::{PluginName, VersionDiff};

/// What changes.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct DiffReply {
    /// Always `true`.
    ok: bool,
    /// Whether anything does that a reviewer has to know.
    differs: bool,
    /// What.
    diff: VersionDiff,
}

/// Read what changes from one version to another: lines, budgets, endpoints, imports, functions with their schemas, and
/// documents.
#[utoipa::path(
    get, path = "/v1/plugins/{name}/diff", tag = "plugins", security(("bearer" = ["plugins:read"])),
    params(
        ("name" = String, Path, description = "Name of the plugin"),
        ("from" = String, Query, description = "The one version"),
        ("to" = String, Query, description = "The other version"),
    ),
    responses((status = 200, body = DiffReply)),
)]
pub(in crate::api) async fn diff_versions(
    State(app): State<App>,
    InPath(name): InPath<PluginName>,
    params: Params,
) -> Result<Json<DiffReply>, ApiError> {
    let version = |key: &str| {
        let missing = || ApiError::bad_parameter(key, "name a version");
        params.parsed::<semver::Version>(key)?.ok_or_else(missing)
    };
    let diff = app
        .plugins
        .diff_versions(&name, &version("from")?, &version("to")?)
        .await?;
    Ok(Json(DiffReply {
        ok: true,
        differs: !diff.is_empty(),
        diff,
    }))
}
