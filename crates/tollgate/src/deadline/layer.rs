//! Configuration.

use super::service::DeadlineService;
use crate::http::Rebuild;
use crate::{Gateway, Http, HttpClient};
use http::{Request, Response};
use std::time::Duration;
use tollgate_core::context::CallContext;
use tollgate_core::gateway::{Call, Message};
use tollgate_core::protocol::{Answers, Operation, Requests};
use tollgate_core::{Rejection, Verdict};
use tower_layer::Layer;

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

/// Gives each call this long. See the [module](super) for the lesson.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer<P> {
    within: Duration,
    at_least: Duration,
    protocol: P,
}

impl<P> DeadlineLayer<P> {
    /// With a protocol of your own.
    pub const fn new(within: Duration, protocol: P) -> Self {
        Self {
            within,
            at_least: Duration::from_millis(1),
            protocol,
        }
    }

    /// Sets how much time a call needs to be worth starting (default: 1 ms).
    #[must_use]
    pub fn at_least(mut self, needed: Duration) -> Self {
        self.at_least = needed;
        self
    }
}

impl DeadlineLayer<Gateway> {
    /// Around typed calls.
    #[must_use]
    pub const fn gateway(within: Duration) -> Self {
        Self::new(within, Gateway)
    }
}

impl DeadlineLayer<HttpDeadline> {
    /// Around an HTTP server's service.
    #[must_use]
    pub const fn http(within: Duration) -> Self {
        Self::new(within, HttpDeadline)
    }
}

impl DeadlineLayer<HttpClient> {
    /// Around an HTTP client.
    #[must_use]
    pub const fn http_client(within: Duration) -> Self {
        Self::new(within, HttpClient)
    }
}

impl<S, P: Clone> Layer<S> for DeadlineLayer<P> {
    type Service = DeadlineService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService::new(inner, self.within, self.at_least, self.protocol.clone())
    }
}
