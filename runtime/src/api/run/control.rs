//! Cancelling a run, starting it once more, saying what became of it.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RunReply;
use super::start::{REPLAYED, TRUE, idempotency_key};
use super::view::{RunView, Views};
use crate::action::Resolution;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, JsonBody};
use crate::api::reply::Json;
use crate::app::App;
use crate::model::{Run, RunId, RunState, StartKey};

/// What became of a run whose outcome is not known.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Resolve {
    /// What was found when somebody looked.
    outcome: Found,
    /// What came of it, with `done`; `null` where absent.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    output: Option<Value>,
}

/// What was found when somebody looked.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Found {
    /// It had been done: the run succeeded.
    Done,
    /// It had not been done: another run does it, this one failed.
    Retry,
    /// It is not to be done any more: the run failed.
    Abandon,
}

/// A run that was resolved.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ResolveReply {
    /// Always `true`.
    ok: bool,
    /// As it now is.
    run: RunView,
    /// The run that does it once more, with `retry`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<RunView>,
}

/// Cancel a run: one's own, or anybody's with `runs:manage`.
///
/// 200 where it waited and has ended with this; 202 where a plugin is at work, which is ended within moments.
#[utoipa::path(
    post, path = "/v1/actions/runs/{run}/cancel", tag = "actions", security(("bearer" = ["actions:run"])),
    params(("run" = String, Path, description = "Identifier of the run")),
    responses((status = 200, body = RunReply), (status = 202, body = RunReply)),
)]
pub(in crate::api) async fn cancel_run(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<RunId>,
) -> Result<Response, ApiError> {
    let run = app.actions.cancel_run(&caller, &id).await?;
    let status = if run.state == RunState::Running {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let run = Views::new(&app, &caller).show(run).await?;
    Ok((status, Json(RunReply { ok: true, run })).into_response())
}

/// Start a run once more that ended badly: a new run with the same inputs, of the action as it is now.
#[utoipa::path(
    post, path = "/v1/actions/runs/{run}/retry", tag = "actions", security(("bearer" = ["actions:run"])),
    params(
        ("run" = String, Path, description = "Identifier of the run"),
        ("Idempotency-Key" = Option<String>, Header, description = "Starts one run, however often it is sent"),
    ),
    responses((status = 202, body = RunReply)),
)]
pub(in crate::api) async fn retry_run(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<RunId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = idempotency_key(&headers, |text| StartKey::of_retry(text, &id))?;
    let (run, was_asked) = match key {
        Some(key) => app.actions.retry_run_once(&caller, &id, key).await?,
        None => (app.actions.retry_run(&caller, &id).await?, false),
    };
    let location = location(&run);
    let run = Views::new(&app, &caller).show(run).await?;
    let mut response = (StatusCode::ACCEPTED, Json(RunReply { ok: true, run })).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if was_asked {
        response.headers_mut().insert(REPLAYED.clone(), TRUE);
    }
    Ok(response)
}

/// Say what became of a run that is `outcome_unknown`, after having looked.
#[utoipa::path(
    post, path = "/v1/actions/runs/{run}/resolve", tag = "actions", security(("bearer" = ["actions:run"])),
    params(("run" = String, Path, description = "Identifier of the run")),
    request_body = Resolve,
    responses((status = 200, body = ResolveReply)),
)]
pub(in crate::api) async fn resolve_run(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<RunId>,
    JsonBody(resolve): JsonBody<Resolve>,
) -> Result<Json<ResolveReply>, ApiError> {
    let resolution = match resolve.outcome {
        Found::Done => Resolution::Done(resolve.output.unwrap_or(Value::Null)),
        Found::Retry => Resolution::Retry,
        Found::Abandon => Resolution::Abandon,
    };
    let (run, again) = app.actions.resolve_run(&caller, &id, resolution).await?;
    let mut views = Views::new(&app, &caller);
    let retry = match again {
        Some(again) => Some(views.show(again).await?),
        None => None,
    };
    Ok(Json(ResolveReply {
        ok: true,
        run: views.show(run).await?,
        retry,
    }))
}

/// Where a run is read.
pub(super) fn location(run: &Run) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("/v1/actions/runs/{}", run.id)).ok()
}
