//! What a request says: identifiers in the path, parameters, JSON bodies. Every refusal has the one error form.

use std::str::FromStr;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::error::ApiError;
use super::state::{ApiSettings, ApiState};
use crate::catalog::parse_json;
use crate::model::Violation;

/// From this length on JSON takes longer to read than a task may keep its thread.
const LONG_JSON: usize = 256 << 10;

/// Identifiers in the path, parsed.
pub(super) struct InPath<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(value) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| {
                // An identifier that breaks its rule cannot exist; the text says which rule.
                let message = match rejection {
                    PathRejection::FailedToDeserializePathParams(failed) => {
                        match failed.into_kind() {
                            ErrorKind::DeserializeError { message, .. } => message,
                            kind => kind.to_string(),
                        }
                    }
                    other => other.body_text(),
                };
                ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
            })?;
        Ok(Self(value))
    }
}

/// Query parameters. Unknown ones are nobody's business: clients of the Port API send several.
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Query(pairs) = Query::try_from_uri(&parts.uri).map_err(|_| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                "invalid_query",
                "the query string is not valid",
            )
        })?;
        Ok(Self(pairs))
    }
}

impl Params {
    /// The last value under a name; an empty one counts as absent, as some clients send all they know.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(key, _)| key == name);
        last.map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// All values under a name, repeated as `name=a&name=b` or `name[]=a`, or in one as `name=a,b`.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let fits = |key: &str| key == name || key.strip_suffix("[]") == Some(name);
        let values = self.0.iter().filter(|(key, _)| fits(key));
        values
            .flat_map(|(_, value)| value.split(','))
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// All values under a name; clients repeat the name, or separate the values by commas.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(key, _)| key == name);
        let split = named.flat_map(|(_, values)| values.split(','));
        let trimmed = split.map(str::trim).filter(|value| !value.is_empty());
        trimmed.map(str::to_owned).collect()
    }

    /// A switch, read leniently: there are clients that send Go's formatting errors. Anything but a clear yes is no.
    pub(super) fn switch(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| {
            ["true", "1", "yes", "on"]
                .iter()
                .any(|yes| value.eq_ignore_ascii_case(yes))
        })
    }

    /// A switch that matters whether it is there, on or off.
    pub(super) fn tristate(&self, name: &str) -> Option<bool> {
        self.text(name).map(|_| self.switch(name))
    }

    /// A value of a type of its own.
    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, ApiError> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|error: T::Err| ApiError::bad_parameter(name, error.to_string()))
        };
        self.text(name).map(parse).transpose()
    }

    /// Every value under a name, each of a type of its own.
    pub(super) fn all<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<Vec<T>, ApiError> {
        let values = self
            .0
            .iter()
            .filter(|(key, value)| key == name && !value.is_empty());
        values
            .map(|(_, text)| {
                text.parse()
                    .map_err(|error: T::Err| ApiError::bad_parameter(name, error.to_string()))
            })
            .collect()
    }

    /// `limit`, between 1 and `most`.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, ApiError> {
        match self.text("limit").map(str::parse::<usize>) {
            None => Ok(default),
            Some(Ok(limit)) if (1..=most).contains(&limit) => Ok(limit),
            Some(_) => Err(ApiError::bad_parameter("limit", format!("use 1 to {most}"))),
        }
    }
}

/// A JSON body.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<ApiState> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let settings = &state.door.settings;
        read_json(request, settings, settings.body_limit)
            .await
            .map(Self)
    }
}

/// A JSON body that holds a whole catalog, or much of one.
pub(super) struct LargeJsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<ApiState> for LargeJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let settings = &state.door.settings;
        read_json(request, settings, settings.apply_limit)
            .await
            .map(Self)
    }
}

async fn read_json<T: DeserializeOwned>(
    request: Request,
    settings: &ApiSettings,
    limit: usize,
) -> Result<T, ApiError> {
    check_content_type(request.headers(), is_json, "application/json")?;
    let bytes = read_body(request, settings, limit).await?;
    from_json(parse(bytes).await?)
        .map_err(|violation| ApiError::invalid("the body", vec![violation]))
}

/// The bytes of a plugin package.
pub(super) struct Package(pub(super) Bytes);

impl FromRequest<ApiState> for Package {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let settings = &state.door.settings;
        let wasm = |essence: &str| essence.eq_ignore_ascii_case("application/wasm");
        check_content_type(request.headers(), wasm, "application/wasm")?;
        read_body(request, settings, settings.package_limit)
            .await
            .map(Self)
    }
}

fn is_json(essence: &str) -> bool {
    let Some((kind, format)) = essence.split_once('/') else {
        return false;
    };
    let json =
        format.eq_ignore_ascii_case("json") || format.to_ascii_lowercase().ends_with("+json");
    kind.eq_ignore_ascii_case("application") && json
}

fn check_content_type(
    headers: &HeaderMap,
    fits: impl Fn(&str) -> bool,
    wanted: &str,
) -> Result<(), ApiError> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given
        .and_then(|given| given.split(';').next())
        .map(str::trim);
    if essence.is_some_and(fits) {
        return Ok(());
    }
    let message = format!("send the body with `Content-Type: {wanted}`");
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        message,
    ))
}

/// How many times the limit of a body is still taken in, and thrown away, once the body is over it: many clients send
/// all before they read the answer, and would see a broken connection in place of it.
const THROWN_AWAY: usize = 4;

/// Reads a whole body, bounded in size and in how long the client may pause.
async fn read_body(
    request: Request,
    settings: &ApiSettings,
    limit: usize,
) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("the body is larger than {limit} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    };
    // Such a client asks first, and the answer is no.
    let asks = request.headers().contains_key(header::EXPECT);
    let mut body: Body = request.into_body();
    let announced = body.size_hint();
    if announced.lower() > limit as u64 {
        if !asks {
            throw_away(body, settings, limit).await;
        }
        return Err(too_large());
    }
    // The client announces this length; what is set aside before the bytes are here stays small.
    let mut whole =
        Vec::with_capacity(usize::try_from(announced.lower()).unwrap_or(0).min(1 << 20));
    loop {
        let frame = tokio::time::timeout(settings.body_pause, body.frame())
            .await
            .map_err(|_| {
                let message = "the body stopped arriving";
                ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
            })?;
        let Some(frame) = frame else {
            return Ok(whole.into());
        };
        let frame = frame.map_err(|_| {
            let message = "the body broke off";
            ApiError::new(StatusCode::BAD_REQUEST, "body_incomplete", message)
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limit {
            throw_away(body, settings, limit).await;
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
}

/// Takes in what a client still sends of a body that nobody will look at.
async fn throw_away(mut body: Body, settings: &ApiSettings, limit: usize) {
    let mut left = limit.saturating_mul(THROWN_AWAY);
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(settings.body_pause, body.frame()).await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

/// Reads JSON, a long text on a thread where that holds up nobody else's request.
async fn parse(bytes: Bytes) -> Result<Value, ApiError> {
    if bytes.len() <= LONG_JSON {
        return Ok(parse_json(&bytes)?);
    }
    let parsed = tokio::task::spawn_blocking(move || parse_json(&bytes)).await;
    Ok(parsed.map_err(|error| ApiError::internal(&error))??)
}

/// Reads a value as a type; a refusal points at the place.
fn from_json<T: DeserializeOwned>(value: Value) -> Result<T, Violation> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                Segment::Map { key } => {
                    pointer.push('/');
                    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                }
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        Violation::new(pointer, "type", error.into_inner().to_string())
    })
}
