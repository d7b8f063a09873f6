//! Settings of an engine.

use super::live::Running;
use super::{Sagas, Shared};
use crate::definition::{Definition, Plan};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tollgate_core::store::saga::SagaJournal;
use tollgate_core::{Clock, SystemClock};

/// An engine that cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Two different definitions have one name and version.
    #[error(
        "two definitions are registered as `{name}` version {version}: raise the version of the changed one"
    )]
    Ambiguous {
        /// Which name.
        name: String,
        /// Which version.
        version: u32,
    },
    /// The lease is too short to be kept alive.
    #[error("a lease of {lease:?} cannot be kept alive: give at least 100 ms")]
    Lease {
        /// What was given.
        lease: Duration,
    },
}

/// An engine in the making: [`Sagas::on`].
#[must_use = "call `open`"]
pub struct Setup<J> {
    journal: J,
    clock: Arc<dyn Clock>,
    lease: Duration,
    plans: Vec<Arc<Plan>>,
}

impl<J: SagaJournal> Sagas<J> {
    /// An engine on this journal.
    pub fn on(journal: J) -> Setup<J> {
        Setup {
            journal,
            clock: Arc::new(SystemClock),
            lease: Duration::from_secs(30),
            plans: Vec::new(),
        }
    }
}

impl<J: SagaJournal> Setup<J> {
    /// Adds a definition (default: none). Old versions stay registered until none of their sagas is left.
    pub fn register<In, T>(mut self, definition: &Definition<In, T>) -> Self {
        self.plans.push(Arc::clone(&definition.plan));
        self
    }

    /// Sets for how long a saga counts as looked after when its engine falls silent (default: 30 s). It is renewed at a third of it; after a
    /// crash, recovery waits this long.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the clock for due times and key windows (default: the system's). Leases follow the journal's own.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Opens it. Nothing runs yet: call [`Sagas::recover`] next.
    ///
    /// # Errors
    /// [`SetupError`] when two definitions share name and version, or the lease is too short.
    pub fn open(self) -> Result<Sagas<J>, SetupError> {
        if self.lease < Duration::from_millis(100) {
            return Err(SetupError::Lease { lease: self.lease });
        }
        let mut plans = HashMap::new();
        for plan in self.plans {
            match plans.entry((Arc::clone(&plan.name), plan.version)) {
                Entry::Occupied(other) if !Arc::ptr_eq(other.get(), &plan) => {
                    return Err(SetupError::Ambiguous {
                        name: plan.name.to_string(),
                        version: plan.version,
                    });
                }
                entry => entry.or_insert(plan),
            };
        }
        let shared = Shared {
            journal: self.journal,
            clock: self.clock,
            lease: self.lease,
            plans,
            tracker: TaskTracker::new(),
            running: Running::default(),
            closing: watch::Sender::new(false),
        };
        Ok(Sagas {
            shared: Arc::new(shared),
        })
    }
}

impl<J> fmt::Debug for Setup<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("lease", &self.lease)
            .field("definitions", &self.plans.len())
            .finish_non_exhaustive()
    }
}
