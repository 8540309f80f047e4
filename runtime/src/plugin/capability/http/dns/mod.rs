//! Which addresses a name has: asked of the machine's own resolver, or of one DNS server that the operator names.
//!
//! Nothing is kept: the next request asks again, and what it is answered is checked again.

mod message;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, Shared, select};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wasmtime_wasi_http::Error;

use self::message::{Asked, Kind, Question, Read};

/// Addresses that are taken for one name; no service has so many, and each is checked.
const MOST_ADDRESSES: usize = 64;

/// How long one datagram is waited for, and how often another is sent. What is asked over TCP is waited for as long as
/// all of them.
const PATIENCE: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 3;

/// What is taken in of one datagram. Servers send no more than 512 bytes to whoever does not ask for more.
const DATAGRAM_BYTES: usize = 4 << 10;

/// Why a name has no addresses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unresolved {
    /// No server answered.
    TimedOut,
    /// There is no such name, or it has no address.
    Unknown,
    /// The server refuses to say, with this code.
    Refused(u8),
    /// What it said is not an answer, or is more than one.
    Broken,
    /// It could not be asked.
    Unreachable,
}

impl From<Unresolved> for Error {
    fn from(why: Unresolved) -> Self {
        match why {
            Unresolved::TimedOut => Self::DnsTimeout,
            Unresolved::Unknown => Self::DestinationNotFound,
            Unresolved::Refused(code) => Self::DnsError {
                rcode: Some(code.to_string()),
                info_code: None,
            },
            Unresolved::Broken | Unresolved::Unreachable => Self::DnsError {
                rcode: None,
                info_code: None,
            },
        }
    }
}

impl From<io::Error> for Unresolved {
    fn from(_: io::Error) -> Self {
        Self::Unreachable
    }
}

/// Names that the machine's own resolver looks up at a time, for all guests together.
const LOOKUPS: usize = 32;

/// Who looks names up.
pub(super) struct Resolver {
    server: Option<SocketAddr>,
    lookups: Arc<Semaphore>,
    under_way: Arc<Mutex<HashMap<String, Lookup>>>,
}

/// A question to the machine, whose answer is for everybody who asks the same meanwhile.
type Lookup = Shared<BoxFuture<'static, Result<Vec<IpAddr>, Unresolved>>>;

impl Default for Resolver {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Resolver {
    /// One that asks a server, or where there is none the machine.
    pub(super) fn new(server: Option<SocketAddr>) -> Self {
        Self {
            server,
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            under_way: Arc::default(),
        }
    }

    /// All addresses of a name.
    pub(super) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let addresses = match self.server {
            // No server knows better where this machine is.
            Some(_) if is_local(name) => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            Some(server) => ask(server, name).await?,
            None => self.look_up(name.to_owned()).await?,
        };
        match addresses.len() {
            0 => Err(Unresolved::Unknown),
            1..=MOST_ADDRESSES => Ok(addresses),
            // Not the first of them: which those are would be the server's choice.
            _ => Err(Unresolved::Broken),
        }
    }

    /// Asks the machine. That blocks a thread for as long as the machine likes and cannot be broken off, whatever time a
    /// guest has for it: so the thread is counted until it is free again, and not until the guest is gone. One plugin has
    /// few names, and of each one lookup at a time: it cannot take all of them.
    async fn look_up(&self, name: String) -> Result<Vec<IpAddr>, Unresolved> {
        let lookup = {
            let mut under_way = self
                .under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let begin = || self.begin(name.clone());
            under_way.entry(name.clone()).or_insert_with(begin).clone()
        };
        lookup.await
    }

    /// Begins a lookup that goes on whether or not anybody waits for it.
    fn begin(&self, name: String) -> Lookup {
        let (lookups, under_way) = (Arc::clone(&self.lookups), Arc::clone(&self.under_way));
        let found = tokio::spawn(async move {
            let permit = lookups.acquire_owned().await;
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            drop(permit);
            let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.remove(&name);
            let found = found?;
            Ok(found.map(|address| address.ip()).collect())
        });
        let found = found.map(|ended| ended.unwrap_or(Err(Unresolved::Unreachable)));
        found.boxed().shared()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

fn is_local(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Asks a server for both kinds of addresses. Where it answers for one of them only, that is what there is, and the other
/// is not waited for long. An answer that is none spoils both.
async fn ask(server: SocketAddr, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
    let old = pin!(ask_for(server, name, Kind::V4));
    let new = pin!(ask_for(server, name, Kind::V6));
    let (first, other) = match select(old, new).await {
        Either::Left((first, other)) => (first, Either::Left(other)),
        Either::Right((first, other)) => (first, Either::Right(other)),
    };
    let found = first.as_ref().is_ok_and(|addresses| !addresses.is_empty());
    let patience = if found {
        PATIENCE
    } else {
        PATIENCE * (2 * ATTEMPTS)
    };
    let second = timeout(patience, other).await;
    match (first, second.unwrap_or(Err(Unresolved::TimedOut))) {
        (Ok(mut addresses), Ok(more)) => {
            addresses.extend(more);
            Ok(addresses)
        }
        (Err(Unresolved::Broken), _) | (_, Err(Unresolved::Broken)) => Err(Unresolved::Broken),
        (Ok(addresses), Err(_)) | (Err(_), Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        (Err(why), _) | (_, Err(why)) => Err(why),
    }
}

async fn ask_for(server: SocketAddr, name: &str, kind: Kind) -> Result<Vec<IpAddr>, Unresolved> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|_| Unresolved::Unreachable)?;
    let question = Question::new(u16::from_be_bytes(id), name, kind);
    match over_udp(server, &question).await? {
        Asked::Answered(addresses) => Ok(addresses),
        Asked::Truncated => match timeout(PATIENCE * ATTEMPTS, over_tcp(server, &question)).await {
            Ok(answered) => answered,
            Err(_) => Err(Unresolved::TimedOut),
        },
    }
}

async fn over_udp(server: SocketAddr, question: &Question) -> Result<Asked, Unresolved> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for each question, and datagrams from nobody but the server: who wants to answer in its place
    // has to guess the port and the number of the question.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    for _ in 0..ATTEMPTS {
        socket.send(question.bytes()).await?;
        if let Ok(answered) = timeout(PATIENCE, received(&socket, question)).await {
            return answered;
        }
    }
    Err(Unresolved::TimedOut)
}

/// The first datagram that answers this question.
async fn received(socket: &UdpSocket, question: &Question) -> Result<Asked, Unresolved> {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match question.read(buffer.get(..length).unwrap_or_default()) {
            Read::Another => {}
            Read::Answer(answered) => return answered,
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Question) -> Result<Vec<IpAddr>, Unresolved> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.bytes().len()).map_err(|_| Unresolved::Broken)?;
    let framed = [&length.to_be_bytes()[..], question.bytes()].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    match question.read(&answer) {
        Read::Answer(Ok(Asked::Answered(addresses))) => Ok(addresses),
        Read::Answer(Err(why)) => Err(why),
        Read::Answer(Ok(Asked::Truncated)) | Read::Another => Err(Unresolved::Broken),
    }
}
