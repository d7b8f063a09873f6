//! The layer: how long, how many, and under which key.

use super::key::{CacheKey, KeyOf};
use super::service::Cache;
use super::share::Shares;
use super::table::Table;
use crate::{Gateway, Http, HttpClient};
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_core::gateway::Call;
use tower_layer::Layer;
use tower_service::Service;

/// Keeps the answers of reads for a while. See the [module](super) for the lesson.
///
/// Every service that [`layer`](Layer::layer) makes has entries of its own, which its clones share: put the layer around the router or
/// client, not around each route.
pub struct CacheLayer<P, Req> {
    ttl: Duration,
    capacity: usize,
    stale_if_error: Duration,
    largest_body: usize,
    key: KeyOf<Req>,
    protocol: P,
}

impl<P, Req> CacheLayer<P, Req> {
    /// With a protocol of your own.
    pub fn new(
        ttl: Duration,
        protocol: P,
        key: impl Fn(&Req) -> Option<CacheKey> + Send + Sync + 'static,
    ) -> Self {
        Self {
            ttl,
            capacity: 1_000,
            stale_if_error: Duration::ZERO,
            largest_body: 1024 * 1024,
            key: Arc::new(key),
            protocol,
        }
    }

    /// Sets how many answers are kept (default: 1,000).
    #[must_use]
    pub const fn capacity(mut self, entries: usize) -> Self {
        self.capacity = if entries == 0 { 1 } else { entries };
        self
    }

    /// Sets how long past its time an answer may stand in for one that failed (default: not at all).
    #[must_use]
    pub const fn stale_if_error(mut self, longer: Duration) -> Self {
        self.stale_if_error = longer;
        self
    }

    /// Sets the largest HTTP body that is kept, in bytes (default: 1 MiB). Larger bodies, and bodies whose length is not known
    /// beforehand, pass unread and are not kept.
    #[must_use]
    pub const fn largest_body(mut self, bytes: usize) -> Self {
        self.largest_body = bytes;
        self
    }
}

impl<M> CacheLayer<Gateway, Call<M>> {
    /// Around typed calls.
    pub fn gateway(
        ttl: Duration,
        key: impl Fn(&Call<M>) -> Option<CacheKey> + Send + Sync + 'static,
    ) -> Self {
        Self::new(ttl, Gateway, key)
    }
}

/// Whether the answer to this request is the whole answer to its question: not a HEAD's without a body, not a range of it, not a 304
/// for somebody who has it already (RFC 9110, sections 9.3.2, 13 and 14).
fn asks_for_all<B>(request: &http::Request<B>) -> bool {
    let partial = [
        RANGE,
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
        IF_RANGE,
    ];
    request.method() == http::Method::GET && partial.iter().all(|name| !request.headers().contains_key(name))
}

impl<B> CacheLayer<Http, http::Request<B>> {
    /// Around an HTTP server's service.
    pub fn http(
        ttl: Duration,
        key: impl Fn(&http::Request<B>) -> Option<CacheKey> + Send + Sync + 'static,
    ) -> Self {
        Self::new(ttl, Http, move |request| {
            asks_for_all(request).then(|| key(request)).flatten()
        })
    }
}

impl<B> CacheLayer<HttpClient, http::Request<B>> {
    /// Around an HTTP client.
    pub fn http_client(
        ttl: Duration,
        key: impl Fn(&http::Request<B>) -> Option<CacheKey> + Send + Sync + 'static,
    ) -> Self {
        Self::new(ttl, HttpClient, move |request| {
            asks_for_all(request).then(|| key(request)).flatten()
        })
    }
}

impl<S, P, Req> Layer<S> for CacheLayer<P, Req>
where
    S: Service<Req>,
    P: Shares<S::Response, S::Error> + Clone,
{
    type Service = Cache<S, P, Req, P::Kept>;

    fn layer(&self, inner: S) -> Self::Service {
        let table = Table::new(self.capacity, self.ttl, self.stale_if_error);
        Cache::new(
            inner,
            Arc::new(Mutex::new(table)),
            Arc::clone(&self.key),
            self.largest_body,
            self.protocol.clone(),
        )
    }
}

impl<P: Clone, Req> Clone for CacheLayer<P, Req> {
    fn clone(&self) -> Self {
        Self {
            ttl: self.ttl,
            capacity: self.capacity,
            stale_if_error: self.stale_if_error,
            largest_body: self.largest_body,
            key: Arc::clone(&self.key),
            protocol: self.protocol.clone(),
        }
    }
}

impl<P: fmt::Debug, Req> fmt::Debug for CacheLayer<P, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer")
            .field("ttl", &self.ttl)
            .field("capacity", &self.capacity)
            .field("stale_if_error", &self.stale_if_error)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
