//! What reconciliation runs leave, in this process.

use crate::store::StoreError;
use crate::store::carry_over::{Carried, CarryOverStore, Replaced, replace};
use std::collections::HashMap;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What reconciliation runs leave; it lives and dies with this process. Clones share it. One entry per name of a run: the names are
/// the program's own, so it needs no bound.
#[derive(Clone, Default)]
pub struct MemoryCarryOver(Arc<Mutex<HashMap<String, Carried>>>);

impl MemoryCarryOver {
    /// With nothing left yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Carried>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CarryOverStore for MemoryCarryOver {
    type Future<T: Send + 'static> = Ready<Result<T, StoreError>>;

    fn load(&self, run: &str) -> Self::Future<Option<Carried>> {
        ready(Ok(self.runs().get(run).cloned()))
    }

    fn replace(&self, run: &str, seen: u64, body: Arc<[u8]>) -> Self::Future<Replaced> {
        let mut runs = self.runs();
        let (change, answer) = replace(runs.get(run), seen, &body);
        if let Some(carried) = change {
            runs.insert(run.to_owned(), carried);
        }
        ready(Ok(answer))
    }
}

impl fmt::Debug for MemoryCarryOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCarryOver")
            .field("runs", &self.runs().len())
            .finish()
    }
}
