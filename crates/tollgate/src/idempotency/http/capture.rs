//! Reads an answer for its stored form.

use super::head;
use crate::http::{ReadBody, ReadOutcome, Rebuild};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName};
use http::{Response, response};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tollgate_core::protocol::Captured;
use tollgate_core::store::idempotency::Envelope;

/// Reads an answer for its stored form.
pub struct CaptureResponse<R, E>(Capturing<R, E>);

enum Capturing<R, E> {
    Done(Option<Captured<Response<R>, E>>),
    Reading(Option<ReadingAnswer<R>>),
}

struct ReadingAnswer<R> {
    parts: response::Parts,
    head: Option<Arc<[u8]>>,
    kept: Arc<[HeaderName]>,
    read: ReadBody<R>,
}

impl<R: Rebuild, E> CaptureResponse<R, E> {
    pub(super) fn new(answer: Result<Response<R>, E>, kept: &Arc<[HeaderName]>, at_most: usize) -> Self {
        let response = match answer {
            Err(error) => return Self(Capturing::Done(Some((Err(error), None)))),
            Ok(response) => response,
        };
        // a body of unknown length streams: holding it back until its end would break it
        let storable = |size: u64| usize::try_from(size).is_ok_and(|size| size <= at_most);
        // and what a connection becomes after a 101 cannot be given a second time
        let is_upgrade = response.status().is_informational();
        if is_upgrade || !response.body().size_hint().exact().is_some_and(storable) {
            let elided = elided(
                response.status().as_u16(),
                head::encode(response.headers(), kept, true),
            );
            return Self(Capturing::Done(Some((Ok(response), Some(elided)))));
        }
        let (parts, body) = response.into_parts();
        Self(Capturing::Reading(Some(ReadingAnswer {
            head: head::encode(&parts.headers, kept, false),
            kept: Arc::clone(kept),
            parts,
            read: ReadBody::new(body, at_most),
        })))
    }
}

/// It happened, and this much is left of its answer.
fn elided(status: u16, head: Option<Arc<[u8]>>) -> Envelope {
    Envelope {
        ok: true,
        status,
        head,
        ..Envelope::default()
    }
}

impl<R, E> Unpin for CaptureResponse<R, E> {}

impl<R: Rebuild, E> Future for CaptureResponse<R, E> {
    type Output = Captured<Response<R>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reading = match &mut self.0 {
            Capturing::Done(done) => match done.take() {
                Some(done) => return Poll::Ready(done),
                None => unreachable!("polled after completion"),
            },
            Capturing::Reading(reading) => reading,
        };
        let Some(open) = reading.as_mut() else {
            unreachable!("polled after completion")
        };
        let outcome = ready!(open.read.poll_read(cx));
        let Some(ReadingAnswer {
            mut parts,
            head,
            kept,
            ..
        }) = reading.take()
        else {
            unreachable!("just seen")
        };
        let (body, envelope) = match outcome {
            // a copy: a slice of a larger buffer would keep the whole buffer alive as long as the record
            ReadOutcome::Whole(bytes) => {
                let envelope = Envelope {
                    ok: true,
                    status: parts.status.as_u16(),
                    head,
                    body: (&bytes[..]).into(),
                };
                (bytes, envelope)
            }
            // the effect happened, its answer broke: status and headers are the truth that is left
            ReadOutcome::TooLarge | ReadOutcome::Broken => {
                parts.headers.remove(CONTENT_LENGTH);
                (
                    Bytes::new(),
                    elided(parts.status.as_u16(), head::encode(&parts.headers, &kept, true)),
                )
            }
        };
        Poll::Ready((Ok(Response::from_parts(parts, R::from(body))), Some(envelope)))
    }
}

impl<R, E> fmt::Debug for CaptureResponse<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureResponse").finish_non_exhaustive()
    }
}
