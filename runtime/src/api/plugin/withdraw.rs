//! Taking power away from versions of a plugin.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::VersionReply;
use super::review::bounded;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, JsonBody};
use crate::api::reply::Json;
use crate::app::App;
use crate::model::{PluginName, UnderWay};

/// Why a version is not to run any more.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Revocation {
    /// One sentence for the audit log.
    #[serde(default)]
    reason: String,
    /// What becomes of calls that are under way.
    #[serde(default)]
    running: UnderWay,
}

/// Which version is to serve again, and why.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct RollBack {
    /// The version; absent: the latest before the active one that was approved and is not revoked.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    version: Option<semver::Version>,
    /// The active version that was seen; where another one is active by now, nothing changes.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    from: Option<semver::Version>,
    /// One sentence for the audit log.
    #[serde(default)]
    reason: String,
}

/// Why everything is to stop.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Stopping {
    /// One sentence for the audit log.
    #[serde(default)]
    reason: String,
}

/// What was ended.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct StoppedReply {
    /// Always `true`.
    ok: bool,
    /// Calls of plugins that were under way.
    ended: usize,
}

/// Forbid a version that was approved.
///
/// No run of it begins any more: queued ones, and those of actions that pin it, fail as `plugin_revoked`.
#[utoipa::path(
    post, path = "/v1/plugins/{name}/versions/{version}/revoke", tag = "plugins",
    security(("bearer" = ["plugins:review"])),
    params(
        ("name" = String, Path, description = "Name of the plugin"),
        ("version" = String, Path, description = "Its version"),
    ),
    request_body = Revocation, responses((status = 200, body = VersionReply)),
)]
pub(in crate::api) async fn revoke_version(
    State(app): State<App>,
    caller: Caller,
    InPath((name, version)): InPath<(PluginName, semver::Version)>,
    JsonBody(revocation): JsonBody<Revocation>,
) -> Result<Json<VersionReply>, ApiError> {
    let reason = bounded(&revocation.reason)?;
    let version = app
        .plugins
        .revoke(&caller, &name, &version, reason, revocation.running)
        .await?;
    Ok(Json(VersionReply::of(version)))
}

/// Let an earlier version serve again, with what it was granted then; 409 if another version is active than was seen.
///
/// The actions and blueprints that its package ships are put in place again.
#[utoipa::path(
    post, path = "/v1/plugins/{name}/rollback", tag = "plugins", security(("bearer" = ["plugins:review"])),
    params(("name" = String, Path, description = "Name of the plugin")),
    request_body = RollBack, responses((status = 200, body = VersionReply)),
)]
pub(in crate::api) async fn roll_back_plugin(
    State(app): State<App>,
    caller: Caller,
    InPath(name): InPath<PluginName>,
    JsonBody(wanted): JsonBody<RollBack>,
) -> Result<Json<VersionReply>, ApiError> {
    let reason = bounded(&wanted.reason)?;
    let version = app
        .roll_back_plugin(
            &caller,
            &name,
            wanted.version.as_ref(),
            wanted.from.as_ref(),
            reason,
        )
        .await?;
    Ok(Json(VersionReply::of(version)))
}

/// End every call of every plugin that is under way, at once; their runs fail as `stopped`.
///
/// Runs that begin later are carried out as ever: what is to begin no more has to be revoked.
#[utoipa::path(
    post, path = "/v1/plugins/stop", tag = "plugins", security(("bearer" = ["plugins:review"])),
    request_body = Stopping, responses((status = 200, body = StoppedReply)),
)]
pub(in crate::api) async fn stop_plugins(
    State(app): State<App>,
    caller: Caller,
    JsonBody(stopping): JsonBody<Stopping>,
) -> Result<Json<StoppedReply>, ApiError> {
    let reason = bounded(&stopping.reason)?;
    let ended = app.plugins.stop_all(&caller, reason).await?;
    Ok(Json(StoppedReply { ok: true, ended }))
}
