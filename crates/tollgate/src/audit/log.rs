//! The chain that entries go to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tollgate_core::Secrets;
use tollgate_core::id::hex;
use tollgate_core::store::audit::AuditStore;

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

    pub(crate) fn next_call(&self) -> String {
        format!("{}-{}", hex(&self.0.process), self.0.calls.fetch_add(1, Relaxed))
    }

    pub(super) fn pseudonym(&self, caller: &str) -> String {
        hex(&self.0.secrets.pseudonym("audit/caller", caller)[..8])
    }

    pub(crate) fn append(&self, body: Arc<[u8]>) -> St::Future<tollgate_core::store::audit::Receipt> {
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
