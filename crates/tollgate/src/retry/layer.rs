//! `tower::retry::Retry` with our policy in it.

use super::budget::RetryBudget;
use super::policy::{RetryPolicy, RetryStats};
use super::rule::RetryConfig;
use crate::{Gateway, HttpClient};
use tower_layer::Layer;

/// The service that a [`RetryLayer`] makes: tower's own, with our judgement.
pub type Retry<P, S> = tower::retry::Retry<RetryPolicy<P>, S>;

/// Repeats attempts by the [rule](super::rule). See the [module](super) for the lesson. All services it makes share one budget.
#[derive(Clone, Debug)]
pub struct RetryLayer<P> {
    policy: RetryPolicy<P>,
}

impl<P> RetryLayer<P> {
    /// With a protocol of your own.
    pub fn new(config: RetryConfig, protocol: P) -> Self {
        Self {
            policy: RetryPolicy::new(config, protocol),
        }
    }

    /// With a budget that is shared with other layers.
    pub fn with_budget(config: RetryConfig, budget: RetryBudget, protocol: P) -> Self {
        Self {
            policy: RetryPolicy::with_budget(config, budget, protocol),
        }
    }

    /// What its services did.
    pub fn stats(&self) -> RetryStats {
        self.policy.stats()
    }
}

impl RetryLayer<Gateway> {
    /// Around typed calls.
    #[must_use]
    pub fn gateway(config: RetryConfig) -> Self {
        Self::new(config, Gateway)
    }
}

impl RetryLayer<HttpClient> {
    /// Around an HTTP client whose request bodies are `Clone`.
    #[must_use]
    pub fn http_client(config: RetryConfig) -> Self {
        Self::new(config, HttpClient)
    }
}

impl<S, P: Clone> Layer<S> for RetryLayer<P> {
    type Service = Retry<P, S>;

    fn layer(&self, inner: S) -> Self::Service {
        tower::retry::Retry::new(self.policy.clone(), inner)
    }
}
