//! Secrets: what plugins use without seeing it. They go in here, and never come out again.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, JsonBody, Params};
use super::reply::{Created, Done, Json};
use crate::app::App;
use crate::model::{SecretMark, SecretName, SecretUsage, SecretValue};

/// What a secret is to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSecret {
    /// The text, 8 bytes to 64 KiB. Nobody can read it again.
    #[schema(value_type = String, min_length = 8, max_length = 65536, write_only)]
    value: SecretValue,
}

/// One secret, without what it is.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SecretReply {
    /// Always `true`.
    ok: bool,
    /// The secret.
    secret: SecretMark,
}

/// All secrets, without what they are.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SecretsReply {
    /// Always `true`.
    ok: bool,
    /// By name.
    secrets: Vec<SecretUsage>,
}

/// List the secrets by name, each with the versions of plugins that are granted it.
#[utoipa::path(
    get, path = "/v1/secrets", tag = "plugins", security(("bearer" = ["secrets:manage"])),
    responses((status = 200, body = SecretsReply)),
)]
pub(super) async fn list_secrets(State(app): State<App>) -> Result<Json<SecretsReply>, ApiError> {
    Ok(Json(SecretsReply {
        ok: true,
        secrets: app.secrets.list().await?,
    }))
}

/// Set a secret, or give it another value; that holds from the next request of a plugin on.
#[utoipa::path(
    put, path = "/v1/secrets/{name}", tag = "plugins", security(("bearer" = ["secrets:manage"])),
    params(("name" = String, Path, description = "Letters, digits, - and _")),
    request_body = NewSecret,
    responses((status = 200, body = SecretReply), (status = 201, body = SecretReply)),
)]
pub(super) async fn put_secret(
    State(app): State<App>,
    caller: Caller,
    InPath(name): InPath<SecretName>,
    JsonBody(body): JsonBody<NewSecret>,
) -> Result<Created<SecretReply>, ApiError> {
    let (secret, is_new) = app.secrets.set(&caller, name, body.value).await?;
    Ok(Created(is_new, SecretReply { ok: true, secret }))
}

/// Delete a secret. One that a version of a plugin is granted is refused with 409, unless `force` is set.
#[utoipa::path(
    delete, path = "/v1/secrets/{name}", tag = "plugins", security(("bearer" = ["secrets:manage"])),
    params(
        ("name" = String, Path, description = "Letters, digits, - and _"),
        ("force" = Option<bool>, Query, description = "Also where it is used; what asks for it then is denied"),
    ),
    responses((status = 200, body = Done)),
)]
pub(super) async fn delete_secret(
    State(app): State<App>,
    caller: Caller,
    InPath(name): InPath<SecretName>,
    params: Params,
) -> Result<Json<Done>, ApiError> {
    let force = params.switch("force");
    app.secrets.delete(&caller, name, force).await?;
    Ok(Done::OK)
}
