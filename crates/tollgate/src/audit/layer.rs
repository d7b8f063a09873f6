//! Configuration.

use super::service::Audit;
use crate::{Gateway, Http, HttpClient};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tollgate_core::Secrets;
use tollgate_core::id::hex;
use tollgate_core::store::audit::AuditStore;
use tower_layer::Layer;

/// A named chain in a store. Clones write to the same one.
pub struct AuditLog<St>(pub(super) Arc<Log<St>>);

pub(super) struct Log<St> {
    store: St,
    chain: Arc<str>,
    secrets: Secrets,
    process: [u8; 8],
    calls: AtomicU64,
    lost: AtomicU64,
}

impl<St: AuditStore> AuditLog<St> {
    /// The chain of this name. The secrets turn callers into pseudonyms.
    ///
    /// # Panics
    /// If the operating system gives no randomness.
    pub fn new(store: St, chain: impl Into<Arc<str>>, secrets: Secrets) -> Self {
        let mut process = [0; 8];
        #[expect(clippy::expect_used, reason = "stated in the documentation")]
        getrandom::fill(&mut process).expect("the operating system gives no randomness");
        let (calls, lost) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Log {
            store,
            chain: chain.into(),
            secrets,
            process,
            calls,
            lost,
        }))
    }

    /// How many outcomes could not be written although it was tried for minutes. Their intents stand alone in the log.
    pub fn lost_outcomes(&self) -> u64 {
        self.0.lost.load(Relaxed)
    }

    pub(super) fn next_call(&self) -> String {
        format!("{}-{}", hex(&self.0.process), self.0.calls.fetch_add(1, Relaxed))
    }

    pub(super) fn pseudonym(&self, caller: &str) -> String {
        hex(&self.0.secrets.pseudonym("audit/caller", caller)[..8])
    }

    pub(super) fn append(&self, body: Arc<[u8]>) -> St::Future<tollgate_core::store::audit::Receipt> {
        self.0.store.append(&self.0.chain, body)
    }

    /// Writes on until it is written, or for some minutes.
    pub(super) async fn append_at_last(self, body: Arc<[u8]>) {
        let mut wait = Duration::from_millis(50);
        for _ in 0..60 {
            if self.append(Arc::clone(&body)).await.is_ok() {
                return;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
        self.0.lost.fetch_add(1, Relaxed);
        tracing::error!(target: "tollgate::audit", chain = &*self.0.chain, "an outcome could not be written");
    }
}

impl<St> Clone for AuditLog<St> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<St> fmt::Debug for AuditLog<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("chain", &self.0.chain)
            .finish_non_exhaustive()
    }
}

/// Logs intents and outcomes. See the [module](super) for the lesson.
#[derive(Debug)]
pub struct AuditLayer<P, St> {
    log: AuditLog<St>,
    protocol: P,
    reads: bool,
}

impl<P, St> AuditLayer<P, St> {
    /// With a protocol of your own.
    pub const fn new(log: AuditLog<St>, protocol: P) -> Self {
        Self {
            log,
            protocol,
            reads: false,
        }
    }

    /// Sets whether operations that move no money are logged too (default: no).
    #[must_use]
    pub fn reads(mut self, logged: bool) -> Self {
        self.reads = logged;
        self
    }
}

impl<St> AuditLayer<Gateway, St> {
    /// Around typed calls.
    pub const fn gateway(log: AuditLog<St>) -> Self {
        Self::new(log, Gateway)
    }
}

impl<St> AuditLayer<Http, St> {
    /// Around an HTTP server's service.
    pub const fn http(log: AuditLog<St>) -> Self {
        Self::new(log, Http)
    }
}

impl<St> AuditLayer<HttpClient, St> {
    /// Around an HTTP client.
    pub const fn http_client(log: AuditLog<St>) -> Self {
        Self::new(log, HttpClient)
    }
}

impl<P: Clone, St> Clone for AuditLayer<P, St> {
    fn clone(&self) -> Self {
        Self {
            log: self.log.clone(),
            protocol: self.protocol.clone(),
            reads: self.reads,
        }
    }
}

impl<S, P: Clone, St> Layer<S> for AuditLayer<P, St> {
    type Service = Audit<S, P, St>;

    fn layer(&self, inner: S) -> Self::Service {
        Audit::new(inner, self.log.clone(), self.protocol.clone(), self.reads)
    }
}
