//! The layer and its settings.

use super::histogram::Timings;
use super::recorder::Recorder;
use super::service::Timing;
use crate::{Gateway, Http, HttpClient};
use std::fmt;
use std::sync::Arc;
use tower_layer::Layer;

/// Measures calls. See the [module](super) for the lesson. All services it makes share one set of [`Timings`].
#[derive(Clone)]
pub struct TimingLayer<P> {
    pub(super) timings: Timings,
    pub(super) recorder: Option<Arc<dyn Recorder>>,
    protocol: P,
}

impl<P> TimingLayer<P> {
    /// With a protocol of your own.
    pub fn new(protocol: P) -> Self {
        Self {
            timings: Timings::default(),
            recorder: None,
            protocol,
        }
    }

    /// What was measured.
    pub const fn timings(&self) -> &Timings {
        &self.timings
    }

    /// Sets who hears of every call (default: nobody).
    #[must_use]
    pub fn recorder(mut self, recorder: impl Recorder) -> Self {
        self.recorder = Some(Arc::new(recorder));
        self
    }
}

impl TimingLayer<Gateway> {
    /// Around typed calls.
    #[must_use]
    pub fn gateway() -> Self {
        Self::new(Gateway)
    }
}

impl TimingLayer<Http> {
    /// Around an HTTP server's service.
    #[must_use]
    pub fn http() -> Self {
        Self::new(Http)
    }
}

impl TimingLayer<HttpClient> {
    /// Around an HTTP client.
    #[must_use]
    pub fn http_client() -> Self {
        Self::new(HttpClient)
    }
}

impl<P> fmt::Debug for TimingLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimingLayer")
            .field("recorder", &self.recorder.is_some())
            .finish_non_exhaustive()
    }
}

impl<S, P: Clone> Layer<S> for TimingLayer<P> {
    type Service = Timing<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Timing::new(
            inner,
            self.timings.clone(),
            self.recorder.clone(),
            self.protocol.clone(),
        )
    }
}
