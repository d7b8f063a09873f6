//! The layer and its settings.

use super::remaining::HttpDeadline;
use super::service::DeadlineService;
use crate::{Gateway, HttpClient};
use std::time::Duration;
use tower_layer::Layer;

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
