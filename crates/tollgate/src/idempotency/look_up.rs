//! How doubts are ended, and which keys are being looked into just now.

use super::caught::caught;
use super::resolve::Finding;
use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use tollgate_core::store::idempotency::{RecordKey, Unresolved};

/// How long a look may take: one that hangs would keep its key, and what a pass comes to after it, from every later look. It is dropped
/// then, which moves no money.
const LONGEST: Duration = Duration::from_secs(60);

type Looking = Pin<Box<dyn Future<Output = Finding> + Send>>;

/// How doubts are ended, and which are being looked into.
pub(super) struct LookUp {
    actor: Arc<str>,
    look: Box<dyn Fn(Unresolved) -> Looking + Send + Sync>,
    under_way: Mutex<HashSet<RecordKey>>,
}

impl LookUp {
    pub(super) fn new<F, L>(actor: Arc<str>, look: F) -> Self
    where
        F: Fn(Unresolved) -> L + Send + Sync + 'static,
        L: Future<Output = Finding> + Send + 'static,
    {
        Self {
            actor,
            look: Box::new(move |open| Box::pin(look(open))),
            under_way: Mutex::default(),
        }
    }

    pub(super) fn actor(&self) -> &Arc<str> {
        &self.actor
    }

    /// What a look finds, within [`LONGEST`]. One that panics has found nothing: it must not end the task that looks for all the others.
    pub(super) async fn look(&self, open: Unresolved) -> Finding {
        let record = open.key;
        match timeout(LONGEST, caught(|| (self.look)(open))).await {
            Ok(Ok(finding)) => return finding,
            Ok(Err(_panic)) => {
                tracing::error!(target: "tollgate::idempotency", %record, "a look-up panicked: its key stays open");
            }
            Err(_) => {
                tracing::warn!(target: "tollgate::idempotency", %record, "a look-up took longer than a minute and was given up");
            }
        }
        Finding::StillOpen
    }

    /// Whether nobody else is at it.
    pub(super) fn enter(&self, key: RecordKey) -> bool {
        self.under_way().insert(key)
    }

    pub(super) fn leave(&self, key: &RecordKey) {
        self.under_way().remove(key);
    }

    fn under_way(&self) -> MutexGuard<'_, HashSet<RecordKey>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
