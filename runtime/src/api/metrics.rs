//! What is measured, for Prometheus: behind a token of its own, or on a listener that only this machine reaches.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::auth::bearer;
use super::error::ApiError;
use super::host::Hosts;
use super::state::{ApiSettings, Door};
use crate::app::App;
use crate::model::Digest;

/// The format that Prometheus asks for first.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Read what is measured, as `OpenMetrics` text.
///
/// It asks for the token of the setting `metrics-token`, which is good for nothing else; tokens of users and apps are not
/// taken. 404 where that is not set. The setting `metrics-listen` gives the same, without a token, on a loopback address of
/// its own.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", security(()),
    params(("Authorization" = Option<String>, Header, description = "`Bearer TOKEN`, with the token of the setting")),
    responses(
        (status = 200, body = String, content_type = "application/openmetrics-text"),
        (status = 401, body = super::error::ErrorBody, description = "It is another token, or there is none."),
        (status = 404, body = super::error::ErrorBody, description = "No token is set."),
    ),
)]
pub(super) async fn find_metrics(
    State(app): State<App>,
    State(door): State<Arc<Door>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Some(wanted) = door.settings.metrics_token else {
        let message = "metrics are not shown here; the setting `metrics-token` or `metrics-listen` shows them";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "metrics_off", message));
    };
    // What is compared are hashes: how long it takes says nothing of the token.
    let given = bearer(&headers).map(|token| Digest::of(token.as_bytes()));
    if given != Some(wanted) {
        let message =
            "send `Authorization: Bearer TOKEN` with the token of the setting `metrics-token`";
        return Err(ApiError::unauthorized(message));
    }
    write(&app).await
}

/// The door for whoever collects on this machine: metrics and nothing else.
pub fn metrics_router(app: App, listen: SocketAddr) -> Router {
    // A page in a browser here reaches the address under a name of its own; such requests are refused.
    let hosts = Arc::new(Hosts::new(&ApiSettings {
        listen: Some(listen),
        ..ApiSettings::default()
    }));
    let answer = move |uri: Uri, headers: HeaderMap| async move {
        if hosts.allow(&uri, &headers) != Some(true) {
            let message = "this listener goes by its address only";
            return Err(ApiError::new(
                StatusCode::MISDIRECTED_REQUEST,
                "unknown_host",
                message,
            ));
        }
        write(&app).await
    };
    Router::new().route("/metrics", get(answer))
}

async fn write(app: &App) -> Result<Response, ApiError> {
    let text = app
        .metrics
        .scrape()
        .await
        .map_err(|error| ApiError::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}
