//! The layer: an engine, where the facts come from, and what is done about a review.

use super::decision::OnReview;
use super::engine::Engine;
use super::facts::{Facts, FactsOf};
use super::service::Fraud;
use crate::{Gateway, Http, HttpClient};
use std::fmt;
use std::sync::Arc;
use tollgate_core::gateway::{Authorize, Call, Sale};
use tower_layer::Layer;

/// Screens payments before they are sent. See the [module](super) for the lesson.
pub struct FraudLayer<P, Req> {
    engine: Engine,
    facts: FactsOf<Req>,
    on_review: OnReview,
    protocol: P,
}

impl<P, Req> FraudLayer<P, Req> {
    /// With a protocol of your own.
    pub fn new(engine: Engine, protocol: P, facts: impl Fn(&Req) -> Facts + Send + Sync + 'static) -> Self {
        Self {
            engine,
            facts: Arc::new(facts),
            on_review: OnReview::Hold,
            protocol,
        }
    }

    /// Sets what happens to a payment that a person should look at (default: it is held).
    #[must_use]
    pub const fn on_review(mut self, on_review: OnReview) -> Self {
        self.on_review = on_review;
        self
    }
}

impl<M> FraudLayer<Gateway, Call<M>> {
    /// Around typed calls, with the facts taken from each call.
    pub fn gateway(engine: Engine, facts: impl Fn(&Call<M>) -> Facts + Send + Sync + 'static) -> Self {
        Self::new(engine, Gateway, facts)
    }
}

impl FraudLayer<Gateway, Call<Sale>> {
    /// Around sales, with what the message says by itself.
    #[must_use]
    pub fn sales(engine: Engine) -> Self {
        Self::gateway(engine, |call| Facts::of(&call.message.payment))
    }
}

impl FraudLayer<Gateway, Call<Authorize>> {
    /// Around authorizations, with what the message says by itself.
    #[must_use]
    pub fn authorizations(engine: Engine) -> Self {
        Self::gateway(engine, |call| Facts::of(&call.message.payment))
    }
}

impl<B> FraudLayer<Http, http::Request<B>> {
    /// Around an HTTP server's service, with the facts taken from each request: headers, and extensions that a layer further out
    /// put there. Requests that move no money (GET, HEAD, OPTIONS) pass.
    pub fn http(engine: Engine, facts: impl Fn(&http::Request<B>) -> Facts + Send + Sync + 'static) -> Self {
        Self::new(engine, Http, facts)
    }
}

impl<B> FraudLayer<HttpClient, http::Request<B>> {
    /// Around an HTTP client, with the facts taken from each request.
    pub fn http_client(
        engine: Engine,
        facts: impl Fn(&http::Request<B>) -> Facts + Send + Sync + 'static,
    ) -> Self {
        Self::new(engine, HttpClient, facts)
    }
}

impl<P: Clone, Req> Clone for FraudLayer<P, Req> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            facts: Arc::clone(&self.facts),
            on_review: self.on_review,
            protocol: self.protocol.clone(),
        }
    }
}

impl<P: fmt::Debug, Req> fmt::Debug for FraudLayer<P, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FraudLayer")
            .field("engine", &self.engine)
            .field("on_review", &self.on_review)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

impl<S, P: Clone, Req> Layer<S> for FraudLayer<P, Req> {
    type Service = Fraud<S, P, Req>;

    fn layer(&self, inner: S) -> Self::Service {
        Fraud::new(
            inner,
            self.engine.clone(),
            Arc::clone(&self.facts),
            self.on_review,
            self.protocol.clone(),
        )
    }
}
