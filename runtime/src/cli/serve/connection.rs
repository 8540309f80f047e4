//! A bound on open connections, so that their openers cannot use up the process's file descriptors; and on those of one
//! address, so that it alone cannot hold off everybody else.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::network;

/// Lets in so many connections at a time; those beyond are closed at once.
#[derive(Clone)]
pub(super) struct Limited<A> {
    inner: A,
    free: Arc<Semaphore>,
    shares: Shares,
}

impl<A> Limited<A> {
    pub(super) fn new(inner: A, most: usize, shares: Shares) -> Self {
        Self {
            inner,
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            shares,
        }
    }
}

impl<A, S> Accept<TcpStream, S> for Limited<A>
where
    A: Accept<TcpStream, S>,
    A::Future: Send + 'static,
{
    type Stream = Counted<A::Stream>;
    type Service = A::Service;
    type Future =
        Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send + 'static>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let place = self.shares.take(&stream).and_then(|share| {
            let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
            Some((permit, share))
        });
        // Without a place the stream is dropped, which closes it.
        let accepted = place.map(|place| (place, self.inner.accept(stream, service)));
        Box::pin(async move {
            let (place, accepted) = accepted.ok_or_else(|| {
                io::Error::new(io::ErrorKind::ResourceBusy, "too many connections are open")
            })?;
            let (stream, service) = accepted.await?;
            let counted = Counted {
                stream,
                _place: place,
            };
            Ok((counted, service))
        })
    }
}

/// Open connections of each sender.
type Held = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// How many connections each sender may have.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    most: usize,
    exempt: Arc<[IpAddr]>,
    held: Held,
}

impl Shares {
    /// So many for each address, but for those that speak for others.
    pub(super) fn new(most: usize, exempt: &[IpAddr]) -> Self {
        Self {
            most,
            exempt: exempt.into(),
            held: Arc::default(),
        }
    }

    /// A share of the stream's sender, if it has one left. Who is gone already gets none.
    fn take(&self, stream: &TcpStream) -> Option<Share> {
        let address = stream.peer_addr().ok()?.ip().to_canonical();
        self.take_for(address)
    }

    fn take_for(&self, address: IpAddr) -> Option<Share> {
        if self.exempt.contains(&address) {
            return Some(Share { of: None });
        }
        let sender = network(address);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(sender).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share {
            of: Some((sender, Arc::clone(&self.held))),
        })
    }
}

/// One connection of an address; it has one more when this is dropped.
struct Share {
    of: Option<(IpAddr, Held)>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((address, held)) = &self.of else {
            return;
        };
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                held.remove(address);
            }
        }
    }
}

/// A connection that gives its place back when it is closed.
pub(super) struct Counted<S> {
    stream: S,
    _place: (OwnedSemaphorePermit, Share),
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let shares = Shares::new(2, &[address("10.0.0.1")]);
        let first = shares.take_for(address("192.0.2.1"));
        let second = shares.take_for(address("192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(shares.take_for(address("192.0.2.1")).is_none());
        assert!(shares.take_for(address("192.0.2.2")).is_some());
        drop(first);
        assert!(shares.take_for(address("192.0.2.1")).is_some());
        drop(second);
        assert!(shares.held.lock().expect("it is free").is_empty());
    }

    #[test]
    fn a_proxy_that_is_trusted_has_no_bound_of_its_own_and_a_network_shares_one() {
        let shares = Shares::new(1, &[address("10.0.0.1")]);
        let many: Vec<_> = (0..9)
            .map(|_| shares.take_for(address("10.0.0.1")))
            .collect();
        assert!(many.iter().all(Option::is_some));
        let one = shares.take_for(address("2001:db8:0:1::1"));
        assert!(one.is_some());
        assert!(shares.take_for(address("2001:db8:0:1::2")).is_none());
        assert!(shares.take_for(address("2001:db8:0:2::2")).is_some());
    }
}
