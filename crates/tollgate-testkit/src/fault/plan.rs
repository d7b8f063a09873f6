//! What goes wrong with an operation.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// At which moment of an operation a store fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// Before it took effect, and the error says so.
    Before,
    /// Before it took effect, but the error can only say that it may have: the connection broke somewhere.
    BeforeInDoubt,
    /// After it took effect: the answer was lost, and the error says that it may have happened.
    After,
}

impl When {
    /// Every moment.
    pub const ALL: [Self; 3] = [Self::Before, Self::BeforeInDoubt, Self::After];
}

/// What becomes of one operation. Most are made of a [`When`]: `Fault::from(When::After)`.
///
/// | fault | takes effect | the caller hears |
/// |---|---|---|
/// | [`NONE`](Self::NONE) | at once | the answer |
/// | [`When::Before`] | no | an error: nothing was written |
/// | [`When::BeforeInDoubt`] | no | an error: in doubt |
/// | [`When::After`] | at once | an error: in doubt |
/// | [`queue`](Self::queue) | later, unless it is dropped before | the answer, then |
/// | [`stray`](Self::stray) | **later, whatever became of the caller** | an error: in doubt |
/// | [`SILENCE`](Self::SILENCE) | no | nothing, ever |
/// | [`PANIC`](Self::PANIC) | no | the store panics |
///
/// With [`heard_after`](Self::heard_after) the caller hears it later; what takes effect at once still does.
///
/// ```
/// use std::time::Duration;
/// use tollgate_core::store::idempotency::IdempotencyStore;
/// use tollgate_core::store::memory::MemoryIdempotency;
/// use tollgate_testkit::fault::{Fault, Faulty, When};
/// use tollgate_testkit::samples;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// let patience = Duration::from_secs(1);
/// let slow = Fault::from(When::After).heard_after(patience * 2);
/// let store = Faulty::new(MemoryIdempotency::new()).failing_at("begin", [slow]);
///
/// let key = samples::key(1);
/// let begun = store.begin(samples::begin(key, 1));
/// assert!(tokio::time::timeout(patience, begun).await.is_err()); // the caller goes away,
/// assert!(store.inner().get(key).await.unwrap().is_some());      // and the claim stands
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) kind: Kind,
    pub(super) heard_after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Answers,
    Fails(When),
    Queues(Duration),
    Strays(Duration),
    Silent,
    Panics,
}

impl Fault {
    /// None: to leave an operation out of a plan, or to make its answer late.
    pub const NONE: Self = Self::of(Kind::Answers);
    /// It never comes to the store, and nobody says so: a connection that a firewall has forgotten.
    pub const SILENCE: Self = Self::of(Kind::Silent);
    /// The store panics while it is awaited, before it did anything.
    pub const PANIC: Self = Self::of(Kind::Panics);

    /// It waits for so long, as for a connection from a pool, before it comes to the store. If the caller goes away before that, it never
    /// does.
    #[must_use]
    pub const fn queue(time: Duration) -> Self {
        Self::of(Kind::Queues(time))
    }

    /// The caller hears of a lost connection, and the operation comes to the store so much later, when nobody counts on it any more.
    /// It is carried out in a task: this one needs tokio's runtime where the store is asked.
    #[must_use]
    pub const fn stray(by: Duration) -> Self {
        Self::of(Kind::Strays(by))
    }

    /// Sets how long the caller waits for what it hears, the answer or the error (default: not at all).
    #[must_use]
    pub const fn heard_after(self, time: Duration) -> Self {
        Self {
            heard_after: time,
            ..self
        }
    }

    const fn of(kind: Kind) -> Self {
        Self {
            kind,
            heard_after: Duration::ZERO,
        }
    }
}

impl From<When> for Fault {
    fn from(when: When) -> Self {
        Self::of(Kind::Fails(when))
    }
}

type Faults = Box<dyn Iterator<Item = Fault> + Send>;

/// Which operations go wrong, and how many there were.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) by_number: BTreeMap<u64, Fault>,
    by_name: BTreeMap<&'static str, Faults>,
    pub(super) outage: Option<When>,
    pub(super) operations: u64,
    asked: BTreeMap<&'static str, u64>,
}

impl Plan {
    /// Behind what is planned for that name already.
    pub(super) fn queue(&mut self, name: &'static str, faults: Faults) {
        let queue = match self.by_name.remove(name) {
            Some(earlier) => Box::new(earlier.chain(faults)),
            None => faults,
        };
        self.by_name.insert(name, queue);
    }

    /// Counts an operation and says what becomes of it.
    pub(super) fn next(&mut self, name: &'static str) -> Fault {
        let number = self.operations;
        self.operations += 1;
        let by_name = self.next_of(name);
        let planned = self.by_number.get(&number).copied().or(by_name);
        planned.or(self.outage.map(Fault::from)).unwrap_or(Fault::NONE)
    }

    /// As [`next`](Self::next), for what is no operation of its own: by name alone.
    pub(super) fn next_of(&mut self, name: &'static str) -> Option<Fault> {
        *self.asked.entry(name).or_default() += 1;
        self.by_name.get_mut(name)?.next()
    }

    pub(super) fn asked(&self, name: &str) -> u64 {
        self.asked.get(name).copied().unwrap_or_default()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("by_number", &self.by_number)
            .field("by_name", &self.by_name.keys())
            .field("outage", &self.outage)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}
