//! One listening connection for everybody in this process who waits for a claim to end.
//!
//! The statement that ends a claim that somebody waits for says so on the channel `tollgate`. The ear hears it and wakes those who wait
//! for that record. A word that is spoken while the ear is not there is lost, so whoever waits when the connection breaks is told that
//! nothing can be heard, and asks from time to time until the ear is back.

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::RecordKey;

const CHANNEL: &str = "tollgate";

/// How long a connection may take, and an answer to the question whether it still lives.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that says nothing for so long is asked whether it still lives.
const SILENCE: Duration = Duration::from_secs(30);

/// Between two tries to connect, doubled from the one to the other.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A handle; clones share the connection. It is made when somebody waits for the first time, and closed with the last handle.
#[derive(Clone)]
pub(crate) struct Ear(Arc<Owner>);

struct Owner {
    options: PgConnectOptions,
    shared: Arc<Shared>,
    listening: Mutex<Option<AbortHandle>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.listening).take() {
            task.abort();
        }
    }
}

struct Shared {
    state: watch::Sender<State>,
    waiting: Mutex<Waiting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has waited yet, or the task is gone with its runtime.
    Absent,
    /// Making its first connection.
    Coming,
    /// What is said from now on is heard.
    Listening,
    /// Lost; trying again.
    Deaf,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    by_key: HashMap<RecordKey, Vec<(u64, oneshot::Sender<Heard>)>>,
}

enum Heard {
    Word,
    Nothing,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // nothing panics while it holds one
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn deaf() -> StoreError {
    StoreError::unavailable("the connection that listens is lost")
}

impl Ear {
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        let shared = Arc::new(Shared {
            state: watch::Sender::new(State::Absent),
            waiting: Mutex::default(),
        });
        Self(Arc::new(Owner {
            options,
            shared,
            listening: Mutex::default(),
        }))
    }

    /// Waits for the next word about this record, beginning now.
    pub(crate) async fn enlist(&self, key: RecordKey) -> Result<Word, StoreError> {
        let mut state = self.0.shared.state.subscribe();
        self.start();
        // the sender lives as long as this handle
        let _ = state.wait_for(|state| *state != State::Coming).await;
        self.0.shared.enlist(key).ok_or_else(deaf)
    }

    /// Starts to listen, unless it does.
    fn start(&self) {
        let mut listening = lock(&self.0.listening);
        if *self.0.shared.state.borrow() != State::Absent {
            return;
        }
        self.0.shared.state.send_replace(State::Coming);
        // made here: a task that a runtime takes along before it has begun has come to its end, too
        let ending = Ending(Arc::clone(&self.0.shared));
        let task = tokio::spawn(listen(self.0.options.clone(), ending));
        *listening = Some(task.abort_handle());
    }

    /// Stops to listen; a later wait begins anew.
    pub(crate) fn close(&self) {
        if let Some(task) = lock(&self.0.listening).take() {
            task.abort();
        }
    }
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", *self.0.shared.state.borrow())
    }
}

impl Shared {
    /// Under the lock that [`Self::turn`] holds: nobody enlists with an ear that has just gone deaf.
    fn enlist(self: &Arc<Self>, key: RecordKey) -> Option<Word> {
        let mut waiting = lock(&self.waiting);
        if *self.state.borrow() != State::Listening {
            return None;
        }
        let (tell, told) = oneshot::channel();
        let number = waiting.next;
        waiting.next = waiting.next.wrapping_add(1);
        waiting.by_key.entry(key).or_default().push((number, tell));
        Some(Word {
            key,
            number,
            told,
            shared: Arc::clone(self),
        })
    }

    fn wake(&self, key: &RecordKey) {
        let woken = lock(&self.waiting).by_key.remove(key);
        for (_, tell) in woken.into_iter().flatten() {
            let _ = tell.send(Heard::Word);
        }
    }

    /// From now on it listens, or does not; then whoever waits is told.
    fn turn(&self, state: State) {
        let mut waiting = lock(&self.waiting);
        self.state.send_replace(state);
        if state != State::Listening {
            for (_, tell) in std::mem::take(&mut waiting.by_key).into_values().flatten() {
                let _ = tell.send(Heard::Nothing);
            }
        }
    }
}

/// A place in the list; left when it is dropped.
pub(crate) struct Word {
    key: RecordKey,
    number: u64,
    told: oneshot::Receiver<Heard>,
    shared: Arc<Shared>,
}

impl Word {
    /// The word, or the end of this time.
    pub(crate) async fn or_after(mut self, time: Duration) -> Result<(), StoreError> {
        // leases lapse after their last microsecond, not at it
        let time = time.saturating_add(Duration::from_millis(1));
        match tokio::time::timeout(time, &mut self.told).await {
            Err(_) | Ok(Ok(Heard::Word)) => Ok(()),
            Ok(Ok(Heard::Nothing) | Err(_)) => Err(deaf()),
        }
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        let mut waiting = lock(&self.shared.waiting);
        if let Some(others) = waiting.by_key.get_mut(&self.key) {
            others.retain(|(number, _)| *number != self.number);
            if others.is_empty() {
                waiting.by_key.remove(&self.key);
            }
        }
    }
}

/// Says so when the task ends, however it does: a runtime may take it along.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.turn(State::Absent);
    }
}

async fn listen(options: PgConnectOptions, ending: Ending) {
    let shared = &ending.0;
    let (mut pause, longest) = BACK_OFF;
    loop {
        if let Some(mut listener) = connect(&options).await {
            pause = BACK_OFF.0;
            shared.turn(State::Listening);
            while let Some(key) = next(&mut listener).await {
                shared.wake(&key);
            }
        }
        shared.turn(State::Deaf);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// A connection of its own: it must not take one from those who work.
async fn connect(options: &PgConnectOptions) -> Option<PgListener> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(PATIENCE)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await.ok()?;
    listener.eager_reconnect(false);
    let listening = tokio::time::timeout(PATIENCE, listener.listen(CHANNEL)).await;
    matches!(listening, Ok(Ok(()))).then_some(listener)
}

/// The next record that there is word of; `None` when the connection is lost.
async fn next(listener: &mut PgListener) -> Option<RecordKey> {
    loop {
        match tokio::time::timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(word))) => {
                if let Some(key) = key_of(word.payload()) {
                    return Some(key);
                }
            }
            Ok(Ok(None) | Err(_)) => return None,
            Err(_) => {
                let alive = sqlx::query("select 1").execute(&mut *listener);
                if !matches!(tokio::time::timeout(PATIENCE, alive).await, Ok(Ok(_))) {
                    return None;
                }
            }
        }
    }
}

/// The key that is meant; others may speak on the channel too.
fn key_of(payload: &str) -> Option<RecordKey> {
    let digits = payload.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(RecordKey::new(key))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};
    use tokio::runtime::Builder;

    /// A runtime that ends before the ear has begun to listen takes its task along unpolled. Whoever waits later, in another one, must not
    /// wait for what never comes.
    #[test]
    fn an_ear_that_never_began_to_listen_begins_anew() {
        let ear = Ear::new(PgConnectOptions::new().host("127.0.0.1").port(1));
        for _ in 0..2 {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            {
                let _inside = runtime.enter();
                let mut waits = pin!(ear.enlist(RecordKey::new([7; 32])));
                let polled = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending());
                assert_eq!(*ear.0.shared.state.borrow(), State::Coming);
                let task = lock(&ear.0.listening).take();
                assert!(task.is_some_and(|task| !task.is_finished()), "nobody is coming");
            }
            drop(runtime);
            assert_eq!(*ear.0.shared.state.borrow(), State::Absent);
        }
    }
}
