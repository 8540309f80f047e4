//! What every request passes first and every answer last: trace id, host check, time limit, safe headers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tracing::{Instrument as _, Span, field};

use super::error::ApiError;
use super::linger::linger;
use super::state::Door;
use crate::app::App;
use crate::trace::{self, TraceParent};

static X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Sent with every answer. The pages of `/docs` replace the policy by one that allows their own style sheet.
static SAFE_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
];

tokio::task_local! {
    static TRACE_ID: HeaderValue;
}

/// The id of the request that the current task answers.
pub(super) fn trace_id() -> String {
    let known = TRACE_ID.try_with(|id| id.to_str().unwrap_or_default().to_owned());
    known.unwrap_or_default()
}

/// The outermost layer.
pub(super) async fn guard(
    State(app): State<App>,
    State(door): State<Arc<Door>>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!(
        "request",
        trace.id = field::Empty,
        otel.kind = "server",
        http.method = %request.method(),
        // The template, not the path: identifiers of entities do not belong into the log's index.
        http.route = route.as_ref().map_or("", MatchedPath::as_str),
        http.status = field::Empty,
    );
    let id = begin_trace(&span, request.headers());
    span.record("trace.id", field::debug(&id));
    let answered = span.clone();
    let answer = async {
        let mut response = answer(&door, request, next).await;
        answered.record("http.status", response.status().as_u16());
        tracing::debug!("answered");
        let headers = response.headers_mut();
        for (name, value) in &SAFE_HEADERS {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        if door
            .settings
            .public_url
            .as_deref()
            .is_some_and(|url| url.starts_with("https://"))
        {
            let year = HeaderValue::from_static("max-age=31536000");
            headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
        }
        response
    };
    let mut response = TRACE_ID.scope(id.clone(), answer).instrument(span).await;
    response.headers_mut().insert(X_TRACE_ID.clone(), id);
    app.metrics.http.answered(
        method.as_str(),
        route.as_ref().map(MatchedPath::as_str),
        response.status().as_u16(),
        began.elapsed(),
    );
    response
}

async fn answer(door: &Door, request: Request, next: Next) -> Response {
    match door.hosts.allow(request.uri(), request.headers()) {
        Some(true) => {}
        Some(false) => {
            let message = "this server does not go by that name; set --public-url to the name that clients use";
            return ApiError::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", message)
                .into_response();
        }
        None => {
            let message = "the request names no host, or several, in its `Host` header";
            return ApiError::new(StatusCode::BAD_REQUEST, "invalid_host", message).into_response();
        }
    }
    let work = AssertUnwindSafe(next.run(linger(request))).catch_unwind();
    match tokio::time::timeout(door.settings.request_time, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            // The panic hook has written message and place already.
            tracing::error!("request panicked");
            ApiError::unexplained().into_response()
        }
        Err(_) => {
            let message = "the request took too long and was given up";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "timed_out", message).into_response()
        }
    }
}

/// Where traces are collected, the request goes on with its client's, and its id is that of the trace. Of several headers
/// none counts.
fn begin_trace(span: &Span, headers: &HeaderMap) -> HeaderValue {
    if !trace::is_collected() {
        return new_trace_id();
    }
    let mut given = headers.get_all(&TRACEPARENT).iter();
    if let (Some(parent), None) = (given.next(), given.next())
        && let Some(parent) = parent.to_str().ok().and_then(TraceParent::parse)
    {
        parent.continue_in(span);
    }
    TraceParent::of(span)
        .and_then(|own| HeaderValue::try_from(own.trace_id()).ok())
        .unwrap_or_else(new_trace_id)
}

/// Unique among all requests of all processes: a random half and a counted one.
fn new_trace_id() -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| getrandom::u64().unwrap_or_default());
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let id = format!(
        "{:016x}{:016x}",
        *PROCESS,
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("0"))
}
