//! The journal behind the saga engine: append-only, fenced, claimed by one engine at a time.
//!
//! A journal holds opaque records. Only the engine that holds the saga's lease appends, and every append is fenced by the claim's
//! epoch and by the number of records the engine has seen: one that was thought dead and comes back finds itself fenced before it
//! does anything.

pub mod rule;

use super::StoreError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Names a saga.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SagaId(pub [u8; 16]);

impl SagaId {
    /// A new random one.
    ///
    /// # Panics
    /// If the operating system gives no randomness.
    #[must_use]
    pub fn random() -> Self {
        let mut id = [0; 16];
        #[expect(clippy::expect_used, reason = "stated in the documentation")]
        getrandom::fill(&mut id).expect("the operating system gives no randomness");
        Self(id)
    }
}

impl fmt::Display for SagaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::id::hex(&self.0))
    }
}

impl fmt::Debug for SagaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SagaId({self})")
    }
}

/// Where a saga stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SagaState {
    /// Going forward.
    Running,
    /// Undoing what was done.
    Unwinding,
    /// A person has to look: an effect could neither be undone nor settled.
    Parked,
    /// Every step was done.
    Completed,
    /// Every effect was undone.
    Compensated,
    /// A person ended it.
    Abandoned,
}

impl SagaState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Unwinding,
        Self::Parked,
        Self::Completed,
        Self::Compensated,
        Self::Abandoned,
    ];

    /// The stable lower-case name, also its stored form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Unwinding => "unwinding",
            Self::Parked => "parked",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
            Self::Abandoned => "abandoned",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether an engine has something to do.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Unwinding)
    }
}

/// A saga to be created.
#[derive(Clone, Debug)]
pub struct NewSaga {
    /// Its id.
    pub id: SagaId,
    /// Which definition.
    pub name: Arc<str>,
    /// The caller's own key: one saga per name and key.
    pub key: Arc<str>,
    /// Its first records.
    pub records: Vec<Arc<[u8]>>,
    /// How long the creating engine holds it.
    pub lease: Duration,
}

/// The answer to a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is new, and the caller holds it at epoch 1.
    Created,
    /// There is one with this name and key.
    Exists(SagaId),
}

/// Records to be appended.
#[derive(Clone, Debug)]
pub struct Append {
    /// To which saga.
    pub id: SagaId,
    /// Under which claim.
    pub epoch: u64,
    /// How many records the engine has seen.
    pub seen: u64,
    /// What to append, all or nothing.
    pub records: Vec<Arc<[u8]>>,
    /// Where the saga stands after it.
    pub state: SagaState,
    /// How long the engine holds it from now on.
    pub lease: Duration,
}

/// The answer to an append or a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// Written.
    No,
    /// Another engine holds the saga, or has written meanwhile: stop, start nothing more.
    Yes,
}

/// A saga and its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Its id.
    pub id: SagaId,
    /// Which definition.
    pub name: Arc<str>,
    /// The caller's own key.
    pub key: Arc<str>,
    /// Where it stands.
    pub state: SagaState,
    /// The last claim's epoch.
    pub epoch: u64,
    /// Its records, in order.
    pub records: Vec<Arc<[u8]>>,
}

/// The port.
pub trait SagaJournal: Send + Sync + 'static {
    /// How it answers.
    type Future<T: Send + 'static>: Future<Output = Result<T, StoreError>> + Send + Unpin + 'static;

    /// Creates a saga, unless there is one with its name and key.
    fn create(&self, saga: NewSaga) -> Self::Future<Created>;

    /// Appends under the fence, atomically. When the answer was lost, load and compare before doing anything.
    fn append(&self, append: Append) -> Self::Future<Fenced>;

    /// Claims up to `limit` active sagas of these definitions whose lease has lapsed. Each comes with a new epoch.
    fn claim(&self, names: &[Arc<str>], lease: Duration, limit: u32) -> Self::Future<Vec<Journal>>;

    /// Claims one saga, in any state, even while its lease runs: for people who have made sure that its engine is gone, and for
    /// parked sagas.
    fn claim_one(&self, id: SagaId, lease: Duration) -> Self::Future<Option<Journal>>;

    /// Extends a lease.
    fn renew(&self, id: SagaId, epoch: u64, lease: Duration) -> Self::Future<Fenced>;

    /// Reads a saga.
    fn load(&self, id: SagaId) -> Self::Future<Option<Journal>>;

    /// Up to `limit` sagas in this state, by id, after `after`.
    fn list(&self, state: SagaState, after: Option<SagaId>, limit: u32) -> Self::Future<Vec<SagaId>>;
}

/// A shared journal is a journal.
impl<S: SagaJournal> SagaJournal for Arc<S> {
    type Future<T: Send + 'static> = S::Future<T>;

    fn create(&self, saga: NewSaga) -> Self::Future<Created> {
        (**self).create(saga)
    }
    fn append(&self, append: Append) -> Self::Future<Fenced> {
        (**self).append(append)
    }
    fn claim(&self, names: &[Arc<str>], lease: Duration, limit: u32) -> Self::Future<Vec<Journal>> {
        (**self).claim(names, lease, limit)
    }
    fn claim_one(&self, id: SagaId, lease: Duration) -> Self::Future<Option<Journal>> {
        (**self).claim_one(id, lease)
    }
    fn renew(&self, id: SagaId, epoch: u64, lease: Duration) -> Self::Future<Fenced> {
        (**self).renew(id, epoch, lease)
    }
    fn load(&self, id: SagaId) -> Self::Future<Option<Journal>> {
        (**self).load(id)
    }
    fn list(&self, state: SagaState, after: Option<SagaId>, limit: u32) -> Self::Future<Vec<SagaId>> {
        (**self).list(state, after, limit)
    }
}
