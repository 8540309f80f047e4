//! Runs: started, listed, read, followed.

pub(super) mod control;
pub(super) mod event;
pub(super) mod feedback;
pub(super) mod log;
pub(super) mod start;
mod view;

use axum::extract::State;
use serde::Serialize;

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, Params};
use super::reply::Json;
use crate::app::App;
use crate::model::{Feedback, RunFilter, RunId};

use view::{RunView, Views, WholeRunView};

/// One run.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RunReply {
    /// Always `true`, also for a run that failed.
    ok: bool,
    /// As it now is.
    run: RunView,
}

/// One run, with what it has done so far.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WholeRunReply {
    /// Always `true`, also for a run that failed.
    ok: bool,
    /// As it now is.
    run: WholeRunView,
    /// What whoever asked for it said of it.
    feedback: Vec<Feedback>,
}

/// Runs.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RunsReply {
    /// Always `true`.
    ok: bool,
    /// Newest first.
    runs: Vec<RunView>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List runs, newest first: one's own, or everybody's with `runs:read-all`.
#[utoipa::path(
    get, path = "/v1/actions/runs", tag = "actions", security(("bearer" = ["actions:run"])),
    params(
        ("action" = Option<String>, Query, description = "Only runs of this action"),
        ("entity" = Option<String>, Query, description = "Only runs on this entity"),
        ("blueprint" = Option<String>, Query, description = "Only runs of this blueprint"),
        ("active" = Option<bool>, Query, description = "Only runs that have not ended, or have"),
        ("user_email" = Option<String>, Query, description = "Only runs that this user or app asked for"),
        ("limit" = Option<u32>, Query, description = "Runs on a page, 1 to 1000; 200 where absent"),
        ("from" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, body = RunsReply)),
)]
pub(super) async fn list_runs(
    State(app): State<App>,
    caller: Caller,
    params: Params,
) -> Result<Json<RunsReply>, ApiError> {
    let limit = params.limit(200, 1_000)?;
    let filter = RunFilter {
        action: params.parsed("action")?,
        entity: params.parsed("entity")?,
        blueprint: params.parsed("blueprint")?,
        created_by: params.text("user_email").map(str::to_owned),
        active: params.tristate("active"),
        before: params.parsed("from")?,
        limit: limit + 1,
    };
    let mut runs = app.actions.list_runs(&caller, filter).await?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next = runs.last().filter(|_| more).map(|run| run.id.to_string());
    let mut views = Views::new(&app, &caller);
    let mut shown = Vec::with_capacity(runs.len());
    for run in runs {
        shown.push(views.show(run).await?);
    }
    Ok(Json(RunsReply {
        ok: true,
        runs: shown,
        next,
    }))
}

/// Read a run, with its steps, and what was said of it.
#[utoipa::path(
    get, path = "/v1/actions/runs/{run}", tag = "actions", security(("bearer" = ["actions:run"])),
    params(("run" = String, Path, description = "Identifier of the run")),
    responses((status = 200, body = WholeRunReply)),
)]
pub(super) async fn find_run(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<RunId>,
) -> Result<Json<WholeRunReply>, ApiError> {
    let run = app.actions.find_run(&caller, &id).await?;
    let steps = app.actions.list_steps(&id).await?;
    let run = WholeRunView {
        run: Views::new(&app, &caller).show(run).await?,
        steps: steps.into_iter().map(Into::into).collect(),
    };
    Ok(Json(WholeRunReply {
        ok: true,
        run,
        feedback: app.actions.list_feedback(&id).await?,
    }))
}
