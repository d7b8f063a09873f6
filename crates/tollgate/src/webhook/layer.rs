//! Configuration.

use super::scheme::Scheme;
use super::service::Webhook;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::store::dedup::DedupStore;
use tollgate_core::{Clock, SystemClock};
use tower_layer::Layer;

/// The settings of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WebhookConfig {
    /// How far a timestamp may lie from now, in both directions (default: 300 s).
    pub tolerance: Duration,
    /// The largest body, in bytes (default: 1 MiB).
    pub max_body: usize,
    /// How long the handler may take before a redelivery takes over (default: 60 s).
    pub lease: Duration,
    /// How long a processed event is remembered (default: 35 days, longer than providers send again).
    pub retention: Duration,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            tolerance: Duration::from_secs(300),
            max_body: 1 << 20,
            lease: Duration::from_secs(60),
            retention: Duration::from_secs(35 * 24 * 60 * 60),
        }
    }
}

macro_rules! setters {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty;)+) => {
        impl WebhookConfig {
            $($(#[doc = $doc])+
            #[must_use]
            pub const fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            })+
        }
    };
}

setters! {
    /// Sets how far a timestamp may lie from now (default: 300 s).
    tolerance: Duration;
    /// Sets the largest body, in bytes (default: 1 MiB).
    max_body: usize;
    /// Sets how long the handler may take (default: 60 s).
    lease: Duration;
    /// Sets how long a processed event is remembered (default: 35 days).
    retention: Duration;
}

pub(super) struct Shared<C, St> {
    pub(super) scheme: C,
    pub(super) store: St,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) endpoint: Arc<str>,
    pub(super) config: WebhookConfig,
}

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
