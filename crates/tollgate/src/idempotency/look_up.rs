//! How doubts are ended, and which keys are being looked into just now.

use super::resolve::Finding;
use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollgate_core::store::idempotency::{RecordKey, Unresolved};

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

    pub(super) fn look(&self, open: Unresolved) -> Looking {
        (self.look)(open)
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
