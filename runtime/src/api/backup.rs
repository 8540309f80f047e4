//! Backups.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

use super::auth::Caller;
use super::error::ApiError;
use crate::app::{App, BackupError};

/// Take a backup of everything.
///
/// The answer is a tar of `manifest.json`, which names every file with its length and SHA-256, and both databases as
/// they were at one moment. It holds all that the portal holds: the key that signs tokens, the hashes of all secrets,
/// and whatever plugins keep. Keep it as you keep the data folder. Writers go on meanwhile. One is taken at a time; it
/// needs as much free disk as the databases take, until it is sent. Files that plugins wrote are not part of it.
#[utoipa::path(
    post, path = "/v1/backup", tag = "operations", security(("bearer" = ["backups:take"])),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/x-tar"),
        (status = 409, body = super::error::ErrorBody, description = "One is being taken."),
        (status = 507, body = super::error::ErrorBody, description = "The disk is too full."),
    ),
)]
pub(super) async fn take_backup(
    State(app): State<App>,
    caller: Caller,
) -> Result<Response, ApiError> {
    let backup = app.backups.take(&caller).await?;
    let name: String = backup
        .manifest
        .taken_at
        .to_string()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let disposition = format!("attachment; filename=\"goldenpath-{name}.tar\"");
    let chunks = stream::unfold(backup.chunks, |mut chunks| async {
        let chunk = chunks.recv().await?;
        Some((chunk, chunks))
    });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-tar"),
    );
    // Told beforehand, so that a backup that broke off is not taken for a whole one.
    headers.insert(header::CONTENT_LENGTH, backup.size.into());
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

impl From<BackupError> for ApiError {
    fn from(error: BackupError) -> Self {
        let message = error.to_string();
        match error {
            BackupError::Busy => Self::new(StatusCode::CONFLICT, "backup_running", message),
            BackupError::NoSpace { .. } => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "no_space", message)
            }
            BackupError::Store(error) => error.into(),
            error @ BackupError::Io(_) => Self::internal(&error),
        }
    }
}
