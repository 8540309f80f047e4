//! The only place that turns a refusal of a floor below into a status code.

use std::error::Error as StdError;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::edge;
use crate::app::{AccessError, ApproveError, ExportError, StoreError};
use crate::catalog::JsonError;
use crate::model::{IdentError, Permission, Role, Violation};
use crate::plugin::{Distrust, InstallError, ReviewError, SecretError};
use crate::{action, catalog};

/// The body of every answer that is not what was asked for.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ErrorBody {
    /// Always `false`.
    pub(super) ok: bool,
    /// One `snake_case` word that a program can act on.
    pub(super) error: String,
    /// One sentence for a person.
    pub(super) message: String,
    /// Every broken rule, where rules were broken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) details: Vec<Violation>,
}

/// A refusal on its way to the client.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) details: Vec<Violation>,
    /// Boxed: most refusals have none, and every handler's result would carry the room for it.
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
            header: None,
        }
    }

    /// No such thing; the text names it.
    pub(super) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("{what} does not exist"),
        )
    }

    /// Well-formed, but breaks rules.
    pub(super) fn invalid(subject: &str, details: Vec<Violation>) -> Self {
        let mut message = format!("{subject} breaks {} rule(s)", details.len());
        // The first is what most people read; the rest stands in `details`.
        if let Some(first) = details.first() {
            message = format!("{message}: {first}");
        }
        Self {
            details,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", message)
        }
    }

    /// One query parameter or header that makes no sense.
    pub(super) fn bad_parameter(name: &str, message: impl Into<String>) -> Self {
        let message = format!("`{name}`: {}", message.into());
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", message)
    }

    /// Nobody has come in yet.
    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// Whoever came in may not do this.
    pub(super) fn forbidden(role: Role, permission: Permission) -> Self {
        let others = permission
            .roles()
            .map(|role| format!("`{}`", role.as_str()));
        let message = format!(
            "role `{}` does not include `{}` ({}), which these do: {}; ask an administrator",
            role.as_str(),
            permission.as_str(),
            permission.describe(),
            others.collect::<Vec<_>>().join(", ")
        );
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// Our own fault: the whole chain goes to the log once, the client hears where to look.
    pub(super) fn internal(error: &(dyn StdError + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            chain.push_str(": ");
            chain.push_str(&inner.to_string());
            source = inner.source();
        }
        tracing::error!(error = %chain, "request failed");
        Self::unexplained()
    }

    /// As [`Self::internal`], where there is nothing to log.
    pub(super) fn unexplained() -> Self {
        let message = format!(
            "the server failed; its log has the reason under trace id {}",
            edge::trace_id()
        );
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    pub(super) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self {
            header: Some(Box::new((name, value))),
            ..self
        }
    }

    /// More requests than the operator allows one principal.
    pub(super) fn too_many_requests(seconds: u64) -> Self {
        let message =
            format!("you have sent as many requests as you may; send the next in {seconds} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message).retry_after(seconds)
    }

    fn retry_after(self, seconds: u64) -> Self {
        self.with_header(header::RETRY_AFTER, seconds.into())
    }

    /// The body alone, for answers that hold several.
    pub(super) fn into_body(self) -> ErrorBody {
        ErrorBody {
            ok: false,
            error: self.code.to_owned(),
            message: self.message,
            details: self.details,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let (status, extra) = (self.status, self.header.take());
        let mut response = (status, axum::Json(self.into_body())).into_response();
        if let Some((name, value)) = extra.map(|header| *header) {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<IdentError> for ApiError {
    fn from(error: IdentError) -> Self {
        // An identifier that cannot exist does not.
        Self::new(StatusCode::NOT_FOUND, "not_found", error.to_string())
    }
}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_json",
            format!("the body, {error}"),
        )
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Closed => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                "the server is stopping",
            )
            .retry_after(5),
            StoreError::TooLong => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "query_too_expensive",
                "this takes longer than the time that a request has; narrow it",
            ),
            _ => Self::internal(&error),
        }
    }
}

impl From<catalog::Error> for ApiError {
    fn from(error: catalog::Error) -> Self {
        match error {
            catalog::Error::NotFound(what) => Self::not_found(what),
            catalog::Error::Conflict { code, message } => {
                Self::new(StatusCode::CONFLICT, code, message)
            }
            catalog::Error::Invalid {
                subject,
                violations,
            } => Self::invalid(&subject, violations),
            catalog::Error::TooExpensive(message) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "query_too_expensive",
                message,
            ),
            catalog::Error::Forbidden(message) => {
                Self::new(StatusCode::FORBIDDEN, "forbidden", message)
            }
            error @ catalog::Error::Random(_) => Self::internal(&error),
            error @ catalog::Error::NoJq(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()).retry_after(2)
            }
            catalog::Error::Store(error) => error.into(),
        }
    }
}

impl From<action::Error> for ApiError {
    fn from(error: action::Error) -> Self {
        match error {
            action::Error::NotFound(what) => Self::not_found(what),
            action::Error::Conflict { code, message } => {
                Self::new(StatusCode::CONFLICT, code, message)
            }
            action::Error::Invalid {
                subject,
                violations,
            } => Self::invalid(&subject, violations),
            action::Error::Forbidden { message, reasons } => Self {
                details: reasons,
                ..Self::new(StatusCode::FORBIDDEN, "forbidden", message)
            },
            action::Error::QueueFull {
                message,
                retry_after,
            } => Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message)
                .retry_after(retry_after),
            action::Error::Catalog(error) => error.into(),
            error @ action::Error::Random(_) => Self::internal(&error),
            action::Error::Store(error) => error.into(),
        }
    }
}

impl From<ExportError> for ApiError {
    fn from(error: ExportError) -> Self {
        let message = error.to_string();
        match error {
            ExportError::Busy => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_after(10)
            }
            ExportError::Catalog(error) => error.into(),
        }
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        let message = error.to_string();
        match error {
            AccessError::Unauthorized => Self::unauthorized(&message),
            AccessError::TooManyFailures {
                retry_after_seconds,
            } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_failed_logins",
                message,
            )
            .retry_after(retry_after_seconds),
            AccessError::Busy => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_after(2)
            }
            AccessError::Exists(_) => Self::new(StatusCode::CONFLICT, "already_exists", message),
            AccessError::LastAdministrator(_) => {
                Self::new(StatusCode::CONFLICT, "last_administrator", message)
            }
            AccessError::NotFound(what) => Self::not_found(what),
            AccessError::Invalid {
                subject,
                violations,
            } => Self::invalid(&subject, violations),
            AccessError::Catalog(error) => error.into(),
            AccessError::Crypto(error) => Self::internal(&*error),
            AccessError::Store(error) => error.into(),
        }
    }
}

impl From<InstallError> for ApiError {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Unusable(message) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_package", message)
            }
            InstallError::Manifest(message) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_manifest",
                message,
            ),
            InstallError::Conflict(message) => {
                Self::new(StatusCode::CONFLICT, "already_exists", message)
            }
            InstallError::Untrusted(distrust) => distrust.into(),
            InstallError::Store(error) => error.into(),
        }
    }
}

impl From<Distrust> for ApiError {
    fn from(distrust: Distrust) -> Self {
        let code = match distrust {
            Distrust::Revoked(_) => "plugin_revoked",
            Distrust::WrongDigest { .. } | Distrust::Unsigned { .. } | Distrust::TooFew { .. } => {
                "untrusted_package"
            }
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, distrust.to_string())
    }
}

impl From<ReviewError> for ApiError {
    fn from(error: ReviewError) -> Self {
        match error {
            ReviewError::NotFound(what) => Self::not_found(what),
            ReviewError::Conflict(message) => Self::new(StatusCode::CONFLICT, "changed", message),
            ReviewError::Forbidden(message) => {
                Self::new(StatusCode::FORBIDDEN, "four_eyes", message)
            }
            ReviewError::Invalid(violations) => Self::invalid("the approval", violations),
            ReviewError::Untrusted(distrust) => distrust.into(),
            ReviewError::Store(error) => error.into(),
        }
    }
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::NotFound(name) => Self::not_found(format_args!("secret `{name}`")),
            error @ SecretError::TooMany => {
                Self::new(StatusCode::CONFLICT, "too_many", error.to_string())
            }
            error @ SecretError::InUse(_) => {
                Self::new(StatusCode::CONFLICT, "in_use", error.to_string())
            }
            error @ (SecretError::Damaged(_) | SecretError::Random(_) | SecretError::Key(_)) => {
                Self::internal(&error)
            }
            SecretError::Store(error) => error.into(),
        }
    }
}

impl From<ApproveError> for ApiError {
    fn from(error: ApproveError) -> Self {
        let half_done = error.to_string();
        match error {
            ApproveError::Review(error) => error.into(),
            ApproveError::Documents(error) => {
                let refusal = Self::from(error);
                let message = format!("{half_done}: {}", refusal.message);
                Self { message, ..refusal }
            }
        }
    }
}
