//! How much time a request's caller has left.

use crate::http::Rebuild;
use crate::{Gateway, Http, HttpClient};
use http::{Request, Response};
use std::time::Duration;
use tollgate_core::context::CallContext;
use tollgate_core::gateway::{Call, Message};
use tollgate_core::protocol::{Answers, Operation, Requests};
use tollgate_core::{Rejection, Verdict};

/// The header that holds the caller's remaining time, in milliseconds.
pub const REQUEST_DEADLINE_MS: &str = "x-request-deadline-ms";

/// Where a request says how much time its caller has left.
pub trait Remaining<Req> {
    /// The caller's word, if there is one.
    fn remaining(&self, req: &Req) -> Option<Duration>;
}

impl<M: Message> Remaining<Call<M>> for Gateway {
    fn remaining(&self, _: &Call<M>) -> Option<Duration> {
        None
    }
}

impl<B> Remaining<Request<B>> for HttpClient {
    fn remaining(&self, _: &Request<B>) -> Option<Duration> {
        None
    }
}

/// [`Http`], and the deadline header.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpDeadline;

impl<B> Remaining<Request<B>> for HttpDeadline {
    fn remaining(&self, req: &Request<B>) -> Option<Duration> {
        let text = req.headers().get(REQUEST_DEADLINE_MS)?.to_str().ok()?;
        text.parse().ok().map(Duration::from_millis)
    }
}

impl<B> Requests<Request<B>> for HttpDeadline {
    fn operation<'r>(&self, req: &'r Request<B>) -> Operation<'r> {
        Http.operation(req)
    }
    fn context<'r>(&self, req: &'r Request<B>) -> Option<&'r CallContext> {
        Http.context(req)
    }
    fn context_mut<'r>(&self, req: &'r mut Request<B>) -> &'r mut CallContext {
        Http.context_mut(req)
    }
}

impl<B: Rebuild, E> Answers<Response<B>, E> for HttpDeadline {
    fn judge(&self, answer: &Result<Response<B>, E>) -> Verdict {
        Http.judge(answer)
    }
    fn refuse(&self, rejection: Rejection) -> Result<Response<B>, E> {
        Http.refuse(rejection)
    }
}
