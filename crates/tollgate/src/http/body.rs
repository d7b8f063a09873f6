//! Bodies that are read up to a limit and made again from bytes.

use bytes::{Bytes, BytesMut};
use http_body::Body;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A body that can be made again from bytes. Never implemented by hand: whatever is a `Body<Data = Bytes>` and
/// `From<Bytes>` is one (`axum::body::Body`, `http_body_util::Full<Bytes>`, `reqwest::Body`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made again from bytes",
    label = "this body cannot carry a problem document or a replayed answer",
    note = "put `tower_http::map_response_body::MapResponseBodyLayer::new(axum::body::Body::new)` between this layer and the service",
    note = "or implement `From<bytes::Bytes>` for your own body type"
)]
pub trait Rebuild: Body<Data = Bytes> + From<Bytes> + Unpin {}

impl<B: Body<Data = Bytes> + From<Bytes> + Unpin> Rebuild for B {}

/// What came of reading a body.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// All of it.
    Whole(Bytes),
    /// It is longer than the limit; what was read is gone.
    TooLarge,
    /// It broke off.
    Broken,
}

/// Reads a body up to a limit. A body of one frame is not copied. Trailers are dropped.
///
/// Dropping it costs nothing but what was read.
pub struct ReadBody<B> {
    body: B,
    limit: usize,
    first: Option<Bytes>,
    more: BytesMut,
}

impl<B: Body<Data = Bytes> + Unpin> ReadBody<B> {
    /// Reads `body` up to `limit` bytes.
    pub fn new(body: B, limit: usize) -> Self {
        Self {
            body,
            limit,
            first: None,
            more: BytesMut::new(),
        }
    }

    /// Reads on. Not to be called again after it was ready.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<ReadOutcome> {
        if usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX) > self.limit {
            return Poll::Ready(ReadOutcome::TooLarge);
        }
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(ReadOutcome::Whole(self.taken())),
                Some(Err(_)) => return Poll::Ready(ReadOutcome::Broken),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.keep(data);
                    if self.more.len() + self.first.as_ref().map_or(0, Bytes::len) > self.limit {
                        return Poll::Ready(ReadOutcome::TooLarge);
                    }
                }
            }
        }
    }

    fn keep(&mut self, data: Bytes) {
        if self.first.is_none() && self.more.is_empty() {
            self.first = Some(data);
            return;
        }
        if let Some(first) = self.first.take() {
            self.more.extend_from_slice(&first);
        }
        self.more.extend_from_slice(&data);
    }

    fn taken(&mut self) -> Bytes {
        self.first.take().unwrap_or_else(|| self.more.split().freeze())
    }
}

impl<B: Body<Data = Bytes> + Unpin> Future for ReadBody<B> {
    type Output = ReadOutcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ReadOutcome> {
        self.get_mut().poll_read(cx)
    }
}

impl<B: Unpin> Unpin for ReadBody<B> {}

impl<B> fmt::Debug for ReadBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBody")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
