//! Sends one checked request: resolves once, dials only addresses that were checked, follows nothing, keeps nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, timeout};
use tracing::{Instrument as _, field};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::address::{Reach, reach};
use super::places::{Place, Places, PortalPlaces};
use super::secret::BoundSecret;
use super::tls::{Stream, Tls};
use super::url::{Host, Origin};
use super::{dns, proxy};
use crate::model::PluginName;
use crate::plugin::EgressSettings;
use crate::plugin::knob::{Knob, is_kept};
use crate::plugin::limits::Meter;
use crate::plugin::metrics::{PluginMetrics, Sent};
use crate::plugin::usage::Trail;

/// The longest wait for a connection and for each piece of an answer, whatever the guest wants.
const LONGEST_CONNECT: Duration = Duration::from_secs(30);
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// Headers of a response, as bytes and as lines.
const HEADER_BYTES: usize = 64 << 10;
const HEADER_LINES: usize = 128;

/// What every request of every guest is sent with.
#[derive(Debug)]
pub(crate) struct HttpClient {
    /// Whether a grant may allow inside addresses at all.
    allow_private: bool,
    /// Whom to ask for addresses; absent: whoever this machine asks.
    resolver: dns::Resolver,
    /// The way out; absent: straight.
    proxy: Option<SocketAddr>,
    /// Where this portal itself listens: it would be asked with the trust that it has in this machine.
    own: Option<SocketAddr>,
    tls: Tls,
    metrics: PluginMetrics,
    places: PortalPlaces,
}

/// The client as one guest has it.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(super) client: Arc<HttpClient>,
    pub(super) places: Places,
}

/// A request that the grant allows, in the form in which it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(super) origin: Origin,
    /// The place of the line that it is counted for.
    pub(crate) rule: usize,
    /// Canonical path, and the query as it came, or canonical too where its keys were looked at.
    pub(super) target: String,
    /// Which secret goes along.
    pub(super) secret: Option<BoundSecret>,
    /// Whether the reviewer allowed inside addresses.
    pub(crate) private: bool,
}

/// Why there is no response.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The host has an address that this request may not go to.
    Prohibited(Prohibited),
    /// It did not work.
    Failed(Error),
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Why an address may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prohibited {
    /// It is an inside one, and reviewer and host do not both allow those.
    Private,
    /// It is one that no grant can allow.
    Forbidden,
    /// It is the portal's own.
    Own,
}

/// A response, and what keeps its connection going.
pub(super) type Answer = (
    Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

impl HttpClient {
    /// A client after the operator's settings, in a portal that listens at `own`. The text of an error is about the
    /// authorities.
    pub(crate) fn new(settings: &EgressSettings, own: Option<SocketAddr>) -> Result<Self, String> {
        Ok(Self {
            allow_private: settings.allow_private,
            resolver: dns::Resolver::new(settings.resolver),
            proxy: settings.proxy,
            own,
            tls: Tls::trusting(settings.authorities.as_deref())?,
            metrics: PluginMetrics::default(),
            places: PortalPlaces::new(settings),
        })
    }

    /// The same, counting what is sent.
    #[must_use]
    pub(crate) fn counted_by(self, metrics: PluginMetrics) -> Self {
        Self { metrics, ..self }
    }

    /// For one guest of a plugin.
    pub(crate) fn for_guest(self: &Arc<Self>, plugin: &PluginName) -> Sender {
        Sender {
            client: Arc::clone(self),
            places: self.places.of_guest(plugin),
        }
    }

    pub(super) async fn send(
        &self,
        allowed: Allowed,
        request: Request<WasiBody>,
        attached: Option<(HeaderName, HeaderValue)>,
        options: Option<RequestOptions>,
        account: Account,
        place: Place,
    ) -> Result<Answer, Unsent> {
        let began = Instant::now();
        // Neither path nor query: a plugin may have put anything there. No header tells the other side of the trace
        // either: it would be one that no reviewer approved.
        let span = tracing::info_span!(
            "plugin request",
            otel.kind = "client",
            http.method = %request.method(),
            server.origin = %allowed.origin,
            http.status = field::Empty,
        );
        let answer = self
            .exchange(allowed, request, attached, options, account, place)
            .instrument(span.clone())
            .await;
        if let Ok((response, _)) = &answer {
            span.record("http.status", response.status().as_u16());
        }
        let sent = match &answer {
            Ok(_) => Sent::Answered,
            Err(Unsent::Prohibited(_)) => Sent::Prohibited,
            Err(Unsent::Failed(_)) => Sent::Failed,
        };
        self.metrics.sent(sent, began.elapsed());
        answer
    }

    async fn exchange(
        &self,
        allowed: Allowed,
        mut request: Request<WasiBody>,
        attached: Option<(HeaderName, HeaderValue)>,
        options: Option<RequestOptions>,
        account: Account,
        place: Place,
    ) -> Result<Answer, Unsent> {
        let wanted =
            |time: Option<Duration>, most: Duration| time.map_or(most, |time| time.min(most));
        let connect = wanted(options.and_then(|o| o.connect_timeout), LONGEST_CONNECT);
        let first = wanted(options.and_then(|o| o.first_byte_timeout), LONGEST_SILENCE);
        let between = wanted(
            options.and_then(|o| o.between_bytes_timeout),
            LONGEST_SILENCE,
        );

        let stream = timeout(connect, self.connect(&allowed))
            .await
            .map_err(|_| Error::ConnectionTimeout)??;
        let authority = HeaderValue::from_str(&allowed.origin.authority())
            .map_err(|_| Error::HttpRequestUriInvalid)?;
        request.headers_mut().insert(HOST, authority);
        if let Some((name, value)) = attached {
            request.headers_mut().insert(name, value);
        }
        *request.uri_mut() =
            Uri::try_from(allowed.target).map_err(|_| Error::HttpRequestUriInvalid)?;
        let request = request
            .map(|body| Counted::new(body, account.clone(), between, Direction::Request, None));

        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(HEADER_BYTES).max_headers(HEADER_LINES);
        let (mut sender, connection) = timeout(connect, builder.handshake(TokioIo::new(stream)))
            .await
            .map_err(|_| Error::ConnectionTimeout)?
            .map_err(Error::from)?;
        // Ends with the handle, which the response keeps.
        let driver = wasmtime_wasi::runtime::spawn(connection);
        let response = timeout(first, sender.send_request(request))
            .await
            .map_err(|_| Error::ConnectionReadTimeout)?
            .map_err(Error::from)?;
        let response = response.map(|body| {
            Counted::new(body, account, between, Direction::Response, Some(place)).boxed_unsync()
        });
        let driven: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async move {
            drop(sender);
            driver.await.map_err(Error::from)
        });
        Ok((response, driven))
    }

    async fn connect(&self, allowed: &Allowed) -> Result<Stream, Unsent> {
        let addresses = self.resolve(allowed).await?;
        let mut failed = Error::DestinationUnavailable;
        for address in addresses {
            match self.dial(address).await {
                Ok(stream) if allowed.origin.encrypted => {
                    return Ok(self.tls.secure(&allowed.origin.host, stream).await?);
                }
                Ok(stream) => return Ok(Box::new(stream)),
                Err(error) => failed = error,
            }
        }
        Err(failed.into())
    }

    /// The one place from which a plugin's connections start. No variable of the environment has a say in it.
    async fn dial(&self, address: SocketAddr) -> Result<TcpStream, Error> {
        match self.proxy {
            Some(proxy) => proxy::tunnel(proxy, address).await,
            None => TcpStream::connect(address).await.map_err(Error::Connect),
        }
    }

    /// The addresses of a host, all of them allowed. One bad one among good ones is how a name is turned around
    /// between check and use: then none is dialled.
    async fn resolve(&self, allowed: &Allowed) -> Result<Vec<SocketAddr>, Unsent> {
        let addresses = match &allowed.origin.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.resolver.resolve(name).await.map_err(Error::from)?,
        };
        let with_port = |address| SocketAddr::new(address, allowed.origin.port);
        let addresses: Vec<SocketAddr> = addresses.into_iter().map(with_port).collect();
        for address in addresses.iter().filter(|_| is_kept(Knob::Addresses)) {
            self.check(*address, allowed.private)
                .map_err(Unsent::Prohibited)?;
        }
        Ok(addresses)
    }

    pub(super) fn check(&self, address: SocketAddr, private: bool) -> Result<(), Prohibited> {
        if self.own.is_some_and(|own| is_same(own, address)) {
            return Err(Prohibited::Own);
        }
        match reach(address.ip()) {
            Reach::Public => Ok(()),
            Reach::Private if private && self.allow_private => Ok(()),
            Reach::Private => Err(Prohibited::Private),
            Reach::Forbidden => Err(Prohibited::Forbidden),
        }
    }
}

/// Whether a connection to an address ends at a listener.
fn is_same(listener: SocketAddr, address: SocketAddr) -> bool {
    let (own, other) = (listener.ip().to_canonical(), address.ip().to_canonical());
    let reaches = own == other
        || own.is_loopback() && other.is_loopback()
        || own.is_unspecified() && is_of_this_machine(other);
    reaches && listener.port() == address.port()
}

/// Whether an address is one of this machine's own, whatever its interfaces are just now: to those it speaks with the
/// address itself. Asks the routing table; nothing is sent.
fn is_of_this_machine(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    // Where there is no route there is nothing to protect.
    from.is_ok_and(|from| from.ip() == address)
}

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

/// Where the bytes of one request are charged, and told of.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) meter: Arc<Meter>,
    pub(super) trail: Option<Trail>,
}

impl Account {
    /// `false` once the call has none left.
    fn take(&self, direction: Direction, bytes: u64) -> bool {
        if let Some(trail) = &self.trail {
            trail.note(|requests| match direction {
                Direction::Request => requests.sent_bytes += bytes,
                Direction::Response => requests.received_bytes += bytes,
            });
        }
        self.meter.take_http_bytes(bytes)
    }
}

/// A body whose bytes are charged to the call, and that breaks off when nothing comes for too long.
struct Counted<B> {
    inner: B,
    account: Account,
    between: Duration,
    silence: Pin<Box<Sleep>>,
    direction: Direction,
    /// Held until the response was taken in.
    _place: Option<Place>,
}

impl<B> Counted<B> {
    fn new(
        inner: B,
        account: Account,
        between: Duration,
        direction: Direction,
        place: Option<Place>,
    ) -> Self {
        let silence = Box::pin(tokio::time::sleep(between));
        Self {
            inner,
            account,
            between,
            silence,
            direction,
            _place: place,
        }
    }
}

impl<B: Body<Data = Bytes, Error: Into<Error>> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.silence.as_mut().reset(Instant::now() + this.between);
                let size = frame.data_ref().map_or(0, Bytes::len) as u64;
                if this.account.take(this.direction, size) {
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(Some(Err(match this.direction {
                    Direction::Request => Error::HttpRequestBodySize(None),
                    Direction::Response => Error::HttpResponseBodySize(None),
                })))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            // A guest that takes its time with its own request is bounded by its wall time.
            Poll::Pending if this.direction == Direction::Request => Poll::Pending,
            Poll::Pending => match this.silence.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Error::ConnectionReadTimeout))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
