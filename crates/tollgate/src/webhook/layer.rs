//! The layer and its settings.

use super::config::{Shared, WebhookConfig};
use super::scheme::Scheme;
use super::service::Webhook;
use std::fmt;
use std::sync::Arc;
use tollgate_core::store::dedup::DedupStore;
use tollgate_core::{Clock, SystemClock};
use tower_layer::Layer;

/// Lets only verified events through, each once. See the [module](super) for the lesson.
pub struct WebhookLayer<C, St> {
    shared: Arc<Shared<C, St>>,
}

impl<C: Scheme, St: DedupStore> WebhookLayer<C, St> {
    /// This scheme and store, the default settings, the system's clock, one endpoint.
    pub fn new(scheme: C, store: St) -> Self {
        Self::with(scheme, store, WebhookConfig::default(), SystemClock, "")
    }

    /// With everything said: `endpoint` keeps two accounts of one provider apart that number their events alike (seed W12).
    pub fn with(
        scheme: C,
        store: St,
        config: WebhookConfig,
        clock: impl Clock,
        endpoint: impl Into<Arc<str>>,
    ) -> Self {
        let shared = Shared {
            scheme,
            store,
            clock: Arc::new(clock),
            endpoint: endpoint.into(),
            config,
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl<C, St> Clone for WebhookLayer<C, St> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<C: fmt::Debug, St> fmt::Debug for WebhookLayer<C, St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookLayer")
            .field("scheme", &self.shared.scheme)
            .field("endpoint", &self.shared.endpoint)
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

impl<S, C, St> Layer<S> for WebhookLayer<C, St> {
    type Service = Webhook<S, C, St>;

    fn layer(&self, inner: S) -> Self::Service {
        Webhook::new(inner, Arc::clone(&self.shared))
    }
}
