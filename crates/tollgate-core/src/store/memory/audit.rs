//! Audit chains of this process.

use crate::clock::{Clock, SystemClock};
use crate::store::StoreError;
use crate::store::audit::{AuditEntry, AuditStore, Receipt, chain};
use std::collections::HashMap;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Audit chains that live and die with this process: for tests. Clones share them. It grows without bound.
#[derive(Clone)]
pub struct MemoryAudit(Arc<Shared>);

struct Shared {
    chains: Mutex<HashMap<Box<str>, Vec<AuditEntry>>>,
    clock: Arc<dyn Clock>,
}

impl Default for MemoryAudit {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryAudit {
    /// With the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with(SystemClock)
    }

    /// With this clock.
    #[must_use]
    pub fn with(clock: impl Clock) -> Self {
        Self(Arc::new(Shared {
            chains: Mutex::default(),
            clock: Arc::new(clock),
        }))
    }

    fn chains(&self) -> MutexGuard<'_, HashMap<Box<str>, Vec<AuditEntry>>> {
        self.0.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn head_of(entries: Option<&Vec<AuditEntry>>) -> Receipt {
    let last = entries.and_then(|entries| entries.last());
    last.map_or(Receipt::START, |entry| Receipt {
        seq: entry.seq,
        hash: entry.hash,
    })
}

impl AuditStore for MemoryAudit {
    type Future<T: Send + 'static> = Ready<Result<T, StoreError>>;

    fn append(&self, name: &str, body: Arc<[u8]>) -> Self::Future<Receipt> {
        let mut chains = self.chains();
        let at = self.0.clock.now();
        let entries = chains.entry(name.into()).or_default();
        let entry = chain::next(name, head_of(Some(entries)), at, body);
        let receipt = Receipt {
            seq: entry.seq,
            hash: entry.hash,
        };
        entries.push(entry);
        ready(Ok(receipt))
    }

    fn head(&self, name: &str) -> Self::Future<Receipt> {
        ready(Ok(head_of(self.chains().get(name))))
    }

    fn read(&self, name: &str, after: u64, limit: u32) -> Self::Future<Vec<AuditEntry>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let chains = self.chains();
        let entries = chains.get(name).map_or(&[][..], Vec::as_slice);
        ready(Ok(entries
            .iter()
            .filter(|entry| entry.seq > after)
            .take(limit)
            .cloned()
            .collect()))
    }
}

impl fmt::Debug for MemoryAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAudit")
            .field("chains", &self.chains().len())
            .finish_non_exhaustive()
    }
}
