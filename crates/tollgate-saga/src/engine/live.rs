//! The sagas that run in this process, and how to reach them.

use crate::machine::Progress;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use tollgate_core::store::saga::SagaId;

/// How a saga left this process: at rest with this sum, or to another engine (`None`).
pub(crate) type Left = Option<Arc<Progress>>;

/// Who asks a running saga to turn back, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) actor: String,
    pub(crate) reason: String,
}

/// One running saga, as others see it.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) left: watch::Sender<Left>,
    asked: Mutex<Option<Ask>>,
    pub(crate) wake: Notify,
}

impl Live {
    /// Asks it to turn back; the first one counts.
    pub(crate) fn ask(&self, ask: Ask) {
        lock(&self.asked).get_or_insert(ask);
        self.wake.notify_one();
    }

    pub(crate) fn take_ask(&self) -> Option<Ask> {
        lock(&self.asked).take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // a panic under the lock leaves a whole value behind: nothing here is half written
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashMap<SagaId, Arc<Live>>>);

impl Running {
    /// Enters a saga. A later claim of the same saga replaces the entry: the one before is fenced.
    pub(crate) fn enter(&self, id: SagaId) -> Arc<Live> {
        let live = Arc::new(Live {
            left: watch::Sender::new(None),
            asked: Mutex::default(),
            wake: Notify::new(),
        });
        lock(&self.0).insert(id, Arc::clone(&live));
        live
    }

    pub(crate) fn leave(&self, id: SagaId, live: &Arc<Live>) {
        let mut running = lock(&self.0);
        if running.get(&id).is_some_and(|entered| Arc::ptr_eq(entered, live)) {
            running.remove(&id);
        }
    }

    pub(crate) fn get(&self, id: SagaId) -> Option<Arc<Live>> {
        lock(&self.0).get(&id).cloned()
    }
}
