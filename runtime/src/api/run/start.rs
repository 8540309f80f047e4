//! Starting a run, and waiting a little for its end.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::RunReply;
use super::control::location;
use super::view::Views;
use crate::action::Explanation;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, JsonBody, Params};
use crate::api::reply::Json;
use crate::app::App;
use crate::model::{ActionId, Actor, EntityId, Run, StartKey};

/// Longest time that a client can have us wait for a run's end.
const LONGEST_WAIT: u64 = 60;

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
pub(super) const TRUE: HeaderValue = HeaderValue::from_static("true");
static PREFER: HeaderName = HeaderName::from_static("prefer");
static PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What the action is to be started with.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::api) struct NewRun {
    /// The inputs.
    #[serde(default)]
    #[schema(value_type = Object)]
    properties: Map<String, Value>,
    /// Identifier of the entity to work on.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    entity: Option<EntityId>,
}

/// What a start came to, or would come to.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(in crate::api) enum StartReply {
    /// The run, which has ended.
    Run(Box<RunReply>),
    /// With `explain`: nothing was started.
    Explained {
        /// Always `true`.
        ok: bool,
        /// What would come of it.
        explanation: Explanation,
    },
}

/// Start an action: the run is on disk when the answer is sent.
///
/// With `explain=true` nothing is started, and the answer is 200 with every rule that a start is held against: whether
/// it lets it pass, and why.
///
/// With an `Idempotency-Key` (1 to 255 visible characters of ASCII) the same request, sent again within 24 hours by the same
/// user or app, answers the run that the first one started, as it is by then, with `Idempotency-Replayed: true`. Another
/// request with the same key for the same action is 409.
///
/// Where as many runs wait as may (the setting `queue-limit`; half of it for one person) the answer is 429 `queue_full` with
/// `Retry-After`, and nothing was started.
///
/// With `Prefer: wait=SECONDS` (at most 60) the answer waits for the run's end and is 200 then, whether it ended well or
/// badly; 202 where it has not ended by then.
#[utoipa::path(
    post, path = "/v1/actions/{action}/runs", tag = "actions", security(("bearer" = ["actions:run"])),
    params(
        ("action" = String, Path, description = "Identifier of the action"),
        ("explain" = Option<bool>, Query, description = "Start nothing, and tell what would come of it"),
        ("Idempotency-Key" = Option<String>, Header, description = "Starts one run, however often it is sent"),
        ("Prefer" = Option<String>, Header, description = "`wait=SECONDS`"),
    ),
    request_body = NewRun,
    responses((status = 202, body = RunReply), (status = 200, body = StartReply)),
)]
pub(in crate::api) async fn start_run(
    State(app): State<App>,
    caller: Caller,
    InPath(action): InPath<ActionId>,
    headers: HeaderMap,
    params: Params,
    JsonBody(new): JsonBody<NewRun>,
) -> Result<Response, ApiError> {
    if params.switch("explain") {
        let explanation = app
            .actions
            .explain(&caller, &action, new.properties, new.entity)
            .await?;
        let ok = true;
        return Ok(Json(StartReply::Explained { ok, explanation }).into_response());
    }
    let wait = preferred_wait(&headers);
    let key = idempotency_key(&headers, |text| {
        StartKey::of_start(text, &new.properties, new.entity.as_ref())
    })?;
    let (properties, entity) = (new.properties, new.entity);
    let (mut run, was_asked) = match key {
        Some(key) => {
            let started = app
                .actions
                .start_once(&caller, &action, properties, entity, key);
            started.await?
        }
        None => {
            let started = app.actions.start(&caller, &action, properties, entity);
            (started.await?, false)
        }
    };
    let location = location(&run);
    if let Some(seconds) = wait {
        run = wait_for_end(&app, &caller, run, Duration::from_secs(seconds)).await?;
    }
    let ended = wait.is_some() && run.state.is_terminal();
    let status = if ended {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let run = Views::new(&app, &caller).show(run).await?;
    let mut response = (
        status,
        Json(StartReply::Run(Box::new(RunReply { ok: true, run }))),
    )
        .into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if was_asked {
        response.headers_mut().insert(REPLAYED.clone(), TRUE);
    }
    if let Some(applied) = wait.and_then(|wait| HeaderValue::try_from(format!("wait={wait}")).ok())
    {
        response
            .headers_mut()
            .insert(PREFERENCE_APPLIED.clone(), applied);
    }
    Ok(response)
}

/// The key of a request, where it has one.
pub(super) fn idempotency_key(
    headers: &HeaderMap,
    make: impl FnOnce(&str) -> Option<StartKey>,
) -> Result<Option<StartKey>, ApiError> {
    let mut all = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = all.next() else {
        return Ok(None);
    };
    let key = value.to_str().ok().filter(|_| all.next().is_none());
    key.and_then(make).map(Some).ok_or_else(|| {
        let message = "this is one key of 1 to 255 visible characters of ASCII, without spaces";
        ApiError::bad_parameter("Idempotency-Key", message)
    })
}

async fn wait_for_end(
    app: &App,
    actor: &Actor,
    mut run: Run,
    longest: Duration,
) -> Result<Run, ApiError> {
    let deadline = Instant::now() + longest;
    let mut seen = 0;
    while !run.state.is_terminal() {
        let Ok(now) = timeout_at(deadline, app.actions.wait_for_change(&run.id, seen)).await else {
            break;
        };
        seen = now;
        run = app.actions.find_run(actor, &run.id).await?;
    }
    Ok(run)
}

/// The seconds of `Prefer: wait=SECONDS`. A preference that makes no sense is one that is not met, says RFC 7240.
fn preferred_wait(headers: &HeaderMap) -> Option<u64> {
    let all = headers
        .get_all(&PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut preferences = all.flat_map(|value| value.split([',', ';'])).map(str::trim);
    let wait = preferences.find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("wait")
            .then(|| value.trim().trim_matches('"'))
    });
    wait?
        .parse()
        .ok()
        .map(|seconds: u64| seconds.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_is_found_among_other_preferences_and_bounded() {
        let wait = |value: &'static str| {
            preferred_wait(&HeaderMap::from_iter([(
                PREFER.clone(),
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(wait("wait=10"), Some(10));
        assert_eq!(wait("respond-async, Wait = 5"), Some(5));
        assert_eq!(wait("wait=3600"), Some(60));
        assert_eq!(wait("wait=soon"), None);
        assert_eq!(wait("return=minimal"), None);
        assert_eq!(preferred_wait(&HeaderMap::new()), None);
    }
}
