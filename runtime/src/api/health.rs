//! Whether the portal lives, and which versions it is made of.

use serde::Serialize;

use super::reply::Json;
use crate::app::{FORMATS, Formats};
use crate::plugin::SANDBOX_VERSION;

/// The portal lives.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HealthReply {
    /// Always `true`.
    ok: bool,
    /// What it is made of.
    versions: Versions,
}

/// What the portal is made of.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Versions {
    /// The portal itself.
    #[schema(value_type = String)]
    goldenpath: &'static str,
    /// The sandbox.
    #[schema(value_type = String)]
    wasmtime: &'static str,
    /// Formats of the data folder.
    formats: Formats,
}

/// Whether the portal lives, and what it is made of.
#[utoipa::path(
    get, path = "/health", tag = "operations", security(()),
    responses((status = 200, body = HealthReply)),
)]
pub(super) async fn find_health() -> Json<HealthReply> {
    let versions = Versions {
        goldenpath: env!("CARGO_PKG_VERSION"),
        wasmtime: SANDBOX_VERSION,
        formats: FORMATS,
    };
    Json(HealthReply { ok: true, versions })
}
