//! The log lines of a run.

use axum::extract::State;
use serde::Serialize;

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, Params};
use crate::api::reply::Json;
use crate::app::App;
use crate::model::{EventBody, LogLevel, RunId, Timestamp};

/// One line of the log.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct RunLog {
    /// The line's sequence within the run.
    id: u64,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// How much it matters.
    level: LogLevel,
    /// The line.
    message: String,
}

/// Lines of a run's log.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct RunLogsReply {
    /// Always `true`.
    ok: bool,
    /// Oldest first.
    run_logs: Vec<RunLog>,
    /// The `from` of the next page; absent where there is no more yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Read the log of a run, oldest line first.
#[utoipa::path(
    get, path = "/v1/actions/runs/{run}/logs", tag = "actions", security(("bearer" = ["actions:run"])),
    params(
        ("run" = String, Path, description = "Identifier of the run"),
        ("limit" = Option<u32>, Query, description = "Lines on a page, 1 to 1000; 200 where absent"),
        ("offset" = Option<u32>, Query, description = "Lines to pass over"),
        ("from" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, body = RunLogsReply)),
)]
pub(in crate::api) async fn list_run_logs(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<RunId>,
    params: Params,
) -> Result<Json<RunLogsReply>, ApiError> {
    let limit = params.limit(200, 1_000)?;
    let offset = match params.parsed::<usize>("from")? {
        Some(from) => from,
        None => params.parsed("offset")?.unwrap_or(0),
    };
    app.actions.find_run(&caller, &id).await?;
    let lines = app.actions.list_logs(&id, offset, limit).await?;
    let next = (lines.len() == limit).then(|| (offset + limit).to_string());
    let run_logs = lines.into_iter().filter_map(|event| match event.body {
        EventBody::Log { level, message } => Some(RunLog {
            id: event.sequence,
            created_at: event.at,
            level,
            message,
        }),
        _ => None,
    });
    Ok(Json(RunLogsReply {
        ok: true,
        run_logs: run_logs.collect(),
        next,
    }))
}
