//! The audit log.

use axum::extract::State;
use serde::Serialize;

use super::error::ApiError;
use super::extract::Params;
use super::reply::Json;
use crate::app::App;
use crate::model::AuditRow;

/// Rows of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AuditReply {
    /// Always `true`.
    ok: bool,
    /// Newest first.
    audits: Vec<AuditRow>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Read the audit log, newest first.
#[utoipa::path(
    get, path = "/v1/audit-log", tag = "operations", security(("bearer" = ["plugins:read"])),
    params(
        ("limit" = Option<u32>, Query, description = "Rows on a page, 1 to 1000; 200 where absent"),
        ("from" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, body = AuditReply)),
)]
pub(super) async fn list_audit(
    State(app): State<App>,
    params: Params,
) -> Result<Json<AuditReply>, ApiError> {
    let limit = params.limit(200, 1_000)?;
    let mut audits = app.list_audit(params.parsed("from")?, limit + 1).await?;
    let more = audits.len() > limit;
    audits.truncate(limit);
    let next = audits
        .last()
        .filter(|_| more)
        .map(|row| row.sequence.to_string());
    Ok(Json(AuditReply {
        ok: true,
        audits,
        next,
    }))
}
