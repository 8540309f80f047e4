//! What a plugin version may do, and who decides.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::VersionReply;
use super::usage::DAYS;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, JsonBody};
use crate::api::reply::Json;
use crate::app::App;
use crate::model::{Approval, CapabilityReport, PluginName, Timestamp, Violation};

/// Longest reason of a decision, in bytes.
const LONGEST_REASON: usize = 2_000;

/// What a version asks for and may do.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct CapabilitiesReply {
    /// Always `true`.
    ok: bool,
    /// Everything that a reviewer has to know.
    #[serde(flatten)]
    report: CapabilityReport,
}

/// Why a version is not to run.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Rejection {
    /// One sentence for the audit log.
    #[serde(default)]
    reason: String,
}

/// Read what a version asks for, what it was granted and what its component imports.
#[utoipa::path(
    get, path = "/v1/plugins/{name}/versions/{version}/capabilities", tag = "plugins",
    security(("bearer" = ["plugins:read"])),
    params(
        ("name" = String, Path, description = "Name of the plugin"),
        ("version" = String, Path, description = "Its version"),
    ),
    responses((status = 200, body = CapabilitiesReply)),
)]
pub(in crate::api) async fn find_capabilities(
    State(app): State<App>,
    InPath((name, version)): InPath<(PluginName, semver::Version)>,
) -> Result<Json<CapabilitiesReply>, ApiError> {
    let mut report = app.plugins.find_report(&name, &version).await?;
    let used = app
        .plugins
        .find_usage(&name, Some(&version), DAYS, Timestamp::now());
    report.findings.extend(used.await?.findings);
    Ok(Json(CapabilitiesReply { ok: true, report }))
}

/// Let a version run, with what is granted; 409 if anything changed since it was read.
///
/// The actions and blueprints that the package ships are put in place.
#[utoipa::path(
    post, path = "/v1/plugins/{name}/versions/{version}/approve", tag = "plugins",
    security(("bearer" = ["plugins:review"])),
    params(
        ("name" = String, Path, description = "Name of the plugin"),
        ("version" = String, Path, description = "Its version"),
    ),
    request_body = Approval, responses((status = 200, body = VersionReply)),
)]
pub(in crate::api) async fn approve_version(
    State(app): State<App>,
    caller: Caller,
    InPath((name, version)): InPath<(PluginName, semver::Version)>,
    JsonBody(approval): JsonBody<Approval>,
) -> Result<Json<VersionReply>, ApiError> {
    let version = app
        .approve_plugin(&caller, &name, &version, approval)
        .await?;
    Ok(Json(VersionReply::of(version)))
}

/// Refuse a pending version.
#[utoipa::path(
    post, path = "/v1/plugins/{name}/versions/{version}/reject", tag = "plugins",
    security(("bearer" = ["plugins:review"])),
    params(
        ("name" = String, Path, description = "Name of the plugin"),
        ("version" = String, Path, description = "Its version"),
    ),
    request_body = Rejection, responses((status = 200, body = VersionReply)),
)]
pub(in crate::api) async fn reject_version(
    State(app): State<App>,
    caller: Caller,
    InPath((name, version)): InPath<(PluginName, semver::Version)>,
    JsonBody(rejection): JsonBody<Rejection>,
) -> Result<Json<VersionReply>, ApiError> {
    let version = app
        .plugins
        .reject(&caller, &name, &version, bounded(&rejection.reason)?)
        .await?;
    Ok(Json(VersionReply::of(version)))
}

/// A reason is for people to read, and stays in the audit log for ever.
pub(super) fn bounded(reason: &str) -> Result<&str, ApiError> {
    if reason.len() <= LONGEST_REASON {
        return Ok(reason);
    }
    let message = format!(
        "it has {} bytes; use at most {LONGEST_REASON}",
        reason.len()
    );
    Err(ApiError::invalid(
        "the body",
        vec![Violation::new("/reason", "maxLength", message)],
    ))
}
