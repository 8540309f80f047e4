//! What a version used of what it was granted.

use axum::extract::State;
use serde::Serialize;

use crate::api::error::ApiError;
use crate::api::extract::{InPath, Params};
use crate::api::reply::Json;
use crate::app::App;
use crate::model::{PluginName, Timestamp, UsageReport};

/// After how many days without use a line is found to be unused, where nobody says.
pub(super) const DAYS: u32 = 90;

/// Longer than any portal remembers.
const MOST_DAYS: u32 = 3_650;

/// Used against granted.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct UsageReply {
    /// Always `true`.
    ok: bool,
    /// The version, line by line.
    usage: UsageReport,
}

/// Read how often each granted line of a version was used, what was denied, and a narrower grant that would have done.
///
/// Runs are counted when they end. A line that was not used for `days` is a finding, once the version has been active
/// that long and ran in that time.
#[utoipa::path(
    get, path = "/v1/plugins/{name}/usage", tag = "plugins", security(("bearer" = ["plugins:read"])),
    params(
        ("name" = String, Path, description = "Name of the plugin"),
        ("version" = Option<String>, Query, description = "The version; absent: the active one"),
        ("days" = Option<u32>, Query, description = "After how many days without use a line is found, 1 to 3650; absent: 90"),
    ),
    responses((status = 200, body = UsageReply)),
)]
pub(in crate::api) async fn find_usage(
    State(app): State<App>,
    InPath(name): InPath<PluginName>,
    params: Params,
) -> Result<Json<UsageReply>, ApiError> {
    let version = params.parsed::<semver::Version>("version")?;
    let days = params.parsed::<u32>("days")?.unwrap_or(DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        let message = format!("use 1 to {MOST_DAYS}");
        return Err(ApiError::bad_parameter("days", message));
    }
    let found = app
        .plugins
        .find_usage(&name, version.as_ref(), days, Timestamp::now());
    Ok(Json(UsageReply {
        ok: true,
        usage: found.await?,
    }))
}
