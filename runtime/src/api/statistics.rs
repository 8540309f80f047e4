//! How runs went.

use axum::extract::State;
use serde::Serialize;

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, Params};
use super::reply::Json;
use crate::app::App;
use crate::model::{ActionId, ActionStatistics};

/// How the runs of all actions went.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AllStatisticsReply {
    /// Always `true`.
    ok: bool,
    /// By the name of the action; those alone that have anything to tell.
    statistics: Vec<ActionStatistics>,
}

/// How the runs of one action went.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct StatisticsReply {
    /// Always `true`.
    ok: bool,
    /// As far as its runs are kept.
    statistics: ActionStatistics,
}

/// How the runs of each action went that ended within a span of time.
#[utoipa::path(
    get, path = "/v1/actions/statistics", tag = "actions", security(("bearer" = ["runs:read-all"])),
    params(
        ("from" = Option<String>, Query, description = "Runs that ended then or later; 30 days before `to` where absent"),
        ("to" = Option<String>, Query, description = "Runs that ended earlier; now where absent"),
    ),
    responses((status = 200, body = AllStatisticsReply)),
)]
pub(super) async fn list_statistics(
    State(app): State<App>,
    _: Caller,
    params: Params,
) -> Result<Json<AllStatisticsReply>, ApiError> {
    let (from, to) = (params.parsed("from")?, params.parsed("to")?);
    let statistics = app.actions.statistics(None, from, to).await?;
    Ok(Json(AllStatisticsReply {
        ok: true,
        statistics,
    }))
}

/// How the runs of one action went that ended within a span of time.
#[utoipa::path(
    get, path = "/v1/actions/{action}/statistics", tag = "actions", security(("bearer" = ["runs:read-all"])),
    params(
        ("action" = String, Path, description = "Identifier of the action"),
        ("from" = Option<String>, Query, description = "Runs that ended then or later; 30 days before `to` where absent"),
        ("to" = Option<String>, Query, description = "Runs that ended earlier; now where absent"),
    ),
    responses((status = 200, body = StatisticsReply)),
)]
pub(super) async fn find_statistics(
    State(app): State<App>,
    _: Caller,
    InPath(action): InPath<ActionId>,
    params: Params,
) -> Result<Json<StatisticsReply>, ApiError> {
    let (from, to) = (params.parsed("from")?, params.parsed("to")?);
    let found = app
        .actions
        .statistics(Some(action.clone()), from, to)
        .await?;
    let statistics = found.into_iter().find(|of| of.action == action.as_str());
    let statistics = statistics.ok_or_else(ApiError::unexplained)?;
    if statistics.runs == 0 {
        // One that is gone is known by its runs alone.
        app.actions.find(&action).await?;
    }
    Ok(Json(StatisticsReply {
        ok: true,
        statistics,
    }))
}
