//! The keys whose outcome is open, and how old they are.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{IdempotencyStore, RecordKey, Unresolved};

/// A key whose outcome is open, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenKey {
    /// Which, at which epoch, and why if that is known.
    pub unresolved: Unresolved,
    /// How long it has been open, by the store's clock.
    pub age: Duration,
    /// When it was listed, by the store's clock. What is found out from here on is evidence as of this moment.
    pub as_of: Timestamp,
}

impl OpenKey {
    /// What evidence that is gathered from here on is about.
    #[must_use]
    pub const fn seen(&self) -> Seen {
        Seen {
            key: self.unresolved.key,
            epoch: self.unresolved.epoch,
            as_of: self.as_of,
        }
    }
}

/// Which run of a key evidence is about, and since when it was gathered. Take it *before* you look at the gateway: what was not there
/// while the owner could still send may have arrived since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Which record.
    pub key: RecordKey,
    /// At which epoch.
    pub epoch: u64,
    /// Since when, by the store's clock.
    pub as_of: Timestamp,
}

/// Walks over the open keys of a store, a page at a time: armed records of lost owners, and unknown outcomes. In the order of their
/// keys; what comes to be open meanwhile may be missed, and is there the next time.
///
/// ```
/// use std::time::Duration;
/// use tollgate::idempotency::OpenKeys;
/// use tollgate_core::store::memory::MemoryIdempotency;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tollgate_core::store::StoreError> {
/// let store = MemoryIdempotency::new();
/// let mut open = OpenKeys::new(&store);
/// while let Some(key) = open.next().await? {
///     println!("{} open for {:?}", key.unresolved.key.to_hex(), key.age);
/// }
/// # Ok(()) }
/// ```
pub struct OpenKeys<'s, St> {
    store: &'s St,
    as_of: Timestamp,
    page: u32,
    at: Place,
    found: VecDeque<Unresolved>,
}

enum Place {
    Start,
    After(RecordKey),
    End,
}

impl<'s, St: IdempotencyStore> OpenKeys<'s, St> {
    /// From the first one.
    #[must_use]
    pub fn new(store: &'s St) -> Self {
        Self {
            store,
            as_of: Timestamp::EPOCH,
            page: 100,
            at: Place::Start,
            found: VecDeque::new(),
        }
    }

    /// Sets how many are asked for at a time (default: 100).
    #[must_use]
    pub const fn page(mut self, page: u32) -> Self {
        self.page = page;
        self
    }

    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails; the next call asks for the same page again. So does the next call after this one was dropped.
    pub async fn next(&mut self) -> Result<Option<OpenKey>, StoreError> {
        if self.found.is_empty() {
            self.turn().await?;
        }
        let Some(unresolved) = self.found.pop_front() else {
            return Ok(None);
        };
        let as_of = self.as_of;
        let age = as_of.since(unresolved.since);
        Ok(Some(OpenKey {
            unresolved,
            age,
            as_of,
        }))
    }

    /// Fetches the next page, if there is one.
    async fn turn(&mut self) -> Result<(), StoreError> {
        let after = match self.at {
            Place::Start => None,
            Place::After(key) => Some(key),
            Place::End => return Ok(()),
        };
        // before the page: what it lists is at least as new
        self.as_of = self.store.now().await?;
        let page = self.store.unresolved(after, self.page.max(1)).await?;
        self.at = match page.last() {
            Some(last) => Place::After(last.key),
            None => Place::End,
        };
        self.found = page.into();
        Ok(())
    }
}

impl<St> fmt::Debug for OpenKeys<'_, St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenKeys")
            .field("page", &self.page)
            .finish_non_exhaustive()
    }
}

/// How many keys are open, and how old the oldest is: what a gauge shows, and an alarm goes by.
///
/// ```
/// use std::time::Duration;
/// use tollgate::idempotency::Backlog;
/// use tollgate_core::store::memory::MemoryIdempotency;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tollgate_core::store::StoreError> {
/// let backlog = Backlog::of(&MemoryIdempotency::new()).await?;
/// assert_eq!(backlog, Backlog { open: 0, oldest: Duration::ZERO });
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many outcomes are open.
    pub open: u64,
    /// For how long the oldest has been open, by the store's clock; zero when none is.
    pub oldest: Duration,
}

impl Backlog {
    /// Counts the open keys of a store, a page of a hundred at a time. There should be few.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub async fn of<St: IdempotencyStore>(store: &St) -> Result<Self, StoreError> {
        let mut backlog = Self::default();
        let mut keys = OpenKeys::new(store);
        while let Some(key) = keys.next().await? {
            backlog.add(key.age);
        }
        Ok(backlog)
    }

    pub(super) fn add(&mut self, age: Duration) {
        self.open += 1;
        self.oldest = self.oldest.max(age);
    }
}
