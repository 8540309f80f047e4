//! The log lines of a run.

use axum::extract::State;
use serde::Serialize;

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, Params};
use crate::api::reply::Json;
use crate::app::App;
use crate::model::{EventBody, LogLevel, RunId, Timestamp};

/// Events that are read at a time while log lines are picked from them.
const CHUNK: usize = 1_000;

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
    let mut to_skip = params.parsed::<usize>("offset")?.unwrap_or(0);
    let mut after = params.parsed::<u64>("from")?.unwrap_or(0);
    app.actions.find_run(&caller, &id).await?;
    let mut reply = RunLogsReply {
        ok: true,
        run_logs: Vec::new(),
        next: None,
    };
    loop {
        let events = app.actions.list_events(&id, after, CHUNK).await?;
        let last_chunk = events.len() < CHUNK;
        for event in events {
            after = event.sequence;
            let EventBody::Log { level, message } = event.body else {
                continue;
            };
            if to_skip > 0 {
                to_skip -= 1;
                continue;
            }
            if let (true, Some(last)) = (reply.run_logs.len() == limit, reply.run_logs.last()) {
                reply.next = Some(last.id.to_string());
                return Ok(Json(reply));
            }
            reply.run_logs.push(RunLog {
                id: event.sequence,
                created_at: event.at,
                level,
                message,
            });
        }
        if last_chunk {
            return Ok(Json(reply));
        }
    }
}
