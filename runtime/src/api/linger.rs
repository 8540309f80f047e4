//! Reads what an answer did not wait for: a request's body that no handler took.
//!
//! A connection that is closed while its client still sends is reset, and with it goes what the client has not yet read
//! of the answer. So the rest of a body is read, within bounds, while the answer is on its way.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use futures_util::StreamExt as _;
use hyper::body::{Frame, SizeHint};

/// Bytes that are read of a body that nobody wants.
const MAX_BYTES: usize = 1 << 20;

/// How long its sender may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same request, whose body is read to its end whatever becomes of it.
pub(super) fn linger(request: Request) -> Request {
    // Whoever asked before sending has sent nothing, and reading would tell it to.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return request;
    }
    request.map(|body| Body::new(Lingering { body, ended: false }))
}

/// A body, and whether its end was seen.
struct Lingering {
    body: Body,
    ended: bool,
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.ended = true;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if self.ended || self.body.is_end_stream() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let mut rest = std::mem::take(&mut self.body).into_data_stream();
        runtime.spawn(tokio::time::timeout(PATIENCE, async move {
            let mut read = 0_usize;
            while let Some(Ok(chunk)) = rest.next().await {
                read = read.saturating_add(chunk.len());
                if read > MAX_BYTES {
                    return;
                }
            }
        }));
    }
}
