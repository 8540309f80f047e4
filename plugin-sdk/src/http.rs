//! Outgoing HTTP, to the endpoints, methods and paths that were granted.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::endpoint::Endpoint;
use crate::{Context, Denial, Failure, decode, host};

/// How long a request waits for a connection, for the first byte and between bytes, unless it says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of a response's body, unless the request says otherwise: a server's answer must not fill the memory.
pub const DEFAULT_MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// How much of a refused request's answer [`Error::Status`] keeps, in bytes.
const MAX_ERROR_BODY_BYTES: usize = 1024;

/// Outgoing HTTP; from [`Context::http`]. Needs `[[capabilities.http]]`.
///
/// Secrets that are bound to an endpoint are attached by the host; the plugin never sees them.
///
/// ```
/// use goldenpath_sdk::http::Response;
/// use goldenpath_sdk::prelude::*;
///
/// let ctx = FakeContext::new()
///     .with_endpoint("git", "https://git.example.com/api")
///     .with_response(Response::new(200).with_body(r#"{"id": 7}"#));
/// let request = ctx.http().endpoint("git")?.get("/projects/7").header("accept", "application/json");
/// assert_eq!(request.url(), "https://git.example.com/api/projects/7");
/// let project: goldenpath_sdk::serde_json::Value = ctx.http().send(&request)?.error_for_status()?.json()?;
/// assert_eq!(project["id"], 7);
/// # Ok::<(), Failure>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Http<'a> {
    pub(crate) ctx: &'a Context,
}

impl Http<'_> {
    /// Where an endpoint of `plugin.toml` is, as a reviewer bound it.
    ///
    /// # Errors
    /// [`Error::Denied`] where no line of it was granted.
    pub fn endpoint(&self, name: &str) -> Result<Endpoint, Error> {
        host::http::urls(self.ctx, name).map(Endpoint::at)
    }

    /// Sends one request and waits for the whole response, of whatever status.
    ///
    /// # Errors
    /// Every case of [`Error`] but [`Error::Status`].
    pub fn send(&self, request: &Request) -> Result<Response, Error> {
        host::http::send(self.ctx, &self.ctx.keyed(request))
    }

    /// Sends the requests side by side, eight at a time, and waits for all responses, in the order of the requests.
    ///
    /// ```
    /// use goldenpath_sdk::http::Response;
    /// use goldenpath_sdk::prelude::*;
    ///
    /// let ctx = FakeContext::new().with_response(Response::new(200)).with_response(Response::new(404));
    /// let requests = ["https://a.example.com/", "https://b.example.com/"].map(Request::get);
    /// let statuses: Vec<_> = ctx.http().send_all(&requests).into_iter().map(|answer| answer.unwrap().status()).collect();
    /// assert_eq!(statuses, [200, 404]);
    /// ```
    pub fn send_all(&self, requests: &[Request]) -> Vec<Result<Response, Error>> {
        let keyed = requests.iter().map(|request| self.ctx.keyed(request));
        let keyed: Vec<Request> = keyed.map(Cow::into_owned).collect();
        host::http::send_all(self.ctx, &keyed)
    }
}

/// A request: method, absolute URL, headers and body.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeout: Duration,
    max_body_bytes: usize,
}

impl Request {
    /// A request of any method. `url` is absolute, `http` or `https`.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            max_body_bytes: DEFAULT_MAX_BODY_BYTES,
        }
    }

    /// A `GET` request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST` request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// A `PUT` request.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// A `PATCH` request.
    pub fn patch(url: impl Into<String>) -> Self {
        Self::new("PATCH", url)
    }

    /// A `DELETE` request.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to a value's JSON, and `content-type` to `application/json`.
    ///
    /// # Errors
    /// [`Error::Format`] where the value cannot be JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Result<Self, Error> {
        self.body = serde_json::to_vec(value).map_err(|error| Error::Format(error.to_string()))?;
        Ok(self.header("content-type", "application/json"))
    }

    /// Sets how long to wait for a connection, for the first byte and between bytes; [`DEFAULT_TIMEOUT`] otherwise.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many bytes the response's body may have; [`DEFAULT_MAX_BODY_BYTES`] otherwise.
    #[must_use]
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Its method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its headers, in the order they were added.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Its body's bytes.
    pub fn body_bytes(&self) -> &[u8] {
        &self.body
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn timeout_nanos(&self) -> u64 {
        u64::try_from(self.timeout.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn body_limit(&self) -> usize {
        self.max_body_bytes
    }

    /// Splits the URL, so that a wrong one is refused before anything is sent.
    pub(crate) fn target(&self) -> Result<UrlParts<'_>, Error> {
        let refuse = |why: &str| Err(Error::InvalidRequest(format!("`{}` {why}", self.url)));
        let (https, rest) = match self.url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return refuse("is not an absolute `http` or `https` URL"),
        };
        if self
            .url
            .chars()
            .any(|c| c.is_control() || c.is_whitespace())
        {
            return refuse("holds a space or control character: percent-encode it");
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() {
            return refuse("names no host");
        }
        if authority.contains('@') {
            return refuse("holds a user or password: bind a secret to the endpoint instead");
        }
        let path = match path.chars().next() {
            Some('/') => path.to_owned(),
            _ => format!("/{path}"),
        };
        Ok(UrlParts {
            https,
            authority,
            path,
        })
    }
}

/// What the host wants a URL as.
#[derive(Debug, PartialEq)]
pub(crate) struct UrlParts<'a> {
    pub(crate) https: bool,
    pub(crate) authority: &'a str,
    pub(crate) path: String,
}

/// A whole response.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Response {
    /// An empty response, for a [`FakeContext`](crate::FakeContext).
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Its status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of that name, in any case; absent where its value is not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// Every header, as it came.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// The body's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text.
    ///
    /// # Errors
    /// [`Error::Format`] where it is not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.body)
            .map_err(|_| Error::Format("the response is not UTF-8 text".to_owned()))
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// [`Error::Format`] where it is not JSON, or does not fit `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        decode::from_slice(&self.body)
            .map_err(|error| Error::Format(format!("the response: {error}")))
    }

    /// This response, where its status is 200 to 299.
    ///
    /// # Errors
    /// [`Error::Status`] otherwise, with the beginning of the body.
    pub fn error_for_status(self) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let start = self.body.get(..MAX_ERROR_BODY_BYTES).unwrap_or(&self.body);
        Err(Error::Status {
            status: self.status,
            body: String::from_utf8_lossy(start).into_owned(),
        })
    }
}

/// Why there is no response, or not a good one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not granted, or an address that nobody may reach. Nothing was sent.
    Denied(Denial),
    /// The request itself is wrong: URL, method, a header; the text says which. Nothing was sent.
    InvalidRequest(String),
    /// No connection: name, address, TLS; the text says which. Nothing was sent.
    Connect(String),
    /// The server took longer than the request's timeout.
    Timeout,
    /// The response's body is larger than `limit` bytes.
    TooLarge {
        /// The most that the request allowed, in bytes.
        limit: usize,
    },
    /// A budget of the whole call is used up: its name under `[limits]` in `plugin.toml`.
    OverBudget(&'static str),
    /// The connection broke, or the server does not speak HTTP; the request may have had its effect.
    Broken(String),
    /// The server answered, but not with success: from [`Response::error_for_status`].
    Status {
        /// The status code.
        status: u16,
        /// The beginning of the body, as text.
        body: String,
    },
    /// A body does not fit its Rust type, or cannot be JSON.
    Format(String),
}

impl Error {
    /// The failure code that it turns into.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::InvalidRequest(_) => "invalid_request",
            Self::Connect(_) => "connect",
            Self::Timeout => "timeout",
            Self::TooLarge { .. } => "too_large",
            Self::OverBudget(_) => "over_budget",
            Self::Broken(_) => "broken",
            Self::Status { .. } => "http_status",
            Self::Format(_) => "invalid_body",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => f.write_str(&denial.message),
            Self::InvalidRequest(text)
            | Self::Connect(text)
            | Self::Broken(text)
            | Self::Format(text) => f.write_str(text),
            Self::Timeout => f.write_str("the server did not answer in time"),
            Self::TooLarge { limit } => write!(f, "the response is larger than {limit} bytes"),
            Self::OverBudget(budget) => write!(
                f,
                "the budget of this call is used up: ask for more `{budget}` under `[limits]` in plugin.toml"
            ),
            Self::Status { status, body } => write!(f, "the server answered {status}: {body}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_as_the_host_wants_them() {
        for (url, https, authority, path) in [
            ("https://a.example", true, "a.example", "/"),
            (
                "HTTP://a.example:8080?q=1",
                false,
                "a.example:8080",
                "/?q=1",
            ),
            (
                "https://a.example/x/y?q=/#top",
                true,
                "a.example",
                "/x/y?q=/",
            ),
        ] {
            assert_eq!(
                Request::get(url).target(),
                Ok(UrlParts {
                    https,
                    authority,
                    path: path.to_owned()
                })
            );
        }
    }

    #[test]
    fn urls_that_no_host_could_dial_are_refused() {
        for url in [
            "",
            "a.example/x",
            "ftp://a.example",
            "https://",
            "https:///x",
            "https://u:p@a.example/",
            "https://a.example/x y",
        ] {
            assert!(
                matches!(Request::get(url).target(), Err(Error::InvalidRequest(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn statuses_other_than_success_are_errors_on_demand() {
        let error = Response::new(409)
            .with_body("taken")
            .error_for_status()
            .unwrap_err();
        assert_eq!(
            error,
            Error::Status {
                status: 409,
                body: "taken".to_owned()
            }
        );
        assert_eq!(Failure::from(error).code(), "http_status");
    }
}
