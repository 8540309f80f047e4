//! The few shapes that answers share.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub(super) use axum::Json;

/// An answer that says nothing but yes.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Done {
    /// Always `true`.
    pub(super) ok: bool,
}

impl Done {
    pub(super) const OK: Json<Self> = Json(Self { ok: true });
}

/// A JSON answer with a status of its own.
pub(super) struct Created<T>(pub(super) bool, pub(super) T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let status = if self.0 {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        (status, Json(self.1)).into_response()
    }
}
