//! Clients at work, and what they were told.

use super::op::{Op, plan};
use std::future::{Future, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::task::JoinSet;
use tollgate_core::store::idempotency::IdempotencyStore;
use tollgate_core::{Clock, Timestamp};

/// One operation as its client saw it. Tickets order what did not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What was asked.
    pub op: Op,
    /// The ticket that was drawn before it was asked.
    pub from: u64,
    /// The ticket that was drawn after it was answered.
    pub to: u64,
    /// `None`: the answer was lost. It happened before `to`, or never.
    pub answer: Option<String>,
}

impl Event {
    /// Asks until it is answered, or until the answer is lost; what certainly did not happen is asked again, for 20 seconds.
    ///
    /// # Panics
    /// When the store does not come back.
    pub async fn record(store: &impl IdempotencyStore, op: Op, tickets: &mut impl Tickets) -> Self {
        for _ in 0..4_000 {
            let from = tickets.draw().await;
            let answer = op.ask(store).await;
            let to = tickets.draw().await;
            let answer = match answer {
                Ok(answer) => Some(answer),
                Err(error) if error.may_have_happened() => None,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
            };
            return Self { op, from, to, answer };
        }
        panic!("the store does not come back");
    }
}

/// Where all clients of a history draw tickets, each with a higher number than all before, and that nothing happens to: a counter of
/// this process, or, for several processes, of a server that nobody kills.
pub trait Tickets {
    /// The next number.
    fn draw(&mut self) -> impl Future<Output = u64> + Send;
}

impl Tickets for Arc<AtomicU64> {
    fn draw(&mut self) -> impl Future<Output = u64> + Send {
        ready(self.fetch_add(1, SeqCst))
    }
}

/// Lets so many clients as there are handles ask at the same time, each in a task of its own, and each so many operations of its
/// [`plan`]. What each was told, for [`explain`](super::explain).
///
/// # Panics
/// When the store fails for good.
pub async fn together<S: IdempotencyStore>(
    seed: u64,
    length: usize,
    handles: Vec<Arc<S>>,
) -> Vec<Vec<Event>> {
    let tickets = Arc::new(AtomicU64::new(1));
    let mut told = vec![Vec::new(); handles.len()];
    let mut clients = JoinSet::new();
    for (client, store) in handles.into_iter().enumerate() {
        let mut tickets = Arc::clone(&tickets);
        clients.spawn(async move {
            let mut events = Vec::with_capacity(length);
            for (_, op) in plan(seed, client, 1, length) {
                events.push(Event::record(&*store, op, &mut tickets).await);
                // whoever answers at once lets the others ask, too
                tokio::task::yield_now().await;
            }
            (client, events)
        });
    }
    while let Some(done) = clients.join_next().await {
        match done {
            Ok((client, events)) => told[client] = events,
            Err(failed) => panic!("a client failed: {failed}"),
        }
    }
    told
}

/// How many operations began while another was under way: histories in which nothing overlaps prove nothing.
#[must_use]
pub fn overlaps(clients: &[Vec<Event>]) -> usize {
    let events = || clients.iter().flatten();
    let crosses = |event: &&Event| events().any(|other| other.from < event.from && event.from < other.to);
    events().filter(crosses).count()
}

/// A clock that moves on by a microsecond at every look, and by itself not at all: no two looks see one instant, as on any server that
/// answers over a wire.
#[derive(Debug)]
pub struct Ticking(AtomicI64);

impl Ticking {
    /// In November 2023, for a start.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicI64::new(
            Timestamp::from_unix_seconds(1_700_000_000).unix_micros(),
        ))
    }
}

impl Default for Ticking {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.fetch_add(1, SeqCst))
    }
}
