//! Who is calling, and whether they may: asked before anything of the body is read.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::extract::JsonBody;
use super::host::client_address;
use super::openapi::Right;
use super::quota::Quota;
use super::reply::Json;
use super::state::{ApiState, Door};
use crate::app::App;
use crate::model::Actor;

/// Characters of the name of a program that are kept.
const LONGEST_CLIENT: usize = 300;

/// Whoever calls, already found to have the permission that the contract asks for.
#[derive(Clone)]
pub(super) struct Caller(pub(super) Arc<Actor>);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Absent only where a handler asks for a caller and its contract says that there is none.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(ApiError::unexplained)
    }
}

impl std::ops::Deref for Caller {
    type Target = Actor;

    fn deref(&self) -> &Actor {
        &self.0
    }
}

/// The address that a request comes from.
pub(super) struct ClientAddress(IpAddr);

impl FromRequestParts<ApiState> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ApiState,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self(client_address(
            &state.door.settings,
            &parts.headers,
            &parts.extensions,
        )))
    }
}

/// Holds each request against the contract: the `security` of its operation in the `OpenAPI` document is what is
/// enforced, so the two cannot differ. What the document does not name is refused.
pub(super) async fn authorize(
    State(app): State<App>,
    State(door): State<Arc<Door>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        // No route at all: the fallback says so.
        return Ok(next.run(request).await);
    };
    match door.rights.find(path.as_str(), request.method()) {
        Ok(Right::Public) => Ok(next.run(request).await),
        Ok(Right::Needs(permission)) => {
            let token = bearer(request.headers()).ok_or_else(|| {
                let message =
                    "send `Authorization: Bearer TOKEN`; POST /v1/auth/access_token gives tokens";
                ApiError::unauthorized(message)
            })?;
            let mut actor = app.access.authenticate(token).await?;
            actor.client = client(request.headers());
            let quota = door.requests.take(&actor.name, Instant::now());
            let mut response = match quota {
                Some(Err(quota)) => {
                    ApiError::too_many_requests(quota.reset_seconds()).into_response()
                }
                _ if !actor.may(permission) => {
                    ApiError::forbidden(actor.role, permission).into_response()
                }
                _ => {
                    request.extensions_mut().insert(Caller(Arc::new(actor)));
                    next.run(request).await
                }
            };
            if let Some(Ok(quota) | Err(quota)) = quota {
                quota.write(response.headers_mut());
            }
            Ok(response)
        }
        Err(allowed) => {
            let message = format!("`{}` is not allowed here; use {allowed}", request.method());
            let refusal = ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                message,
            );
            Err(match HeaderValue::try_from(allowed) {
                Ok(allowed) => refusal.with_header(header::ALLOW, allowed),
                Err(_) => refusal,
            })
        }
    }
}

/// The program that calls, by its own words. It chooses them; only their beginning is kept.
fn client(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?.trim();
    (!text.is_empty()).then(|| text.chars().take(LONGEST_CLIENT).collect())
}

/// The token of an `Authorization: Bearer` header.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A credential.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Login {
    /// Its public half.
    client_id: String,
    /// Its secret half.
    client_secret: String,
}

/// A token for the `Authorization` header.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenReply {
    /// Always `true`.
    ok: bool,
    /// The token, a signed JWT.
    access_token: String,
    /// Seconds from now.
    expires_in: u64,
    /// Always `Bearer`.
    #[schema(value_type = String)]
    token_type: &'static str,
}

/// Get a token for a credential.
///
/// Ten failed logins from one address within 15 minutes close the door for that address until they are over; the
/// `x-ratelimit-…` headers of the answer say how many are left, and for how many seconds.
#[utoipa::path(
    post, path = "/v1/auth/access_token", tag = "access", security(()),
    request_body = Login,
    responses((status = 200, body = TokenReply)),
)]
pub(super) async fn create_access_token(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    JsonBody(login): JsonBody<Login>,
) -> Response {
    let issued = app
        .access
        .issue_token(&login.client_id, &login.client_secret, address)
        .await;
    let mut response = match issued {
        Ok(token) => Json(TokenReply {
            ok: true,
            access_token: token.token,
            expires_in: token.expires_in_seconds,
            token_type: "Bearer",
        })
        .into_response(),
        Err(error) => ApiError::from(error).into_response(),
    };
    Quota::from(app.access.login_quota(address)).write(response.headers_mut());
    response
}
