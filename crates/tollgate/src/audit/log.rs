//! The chain that entries go to.

use crate::causes::Causes;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tollgate_core::Secrets;
use tollgate_core::id::hex;
use tollgate_core::store::audit::AuditStore;

/// A named chain in a store. Clones write to the same one.
pub struct AuditLog<St>(pub(super) Arc<Log<St>>);

/// Outcomes were still being written when the time to drain was over: their intents stand alone if the process ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{outcomes} outcomes were still being written to the audit log when the time to drain was over")]
pub struct StillWriting {
    /// How many.
    pub outcomes: usize,
}

pub(super) struct Log<St> {
    store: St,
    chain: Arc<str>,
    secrets: Secrets,
    process: [u8; 8],
    calls: AtomicU64,
    lost: AtomicU64,
    /// How many entries are being written behind their calls' backs.
    writing: watch::Sender<usize>,
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
            writing: watch::Sender::new(0),
        }))
    }

    /// How many outcomes could not be written although it was tried for minutes. Their intents stand alone in the log.
    #[must_use]
    pub fn lost_outcomes(&self) -> u64 {
        self.0.lost.load(Relaxed)
    }

    /// Waits until no outcome is being written in the background any more. Call it after the layers that log have drained, before the
    /// runtime ends: an outcome that is cut off leaves its intent alone, as a crash does. Dropping it changes nothing.
    ///
    /// # Errors
    /// [`StillWriting`] when some were left after `within`; it is logged as well.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::audit::AuditLog;
    /// use tollgate_core::{Secrets, store::memory::MemoryAudit};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let log = AuditLog::new(MemoryAudit::new(), "payments", Secrets::ephemeral());
    /// assert!(log.drain(Duration::from_secs(5)).await.is_ok());
    /// # }
    /// ```
    pub async fn drain(&self, within: Duration) -> Result<(), StillWriting> {
        let mut writing = self.0.writing.subscribe();
        if timeout(within, writing.wait_for(|writing| *writing == 0))
            .await
            .is_ok()
        {
            return Ok(());
        }
        let outcomes = *self.0.writing.borrow();
        tracing::error!(
            target: "tollgate::audit", chain = &*self.0.chain, outcomes, "still being written when the time to drain was over"
        );
        Err(StillWriting { outcomes })
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

    /// Writes on until it is written, or for some minutes. It counts as being written from here on, and not from the first poll: a task
    /// that has not begun must not be missed by who drains.
    pub(super) fn append_at_last(self, body: Arc<[u8]>) -> impl Future<Output = ()> + Send + 'static {
        self.0.writing.send_modify(|writing| *writing += 1);
        let counted = Counted(self);
        async move { counted.append(body).await }
    }
}

/// A log to which an entry is being written that nobody waits for. Dropping it says that this is over.
struct Counted<St>(AuditLog<St>);

impl<St> Drop for Counted<St> {
    fn drop(&mut self) {
        self.0.0.writing.send_modify(|writing| *writing -= 1);
    }
}

impl<St: AuditStore> Counted<St> {
    async fn append(&self, body: Arc<[u8]>) {
        let log = &self.0;
        let mut wait = Duration::from_millis(50);
        for _ in 0..TRIES {
            match log.append(Arc::clone(&body)).await {
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(target: "tollgate::audit", error = %Causes(&error), "an outcome was not taken; trying again");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
        log.0.lost.fetch_add(1, Relaxed);
        // an entry holds nothing secret, and here is the last place that has it
        tracing::error!(
            target: "tollgate::audit", chain = &*log.0.chain, entry = %String::from_utf8_lossy(&body),
            "an outcome could not be written"
        );
    }
}

/// How often an outcome is tried: with the pauses, five minutes.
const TRIES: u32 = 60;

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
