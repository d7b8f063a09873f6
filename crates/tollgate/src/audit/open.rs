//! Between intent and outcome.

use super::entry::{Entry, Kind};
use super::log::AuditLog;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tollgate_core::store::StoreError;
use tollgate_core::store::audit::{AuditStore, Receipt};

/// Between intent and the outcome's being written. Dropped before the answer, the call was abandoned; after it, the outcome is written
/// on (and may then stand there twice, under one call).
pub(crate) struct Open<St: AuditStore> {
    log: Option<AuditLog<St>>,
    intent: Entry,
    started: Instant,
    receipt: Receipt,
    ended: Option<Arc<[u8]>>,
}

impl<St: AuditStore> Open<St> {
    /// Writes an intent. When this fails, nothing may be done.
    pub(crate) async fn intent(log: AuditLog<St>, intent: Entry) -> Result<Self, StoreError> {
        let receipt = log.append(intent.to_bytes()).await?;
        Ok(Self {
            log: Some(log),
            intent,
            started: Instant::now(),
            receipt,
            ended: None,
        })
    }

    /// Where the intent stands.
    #[cfg_attr(
        not(feature = "idempotency"),
        expect(dead_code, reason = "asked by its operators")
    )]
    pub(crate) const fn receipt(&self) -> Receipt {
        self.receipt
    }

    /// Writes the outcome, trying for this long. Whatever was done is done: when the log does not take it, writing goes on in a task, and
    /// there is no receipt.
    pub(crate) async fn outcome(
        mut self,
        patience: Duration,
        tell: impl FnOnce(&mut Entry),
    ) -> Option<Receipt> {
        let mut outcome = self.intent.ended(Kind::Outcome, self.started.elapsed());
        tell(&mut outcome);
        let body = outcome.to_bytes();
        self.ended = Some(body.clone());
        let (until, mut wait) = (Instant::now() + patience, Duration::from_millis(50));
        loop {
            match self.log.as_ref()?.append(body.clone()).await {
                Ok(receipt) => {
                    self.log = None;
                    return Some(receipt);
                }
                Err(_) if Instant::now() + wait <= until => tokio::time::sleep(wait).await,
                Err(_) => return None, // the drop writes on
            }
            wait *= 2;
        }
    }
}

impl<St: AuditStore> Drop for Open<St> {
    fn drop(&mut self) {
        let Some(log) = self.log.take() else { return };
        let entry = self.ended.take().unwrap_or_else(|| {
            let took = self.started.elapsed();
            self.intent.ended(Kind::Abandoned, took).to_bytes()
        });
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(log.append_at_last(entry));
        } // no runtime left: the lone intent tells
    }
}
