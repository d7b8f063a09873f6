//! The layer and its settings.

use super::key::{KeyedBy, Unkeyed};
use super::limit::PerKey;
use super::service::RateLimit;
use crate::{Gateway, Http, HttpClient};
use std::time::Duration;
use tower_layer::Layer;

/// Lets calls through no faster than a limit grants units. See the [module](super) for the lesson.
///
/// The limit is shared by every service the layer makes.
#[derive(Clone, Debug)]
pub struct RateLimitLayer<P, L, K = Unkeyed> {
    limit: L,
    protocol: P,
    key: K,
    wait_at_most: Duration,
}

impl<P, L> RateLimitLayer<P, L> {
    /// With a protocol of your own.
    pub const fn new(limit: L, protocol: P) -> Self {
        Self {
            limit,
            protocol,
            key: Unkeyed,
            wait_at_most: Duration::ZERO,
        }
    }
}

impl<L> RateLimitLayer<Gateway, L> {
    /// Around typed calls.
    pub const fn gateway(limit: L) -> Self {
        Self::new(limit, Gateway)
    }
}

impl<L> RateLimitLayer<Http, L> {
    /// Around an HTTP server's service.
    pub const fn http(limit: L) -> Self {
        Self::new(limit, Http)
    }
}

impl<L> RateLimitLayer<HttpClient, L> {
    /// Around an HTTP client.
    pub const fn http_client(limit: L) -> Self {
        Self::new(limit, HttpClient)
    }
}

impl<P, L, K> RateLimitLayer<P, L, K> {
    /// Sets how long a call may wait for a unit (default: not at all).
    #[must_use]
    pub fn wait_at_most(mut self, wait: Duration) -> Self {
        self.wait_at_most = wait;
        self
    }

    /// Sets whose quota a call uses (default: one for all). Keys are hashed before they reach a store. Take an address from the
    /// connection or a proxy you trust, never the left-most `X-Forwarded-For`, and cut IPv6 to its /64.
    ///
    /// A [`LocalLimit`](super::LocalLimit) has one quota for all and cannot be keyed:
    ///
    /// ```compile_fail,E0277
    /// # use std::num::NonZeroU32;
    /// # use tollgate::rate_limit::{LocalLimit, RateLimitLayer};
    /// # use tollgate_core::store::quota::Quota;
    /// let limit = LocalLimit::new(Quota::per_second(NonZeroU32::MIN));
    /// let _ = RateLimitLayer::http(limit).keyed(|_: &http::Request<()>| Some("shop-1".to_owned()));
    /// ```
    #[must_use]
    pub fn keyed<Req>(
        self,
        key: impl Fn(&Req) -> Option<String> + Send + Sync + 'static,
    ) -> RateLimitLayer<P, L, KeyedBy<Req>>
    where
        L: PerKey,
    {
        RateLimitLayer {
            limit: self.limit,
            protocol: self.protocol,
            key: KeyedBy::new(key),
            wait_at_most: self.wait_at_most,
        }
    }
}

impl<S, P: Clone, L: Clone, K: Clone> Layer<S> for RateLimitLayer<P, L, K> {
    type Service = RateLimit<S, P, L, K>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimit::new(
            inner,
            self.limit.clone(),
            self.protocol.clone(),
            self.key.clone(),
            self.wait_at_most,
        )
    }
}
