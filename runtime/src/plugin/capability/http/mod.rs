//! Outgoing HTTP, to the endpoints, methods and paths that were granted.

mod address;
mod client;
#[cfg(test)]
mod tests;
mod url;

use std::sync::Arc;

use hyper::header::HeaderName;
use hyper::{Method, Request, Uri};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody,
    WasiHttpHooks,
};

pub(crate) use self::client::HttpClient;
use self::client::{Allowed, Answer};
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
                return Err(Error::InternalError(Some(
                    "the budget of requests of this call is used up".to_owned(),
                )));
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
            let place = places
                .try_acquire_owned()
                .map_err(|_| Error::ConnectionLimitReached)?;
            let origin = allowed.origin.to_string();
            let sent = client.send(allowed, request, options, meter, place).await;
            if matches!(sent, Err(Error::DestinationIpProhibited)) {
                let message = format!(
                    "`{origin}` has an address that plugins may not reach; a private one has to be allowed by the approval (`allowPrivate`) and by the host's settings"
                );
                denials.audit(&format!("allowPrivate for {origin}")).await;
                book.write(LogLevel::Warn, &message);
            }
            sent
        })
    }
}
