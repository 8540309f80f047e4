//! The catalog as documents.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

use super::auth::Caller;
use super::error::{ApiError, ErrorBody};
use super::extract::Params;
use crate::app::{App, StoreError};

/// Export the catalog as documents.
///
/// One consistent snapshot, streamed as lines of JSON: first `{"ok":true}`, then one line per document in the form
/// that an apply takes (`kind` and `value`; blueprints, actions, entities, each by identifier), last
/// `{"end":true,"documents":COUNT}`. Without that line the answer broke off. Entities that the caller may not see are
/// left out; the last line then has `"partial":true` as well. One export is served at a time.
#[utoipa::path(
    get, path = "/v1/catalog/export", tag = "catalog", security(("bearer" = ["catalog:read"])),
    params(("blueprint" = Option<Vec<String>>, Query, description = "Only this blueprint and its entities; may be given several times")),
    responses(
        (status = 200, body = String, content_type = "application/x-ndjson"),
        (status = 404, body = ErrorBody, description = "A blueprint that is asked for does not exist."),
    ),
)]
pub(super) async fn export_documents(
    State(app): State<App>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let scope = params.all("blueprint")?;
    let export = app.export(&caller, scope).await?;
    let parts = stream::unfold(export, async |mut export| {
        let part = export.next().await?;
        Some((Ok::<_, StoreError>(Bytes::from(part)), export))
    });
    let lines = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, lines)], Body::from_stream(parts)).into_response())
}
