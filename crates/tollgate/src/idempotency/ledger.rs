//! A resolution is written down before it is made, and how it went after.
//!
//! This file knows no audit log: [`Ledger`] holds one behind a trait, or none.

use std::pin::Pin;
use std::sync::Arc;
use tollgate_core::store::StoreError;
use tollgate_core::store::audit::Receipt;
use tollgate_core::store::idempotency::{IdempotencyStore, Resolve, Resolved};

pub(super) type Told<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Takes what is about to be done.
pub(super) trait Tell: Send + Sync {
    /// Answers once it stands. When it fails, nothing may be done.
    fn intent(&self, resolve: &Resolve) -> Told<Result<Box<dyn Standing>, StoreError>>;
}

/// An intent that stands. Dropped before its outcome, it tells of that.
pub(super) trait Standing: Send {
    fn receipt(&self) -> Receipt;
    /// Writes what became of it; `None` when the log does not take it in time.
    fn outcome(self: Box<Self>, answer: &Result<Resolved, StoreError>) -> Told<Option<Receipt>>;
}

/// Where resolutions are told: in an audit log, or nowhere.
#[derive(Clone, Default)]
pub(super) struct Ledger(pub(super) Option<Arc<dyn Tell>>);

/// Where a resolution stands in the audit log, if one is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Receipts {
    pub(super) intent: Option<Receipt>,
    pub(super) outcome: Option<Receipt>,
}

/// Why nothing is known to have been done.
#[derive(Debug)]
pub(super) enum Failed {
    /// The intent could not be written down: nothing was done.
    Audit(StoreError),
    /// The store failed.
    Store(StoreError),
}

/// Resolves, with an intent before and an outcome after.
pub(super) async fn resolve<St: IdempotencyStore>(
    store: &St,
    ledger: &Ledger,
    resolve: Resolve,
) -> Result<(Resolved, Receipts), Failed> {
    let Some(tell) = &ledger.0 else {
        let answer = store.resolve(resolve).await.map_err(Failed::Store)?;
        return Ok((answer, Receipts::default()));
    };
    let intent = tell.intent(&resolve).await.map_err(Failed::Audit)?;
    let stands = intent.receipt();
    let answer = store.resolve(resolve).await;
    let outcome = intent.outcome(&answer).await;
    let receipts = Receipts {
        intent: Some(stands),
        outcome,
    };
    Ok((answer.map_err(Failed::Store)?, receipts))
}
