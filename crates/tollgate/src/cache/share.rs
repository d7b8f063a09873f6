//! How one answer serves many.

use crate::Gateway;
use crate::http::{Http, HttpClient, ReadBody, ReadOutcome, Rebuild};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderMap, Response, StatusCode};
use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What the cache asks of a protocol: an answer in a form that can be given out again and again.
#[diagnostic::on_unimplemented(
    message = "the cache cannot give out a `Result<{Res}, {Err}>` more than once with protocol `{Self}`",
    note = "typed calls: the answer and the error must be `Clone`",
    note = "HTTP: the response body must be `Rebuild`; `tower_http::map_response_body::MapResponseBodyLayer::new(axum::body::Body::new)` makes it one"
)]
pub trait Shares<Res, Err> {
    /// The form that is kept.
    type Kept: Clone + Send + Sync + 'static;
    /// Makes it.
    type Keep: Future<Output = (Result<Res, Err>, Option<Self::Kept>)> + Send;

    /// The answer, and its kept form; `None` when it is too large, broke off, or asks not to be kept.
    fn keep(&self, answer: Result<Res, Err>, largest_body: usize) -> Self::Keep;

    /// The answer from its kept form.
    fn give(&self, kept: &Self::Kept) -> Result<Res, Err>;
}

impl<Res, Err> Shares<Res, Err> for Gateway
where
    Res: Clone + Send + Sync + 'static,
    Err: Clone + Send + Sync + 'static,
{
    type Kept = Result<Res, Err>;
    type Keep = Ready<(Result<Res, Err>, Option<Self::Kept>)>;

    fn keep(&self, answer: Result<Res, Err>, _: usize) -> Self::Keep {
        let kept = answer.clone();
        ready((answer, Some(kept)))
    }

    fn give(&self, kept: &Self::Kept) -> Result<Res, Err> {
        kept.clone()
    }
}

/// An HTTP answer that can be given out again.
#[derive(Clone)]
pub struct KeptResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl KeptResponse {
    fn to_response<B: Rebuild>(&self) -> Response<B> {
        let mut response = Response::new(B::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

impl fmt::Debug for KeptResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptResponse")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Whether an answer asks to stay with the one who got it, or not to be given out unasked (RFC 9111, sections 4.1 and 5.2.2).
fn is_private(headers: &HeaderMap) -> bool {
    headers.contains_key(SET_COOKIE)
        || headers.get_all(VARY).iter().any(|value| value == "*")
        || headers.get_all(CACHE_CONTROL).iter().any(|value| {
            value.to_str().map_or(true, |value| {
                value.split(',').any(|word| {
                    let word = word.trim().to_ascii_lowercase();
                    let name = word.split('=').next().unwrap_or_default();
                    matches!(name, "no-store" | "no-cache" | "private") || word == "max-age=0"
                })
            })
        })
}

/// Reads an HTTP answer up to a limit.
#[must_use = "futures do nothing unless polled"]
pub struct Sharing<B, E>(Step<B, E>);

enum Step<B, E> {
    Reading(http::response::Parts, ReadBody<B>),
    /// As it is: an error, private, or too large to keep.
    AsIs(Result<Response<B>, E>),
    Done,
}

impl<B: Rebuild, E> Sharing<B, E> {
    fn new(answer: Result<Response<B>, E>, largest_body: usize) -> Self {
        Self(match answer {
            Ok(response) => {
                // only a body of known length is read: nothing may be lost by reading what then turns out too large
                let length = response.body().size_hint().exact();
                let fits = length.is_some_and(|length| length <= largest_body.try_into().unwrap_or(u64::MAX));
                if !fits || is_private(response.headers()) {
                    Step::AsIs(Ok(response))
                } else {
                    let (parts, body) = response.into_parts();
                    Step::Reading(parts, ReadBody::new(body, largest_body))
                }
            }
            Err(error) => Step::AsIs(Err(error)),
        })
    }
}

impl<B: Rebuild, E> Unpin for Sharing<B, E> {}

impl<B: Rebuild, E> Future for Sharing<B, E> {
    type Output = (Result<Response<B>, E>, Option<KeptResponse>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.0 {
            Step::Reading(_, body) => Some(ready!(body.poll_read(cx))),
            _ => None,
        };
        match (std::mem::replace(&mut self.0, Step::Done), outcome) {
            (Step::AsIs(answer), _) => Poll::Ready((answer, None)),
            (Step::Reading(parts, _), Some(ReadOutcome::Whole(body))) => {
                let kept = KeptResponse {
                    status: parts.status,
                    headers: parts.headers.clone(),
                    body: body.clone(),
                };
                Poll::Ready((Ok(Response::from_parts(parts, B::from(body))), Some(kept)))
            }
            // it broke off: say so instead of handing out half an answer
            (Step::Reading(..), _) => {
                let mut broken = Response::new(B::from(Bytes::new()));
                *broken.status_mut() = StatusCode::BAD_GATEWAY;
                Poll::Ready((Ok(broken), None))
            }
            (Step::Done, _) => unreachable!("polled after completion"),
        }
    }
}

impl<B, E> fmt::Debug for Sharing<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing").finish_non_exhaustive()
    }
}

macro_rules! http_shares {
    ($($protocol:ty)+) => {$(
        impl<B: Rebuild + Send, E: Send> Shares<Response<B>, E> for $protocol {
            type Kept = KeptResponse;
            type Keep = Sharing<B, E>;

            fn keep(&self, answer: Result<Response<B>, E>, largest_body: usize) -> Self::Keep {
                Sharing::new(answer, largest_body)
            }

            fn give(&self, kept: &KeptResponse) -> Result<Response<B>, E> {
                Ok(kept.to_response())
            }
        }
    )+};
}

http_shares! { Http HttpClient }
