//! Outgoing HTTP, to the endpoints, methods and paths that were granted.

mod address;
mod client;
#[cfg(test)]
mod tests;
mod url;

use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderName;
use hyper::{Method, Request, Uri};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody,
    WasiHttpHooks,
};

pub(crate) use self::client::HttpClient;
use self::client::{Allowed, Answer, Prohibited, Unsent};
pub(crate) use self::url::{BaseUrl, PathPattern};
use self::url::{Origin, segments};
use super::log::LogBook;
use crate::model::LogLevel;
use crate::plugin::denial::Denials;
use crate::plugin::limits::Meter;

/// Methods that a line can name. Others make a server open a tunnel or answer with what it was sent.
pub(crate) const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// Requests of one guest at a time: `send_all` overlaps a handful, not a flood.
const AT_A_TIME: usize = 16;

/// How long a request waits for its place among those. A guest that never takes in its answers waits for itself.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Headers by which some servers take a request for one of another method than the one that was checked.
const OVERRIDES: [&str; 3] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// One granted line, its endpoint bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpRule {
    /// The method, in upper case.
    pub(crate) method: String,
    /// The endpoint's name in the manifest.
    pub(crate) endpoint: String,
    /// Where that is.
    pub(crate) base: BaseUrl,
    /// Which paths below it.
    pub(crate) path: PathPattern,
    /// Whether the reviewer allowed inside addresses.
    pub(crate) private: bool,
}

impl std::fmt::Display for HttpRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http {} {}{}", self.method, self.base, self.path)
    }
}

/// The HTTP side of one guest: every request goes through here, and nowhere else.
pub(crate) struct Egress {
    rules: Arc<[HttpRule]>,
    client: Option<Arc<HttpClient>>,
    meter: Arc<Meter>,
    book: Arc<LogBook>,
    denials: Arc<Denials>,
    places: Arc<Semaphore>,
}

/// Why a request is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    /// No line allows it; the line that would.
    Denied(String),
    /// It is not a request that two readers understand alike; the text says why.
    Malformed(String),
}

impl Egress {
    pub(crate) fn new(
        rules: Vec<HttpRule>,
        client: Option<Arc<HttpClient>>,
        meter: Arc<Meter>,
        book: Arc<LogBook>,
        denials: Arc<Denials>,
    ) -> Self {
        Self {
            rules: rules.into(),
            client,
            meter,
            book,
            denials,
            places: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }
}

/// Holds a request against the granted lines.
fn judge(rules: &[HttpRule], method: &Method, uri: &Uri) -> Result<Allowed, Refusal> {
    let malformed = |why: &str| Refusal::Malformed(why.to_owned());
    let scheme = uri
        .scheme_str()
        .ok_or_else(|| malformed("it has no scheme"))?;
    let authority = uri.authority().ok_or_else(|| malformed("it has no host"))?;
    let origin = Origin::parse(scheme, authority.as_str()).map_err(Refusal::Malformed)?;
    let path = segments(uri.path()).map_err(malformed)?;
    let query = match uri.query() {
        Some(query) if !query.bytes().all(|b| b.is_ascii_graphic() && b != b'#') => {
            return Err(malformed(
                "its query has a character that has to be encoded",
            ));
        }
        Some(query) => format!("?{query}"),
        None => String::new(),
    };
    let here = || {
        rules
            .iter()
            .filter(|rule| rule.base.origin == origin && path.starts_with(&rule.base.prefix))
    };
    let below = |rule: &HttpRule| {
        path.get(rule.base.prefix.len()..)
            .unwrap_or_default()
            .to_vec()
    };
    let matching =
        here().find(|rule| rule.method == method.as_str() && rule.path.matches(&below(rule)));
    let target = format!("/{}", path.join("/"));
    match matching {
        Some(rule) => Ok(Allowed {
            target: format!("{target}{query}"),
            private: rule.private,
            origin,
        }),
        // Without the query: it is no part of a line, and may hold what must not be kept.
        None => Err(Refusal::Denied(match here().next() {
            Some(rule) => format!("http {method} {} /{}", rule.endpoint, below(rule).join("/")),
            None => format!("http {method} {origin}{target}"),
        })),
    }
}

/// Why the stream of a body failed, as the guest is told.
pub(crate) fn error_code(error: &wasmtime::Error) -> Option<ErrorCode> {
    if let Some(code) = error.downcast_ref::<ErrorCode>() {
        return Some(code.clone());
    }
    error.downcast_ref::<Error>().map(|error| match error {
        Error::HttpRequestBodySize(size) => ErrorCode::HttpRequestBodySize(*size),
        Error::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::Hyper(broken) if broken.is_incomplete_message() => ErrorCode::HttpResponseIncomplete,
        _ => ErrorCode::HttpProtocolError,
    })
}

/// What was missing, and the sentence about it.
fn prohibited(why: Prohibited, origin: &str) -> (String, String) {
    match why {
        Prohibited::Private => (
            format!("allowPrivate for {origin}"),
            format!(
                "`{origin}` has an inside address; the approval has to allow it (`allowPrivate`), and so has the host \
                 (`egress-allow-private`)"
            ),
        ),
        Prohibited::Forbidden => (
            format!("the address of {origin}, which no grant can allow"),
            format!("`{origin}` has an address that no plugin may reach, whatever its grant says"),
        ),
        Prohibited::Own => (
            format!("the portal's own address {origin}, which no grant can allow"),
            format!(
                "`{origin}` is the portal itself, which no plugin may reach over HTTP; use the SDK's `catalog`"
            ),
        ),
    }
}

impl WasiHttpHooks for Egress {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name: &HeaderName| {
            DEFAULT_FORBIDDEN_HEADERS.contains(name) || OVERRIDES.contains(&name.as_str())
        })
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answer, Error>> + Send> {
        let verdict = judge(&self.rules, request.method(), request.uri());
        // Denied requests count as well: a probe is work for the host too.
        let paid = self.meter.take_call() && self.meter.take_request();
        let (client, meter) = (self.client.clone(), Arc::clone(&self.meter));
        let (book, denials, places) = (
            Arc::clone(&self.book),
            Arc::clone(&self.denials),
            Arc::clone(&self.places),
        );
        Box::new(async move {
            if !paid {
                // The SDK's word for it is `over_budget`; nothing else is refused by this code.
                return Err(Error::ConnectionLimitReached);
            }
            let allowed = match verdict {
                Ok(allowed) => allowed,
                Err(Refusal::Malformed(why)) => {
                    book.write(LogLevel::Warn, &format!("a request was refused: {why}"));
                    return Err(Error::HttpRequestUriInvalid);
                }
                Err(Refusal::Denied(missing)) => {
                    let missing: String = missing.chars().take(500).collect();
                    let denial = denials.deny(missing, "[[capabilities.http]]").await;
                    book.write(LogLevel::Warn, &denial.message);
                    return Err(Error::HttpRequestDenied);
                }
            };
            let client = client.ok_or(Error::HttpRequestDenied)?;
            let place = tokio::time::timeout(LONGEST_WAIT, places.acquire_owned())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(Error::ConnectionTimeout)?;
            let origin = allowed.origin.to_string();
            match client.send(allowed, request, options, meter, place).await {
                Ok(answer) => Ok(answer),
                Err(Unsent::Failed(error)) => Err(error),
                Err(Unsent::Prohibited(why)) => {
                    let (missing, message) = prohibited(why, &origin);
                    denials.audit(&missing).await;
                    book.write(LogLevel::Warn, &message);
                    Err(Error::DestinationIpProhibited)
                }
            }
        })
    }
}
