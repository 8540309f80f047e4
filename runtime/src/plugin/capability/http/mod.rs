//! Outgoing HTTP, to the endpoints, methods and paths that were granted.

mod address;
mod client;
mod dns;
mod endpoint;
mod places;
mod proxy;
mod query;
mod rules;
mod secret;
#[cfg(test)]
mod tests;
mod tls;
mod url;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderName;
use hyper::{Method, Request, Uri};
use tracing::Instrument as _;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody,
    WasiHttpHooks,
};

pub(crate) use self::client::HttpClient;
use self::client::{Account, Allowed, Answer, Prohibited, Sender, Unsent};
use self::query::keyed;
pub(crate) use self::query::{QUERY_KEYS, is_query_key};
pub(crate) use self::rules::Rules;
use self::rules::counted_for;
#[cfg(test)]
pub(crate) use self::rules::judge;
use self::secret::Unattached;
pub(crate) use self::secret::{Attachment, BoundSecret};
use self::url::segments;
pub(crate) use self::url::{BaseUrl, Origin, PathPattern};
use super::log::LogBook;
use super::{Capability, Place};
use crate::model::{LogLevel, Requests};
use crate::plugin::denial::Denials;
use crate::plugin::journal::Pages;
use crate::plugin::knob::{Knob, is_kept};
use crate::plugin::limits::Meter;
use crate::plugin::secret::Secrets;
use crate::plugin::usage::Tally;

/// Methods that a line can name. Others make a server open a tunnel or answer with what it was sent.
pub(crate) const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// Headers by which some servers take a request for one of another method, or to another path, than was checked.
const OVERRIDES: [&str; 5] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
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
    /// Which keys its query may have; absent: any.
    pub(crate) query: Option<Vec<String>>,
    /// Which secret the host attaches.
    pub(crate) secret: Option<BoundSecret>,
    /// Whether the reviewer allowed inside addresses.
    pub(crate) private: bool,
}

impl HttpRule {
    /// The line that the manifest asks with.
    pub(crate) fn asked(&self) -> Capability {
        Capability::Http {
            method: self.method.clone(),
            to: Place::Endpoint(self.endpoint.clone()),
            path: self.path.clone(),
            query: self.query.clone(),
            secret: self.secret.as_ref().map(|secret| secret.name.clone()),
            private: false,
        }
    }

    /// The line that a reviewer reads.
    pub(crate) fn line(&self) -> Capability {
        Capability::Http {
            method: self.method.clone(),
            to: Place::Origin(self.base.origin.clone()),
            path: self.path.below(&self.base.prefix),
            query: self.query.clone(),
            secret: self.secret.as_ref().map(|secret| secret.name.clone()),
            private: self.private,
        }
    }
}

/// The HTTP side of one guest: every request goes through here, and nowhere else.
pub(crate) struct Egress {
    rules: Rules,
    tally: Option<Arc<Tally>>,
    sender: Option<Sender>,
    secrets: Option<Secrets>,
    meter: Arc<Meter>,
    book: Arc<LogBook>,
    denials: Arc<Denials>,
    pages: Pages,
}

/// Why a request is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No line allows it; the line that would.
    Denied(String),
    /// It is not a request that two readers understand alike; the text says why.
    Malformed(String),
}

impl Egress {
    pub(crate) fn new(
        rules: impl Into<Rules>,
        sender: Option<Sender>,
        meter: Arc<Meter>,
        book: Arc<LogBook>,
        denials: Arc<Denials>,
    ) -> Self {
        Self {
            rules: rules.into(),
            tally: None,
            sender,
            secrets: None,
            meter,
            book,
            denials,
            pages: Pages::default(),
        }
    }

    /// The same, telling the run's journal before anything is sent.
    pub(crate) fn with_pages(self, pages: Pages) -> Self {
        Self { pages, ..self }
    }

    /// The same, with the secrets that rules may attach.
    pub(crate) fn with_secrets(self, secrets: Option<Secrets>) -> Self {
        Self { secrets, ..self }
    }

    /// The same, counting what is sent.
    pub(crate) fn with_tally(self, tally: Arc<Tally>) -> Self {
        Self {
            tally: Some(tally),
            ..self
        }
    }
}

impl Rules {
    /// Holds a request against the granted lines: one of them has to allow all of it.
    pub(crate) fn judge(&self, method: &Method, uri: &Uri) -> Result<Allowed, Refusal> {
        let malformed = |why: &str| Refusal::Malformed(why.to_owned());
        let scheme = uri
            .scheme_str()
            .ok_or_else(|| malformed("it has no scheme"))?;
        let authority = uri.authority().ok_or_else(|| malformed("it has no host"))?;
        let origin = Origin::parse(scheme, authority.as_str()).map_err(Refusal::Malformed)?;
        let path = segments(uri.path()).map_err(malformed)?;
        if let Some(query) = uri.query()
            && !query.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
        {
            return Err(malformed(
                "its query has a character that has to be encoded",
            ));
        }
        let matching = self.matching(method.as_str(), &origin, &path);
        let target = format!("/{}", path.join("/"));
        let Some((_, first)) = matching.first() else {
            // Without the query: it may hold what must not be kept.
            return Err(Refusal::Denied(match self.near(&origin, &path) {
                Some(rule) => {
                    let below = path.get(rule.base.prefix.len()..).unwrap_or_default();
                    let below = below.join("/");
                    format!("http {method} {} /{below}", rule.endpoint)
                }
                None => format!("http {method} {origin}{target}"),
            }));
        };
        let listing = matching.iter().any(|(_, rule)| rule.query.is_some());
        let keyed = uri.query().filter(|_| listing).map(keyed);
        let chosen: Vec<(usize, &HttpRule)> = matching
            .iter()
            .copied()
            .filter(|(_, rule)| match (&rule.query, &keyed) {
                (None, _) | (_, None) => true,
                (Some(listed), Some(Ok(keyed))) => {
                    keyed.keys.iter().all(|key| listed.contains(key))
                }
                (Some(_), Some(Err(_))) => false,
            })
            .collect();
        let query = match (uri.query(), keyed) {
            (_, Some(Err(why))) if chosen.is_empty() => return Err(malformed(why)),
            (_, Some(Ok(keyed))) if chosen.is_empty() => {
                let listed = first.query.iter().flatten().cloned();
                let wanted: BTreeSet<String> = keyed.keys.into_iter().chain(listed).collect();
                let keys = Vec::from_iter(wanted).join(",");
                let line = format!(
                    "http {method} {} {} query {keys}",
                    first.endpoint, first.path
                );
                return Err(Refusal::Denied(line));
            }
            // What was matched is what is sent.
            (Some(_), Some(Ok(keyed))) if chosen.iter().any(|(_, rule)| rule.query.is_some()) => {
                format!("?{}", keyed.text)
            }
            (Some(query), _) => format!("?{query}"),
            (None, _) => String::new(),
        };
        let mut attached = chosen.iter().filter_map(|(_, rule)| rule.secret.as_ref());
        let secret = attached.next();
        if attached.any(|other| Some(other) != secret) {
            return Err(malformed(
                "its lines attach different secrets to it; one of them has to be narrower",
            ));
        }
        Ok(Allowed {
            rule: counted_for(&chosen, secret),
            secret: secret.cloned(),
            target: format!("{target}{query}"),
            private: chosen.iter().any(|(_, rule)| rule.private),
            origin,
        })
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

/// Whether the other side may have had a request that has no answer: all that does not fail before it is sent.
fn may_have_arrived(error: &Error) -> bool {
    !matches!(
        error,
        Error::DnsTimeout
            | Error::DnsError { .. }
            | Error::DestinationNotFound
            | Error::ConnectionTimeout
            | Error::Connect(_)
            | Error::Tls(_)
            | Error::DestinationUnavailable
            | Error::HttpRequestUriInvalid
            | Error::ConfigurationError
    )
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
            is_kept(Knob::ForbiddenHeaders)
                && (DEFAULT_FORBIDDEN_HEADERS.contains(name) || OVERRIDES.contains(&name.as_str()))
        })
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answer, Error>> + Send> {
        let verdict = self.rules.judge(request.method(), request.uri());
        // Denied requests count as well: a probe is work for the host too.
        let paid = self.meter.take_call() && self.meter.take_request();
        let (sender, meter) = (self.sender.clone(), Arc::clone(&self.meter));
        let secrets = self.secrets.clone();
        let (rules, tally) = (self.rules.clone(), self.tally.clone());
        let pages = self.pages.clone();
        let (book, denials) = (Arc::clone(&self.book), Arc::clone(&self.denials));
        let work = async move {
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
            let Sender { client, places } = sender.ok_or(Error::HttpRequestDenied)?;
            let trail = tally.as_ref().map(|tally| tally.trail(allowed.rule));
            let note = |what: fn(&mut Requests)| {
                if let Some(trail) = &trail {
                    trail.note(what);
                }
            };
            // Whoever sets a time for connecting sets it for all that comes before.
            let patience = options.and_then(|options| options.connect_timeout);
            let place = match places.take(patience.unwrap_or(Duration::MAX)).await {
                Ok(place) => place,
                Err(full) => {
                    note(|requests| requests.failed += 1);
                    book.write(LogLevel::Warn, full.message());
                    return Err(Error::ConnectionTimeout);
                }
            };
            let origin = allowed.origin.to_string();
            let attached = match &allowed.secret {
                None => None,
                Some(secret) => match secret.open(request.headers(), secrets.as_ref()).await {
                    Ok(opened) => {
                        // Before it leaves: the answer may hold it.
                        book.redactor().add(&secret.name, &opened.secret);
                        Some(opened.header)
                    }
                    Err(Unattached { missing, message }) => {
                        note(|requests| requests.refused += 1);
                        denials.audit(&missing).await;
                        book.write(LogLevel::Warn, &message);
                        return Err(Error::HttpRequestDenied);
                    }
                },
            };
            if pages.effect().await.is_err() {
                note(|requests| requests.failed += 1);
                let why = "a request was not sent: the run's journal cannot be written now";
                book.write(LogLevel::Warn, why);
                return Err(Error::DestinationUnavailable);
            }
            if let Some(tally) = tally {
                let act = rules.act(&allowed, book.redactor());
                tally.request(allowed.rule, act);
            }
            let account = Account {
                meter,
                trail: trail.clone(),
            };
            let sent = client.send(allowed, request, attached, options, account, place);
            match sent.await {
                Ok(answer) => {
                    if let Some(trail) = &trail {
                        let status = answer.0.status().as_u16();
                        trail.note(|requests| requests.answer(status));
                    }
                    Ok(answer)
                }
                Err(Unsent::Failed(error)) => {
                    note(|requests| requests.failed += 1);
                    if may_have_arrived(&error) {
                        pages.in_doubt().await;
                    }
                    Err(error)
                }
                Err(Unsent::Prohibited(why)) => {
                    note(|requests| requests.refused += 1);
                    let (missing, message) = prohibited(why, &origin);
                    denials.audit(&missing).await;
                    book.write(LogLevel::Warn, &message);
                    Err(Error::DestinationIpProhibited)
                }
            }
        };
        // It may be carried out by a task of its own.
        Box::new(work.in_current_span())
    }
}
