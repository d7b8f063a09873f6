//! Saga journals of this process.

use crate::clock::{Clock, SystemClock};
use crate::store::saga::rule::{self, Row};
use crate::store::saga::{Append, Created, Fenced, Journal, NewSaga, SagaId, SagaJournal, SagaState};
use crate::store::{StoreError, StoreErrorKind};
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Saga journals that live and die with this process: for tests. Clones share them.
#[derive(Clone)]
pub struct MemorySaga(Arc<Shared>);

struct Shared {
    sagas: Mutex<BTreeMap<SagaId, Kept>>,
    clock: Arc<dyn Clock>,
}

struct Kept {
    name: Arc<str>,
    key: Arc<str>,
    row: Row,
    records: Vec<Arc<[u8]>>,
}

impl Kept {
    fn journal(&self, id: SagaId) -> Journal {
        Journal {
            id,
            name: Arc::clone(&self.name),
            key: Arc::clone(&self.key),
            state: self.row.state,
            epoch: self.row.epoch,
            records: self.records.clone(),
        }
    }
}

impl Default for MemorySaga {
    fn default() -> Self {
        Self::new()
    }
}

impl MemorySaga {
    /// With the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with(SystemClock)
    }

    /// With this clock.
    #[must_use]
    pub fn with(clock: impl Clock) -> Self {
        Self(Arc::new(Shared {
            sagas: Mutex::default(),
            clock: Arc::new(clock),
        }))
    }

    fn sagas(&self) -> MutexGuard<'_, BTreeMap<SagaId, Kept>> {
        self.0.sagas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SagaJournal for MemorySaga {
    type Future<T: Send + 'static> = Ready<Result<T, StoreError>>;

    fn create(&self, saga: NewSaga) -> Self::Future<Created> {
        let mut sagas = self.sagas();
        let now = self.0.clock.now();
        if let Some((id, _)) = sagas
            .iter()
            .find(|(_, kept)| kept.name == saga.name && kept.key == saga.key)
        {
            return ready(Ok(Created::Exists(*id)));
        }
        if sagas.contains_key(&saga.id) {
            // never overwrite a journal
            return ready(Err(StoreError::new(
                StoreErrorKind::Unsupported,
                "the id belongs to another saga: make a new random one",
            )));
        }
        let records = u64::try_from(saga.records.len()).unwrap_or(u64::MAX);
        let lease_until = now.saturating_add(saga.lease);
        let row = Row {
            state: SagaState::Running,
            epoch: 1,
            records,
            lease_until,
        };
        sagas.insert(
            saga.id,
            Kept {
                name: saga.name,
                key: saga.key,
                row,
                records: saga.records,
            },
        );
        ready(Ok(Created::Created))
    }

    fn append(&self, append: Append) -> Self::Future<Fenced> {
        let mut sagas = self.sagas();
        let now = self.0.clock.now();
        let Some(kept) = sagas.get_mut(&append.id) else {
            return ready(Ok(Fenced::Yes));
        };
        let added = u64::try_from(append.records.len()).unwrap_or(u64::MAX);
        let (fenced, row) = rule::append(
            &kept.row,
            append.epoch,
            append.seen,
            added,
            append.state,
            append.lease,
            now,
        );
        if fenced == Fenced::No {
            kept.row = row;
            kept.records.extend(append.records);
        }
        ready(Ok(fenced))
    }

    fn claim(&self, names: &[Arc<str>], lease: Duration, limit: u32) -> Self::Future<Vec<Journal>> {
        let mut sagas = self.sagas();
        let now = self.0.clock.now();
        let due = sagas
            .iter_mut()
            .filter(|(_, kept)| names.contains(&kept.name) && rule::is_claimable(&kept.row, now))
            .take(usize::try_from(limit).unwrap_or(usize::MAX));
        let claimed = due
            .map(|(id, kept)| {
                kept.row = rule::claimed(&kept.row, lease, now);
                kept.journal(*id)
            })
            .collect();
        ready(Ok(claimed))
    }

    fn claim_one(&self, id: SagaId, lease: Duration) -> Self::Future<Option<Journal>> {
        let mut sagas = self.sagas();
        let now = self.0.clock.now();
        ready(Ok(sagas.get_mut(&id).map(|kept| {
            kept.row = rule::claimed(&kept.row, lease, now);
            kept.journal(id)
        })))
    }

    fn renew(&self, id: SagaId, epoch: u64, lease: Duration) -> Self::Future<Fenced> {
        match self.sagas().get_mut(&id) {
            Some(kept) if kept.row.epoch == epoch => {
                let now = self.0.clock.now();
                kept.row.lease_until = now.saturating_add(lease);
                ready(Ok(Fenced::No))
            }
            _ => ready(Ok(Fenced::Yes)),
        }
    }

    fn load(&self, id: SagaId) -> Self::Future<Option<Journal>> {
        ready(Ok(self.sagas().get(&id).map(|kept| kept.journal(id))))
    }

    fn list(&self, state: SagaState, after: Option<SagaId>, limit: u32) -> Self::Future<Vec<SagaId>> {
        let sagas = self.sagas();
        let ids = sagas
            .iter()
            .filter(|(id, kept)| kept.row.state == state && after.is_none_or(|after| **id > after));
        ready(Ok(ids
            .map(|(id, _)| *id)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect()))
    }
}

impl fmt::Debug for MemorySaga {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySaga")
            .field("sagas", &self.sagas().len())
            .finish_non_exhaustive()
    }
}
