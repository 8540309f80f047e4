//! Sends one checked request: resolves once, dials only addresses that were checked, follows nothing.

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
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, OwnedSemaphorePermit};
use tokio::time::{Instant, Sleep, timeout};
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::address::{Reach, reach};
use super::secret::BoundSecret;
use super::url::{Host, Origin};
use crate::plugin::limits::Meter;

/// The longest wait for a connection and for each piece of an answer, whatever the guest wants.
const LONGEST_CONNECT: Duration = Duration::from_secs(30);
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// Headers of a response, as bytes and as lines.
const HEADER_BYTES: usize = 64 << 10;
const HEADER_LINES: usize = 128;

/// What every request of every guest is sent with.
#[derive(Debug, Default)]
pub(crate) struct HttpClient {
    /// Whether a grant may allow inside addresses at all.
    allow_private: bool,
    /// Where this portal itself listens: it would be asked with the trust that it has in this machine.
    own: Option<SocketAddr>,
    tls: OnceCell<TlsSettings>,
}

#[derive(Clone)]
struct TlsSettings(Arc<rustls::ClientConfig>);

impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsSettings")
    }
}

/// A request that the grant allows, in the form in which it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(super) origin: Origin,
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
    pub(crate) fn new(allow_private: bool, own: Option<SocketAddr>) -> Self {
        Self {
            allow_private,
            own,
            ..Self::default()
        }
    }

    pub(super) async fn send(
        &self,
        allowed: Allowed,
        mut request: Request<WasiBody>,
        attached: Option<(HeaderName, HeaderValue)>,
        options: Option<RequestOptions>,
        meter: Arc<Meter>,
        permit: OwnedSemaphorePermit,
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
            .map(|body| Counted::new(body, Arc::clone(&meter), between, Direction::Request, None));

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
            Counted::new(body, meter, between, Direction::Response, Some(permit)).boxed_unsync()
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
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(self.secure(allowed, stream).await?),
                Err(error) => failed = Error::Connect(error),
            }
        }
        Err(failed.into())
    }

    /// The addresses of a host, all of them allowed. One bad one among good ones is how a name is turned around
    /// between check and use: then none is dialled.
    async fn resolve(&self, allowed: &Allowed) -> Result<Vec<SocketAddr>, Unsent> {
        let port = allowed.origin.port;
        let addresses: Vec<SocketAddr> = match &allowed.origin.host {
            Host::Address(address) => vec![SocketAddr::new(*address, port)],
            Host::Name(name) => {
                let unknown = |_| Error::DnsError {
                    rcode: None,
                    info_code: None,
                };
                tokio::net::lookup_host((name.as_str(), port))
                    .await
                    .map_err(unknown)?
                    .collect()
            }
        };
        if addresses.is_empty() {
            return Err(Error::DestinationNotFound.into());
        }
        for address in &addresses {
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

    async fn secure(&self, allowed: &Allowed, stream: TcpStream) -> Result<Stream, Error> {
        if !allowed.origin.encrypted {
            return Ok(Box::new(stream));
        }
        let name = match &allowed.origin.host {
            Host::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?
            }
            Host::Address(address) => ServerName::from(*address),
        };
        let settings = self.tls.get_or_try_init(TlsSettings::load).await?.clone();
        let stream = TlsConnector::from(settings.0)
            .connect(name, stream)
            .await
            .map_err(Error::Tls)?;
        Ok(Box::new(stream))
    }
}

impl TlsSettings {
    /// Trusts what this machine trusts, so that a company's own authorities work.
    async fn load() -> Result<Self, Error> {
        let load = || {
            let mut roots = rustls::RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                tracing::error!(errors = ?found.errors, "this machine has no trusted certificates: plugins cannot use https");
            }
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let versions = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions();
            versions.map(|builder| {
                Self(Arc::new(
                    builder.with_root_certificates(roots).with_no_client_auth(),
                ))
            })
        };
        match tokio::task::spawn_blocking(load).await {
            Ok(Ok(settings)) => Ok(settings),
            _ => Err(Error::ConfigurationError),
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

/// A connection, encrypted or not.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

type Stream = Box<dyn Connection>;

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

/// A body whose bytes are charged to the call, and that breaks off when nothing comes for too long.
struct Counted<B> {
    inner: B,
    meter: Arc<Meter>,
    between: Duration,
    silence: Pin<Box<Sleep>>,
    direction: Direction,
    /// Held until the response was taken in.
    _permit: Option<OwnedSemaphorePermit>,
}

impl<B> Counted<B> {
    fn new(
        inner: B,
        meter: Arc<Meter>,
        between: Duration,
        direction: Direction,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let silence = Box::pin(tokio::time::sleep(between));
        Self {
            inner,
            meter,
            between,
            silence,
            direction,
            _permit: permit,
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
                if this.meter.take_http_bytes(size) {
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
