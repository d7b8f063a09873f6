//! Settings, and what the services of one layer share.

use crate::setters::setters;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::Clock;

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
    /// How long a processed event is remembered (default: 35 days, longer than providers send again). [`Upkeep`](super::Upkeep) forgets
    /// it after that.
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

setters! {
    WebhookConfig {
        /// Sets how far a timestamp may lie from now (default: 300 s).
        tolerance: Duration;
        /// Sets the largest body, in bytes (default: 1 MiB).
        max_body: usize;
        /// Sets how long the handler may take (default: 60 s).
        lease: Duration;
        /// Sets how long a processed event is remembered (default: 35 days).
        retention: Duration;
    }
}

pub(super) struct Shared<C, St> {
    pub(super) scheme: C,
    pub(super) store: St,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) endpoint: Arc<str>,
    pub(super) config: WebhookConfig,
}
