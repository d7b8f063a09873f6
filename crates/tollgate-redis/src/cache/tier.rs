//! The Redis server as seen by a caller who can do without it.

use super::settings::{CacheSettings, CacheStats};
use crate::connection::Connection;
use redis::{Pipeline, RedisError, Value};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::RecordKey;

#[derive(Debug)]
pub(super) struct Tier {
    connection: Connection,
    prefix: String,
    patience: Duration,
    pause: Duration,
    /// Until when nobody asks.
    closed: Mutex<Option<Instant>>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    kept: AtomicU64,
    failures: AtomicU64,
    skipped: AtomicU64,
}

/// What the cache says about a key.
pub(super) struct Look {
    /// The server's time, at the latest when it looked.
    pub(super) now: Timestamp,
    /// What stands there.
    pub(super) found: Option<Vec<u8>>,
}

impl Tier {
    pub(super) fn new(connection: Connection, settings: &CacheSettings) -> Self {
        Self {
            connection,
            prefix: settings.prefix.clone(),
            patience: settings.patience,
            pause: settings.pause,
            closed: Mutex::new(None),
            counts: Counts::default(),
        }
    }

    /// Makes the connection, if that is soon done.
    pub(super) async fn warm_up(&self) {
        let mut ping = redis::pipe();
        ping.cmd("PING");
        self.ask(&ping).await;
    }

    /// Looks up a key; `None` when the server does not say.
    pub(super) async fn look_up(&self, key: &RecordKey) -> Option<Look> {
        let mut ask = redis::pipe();
        // the time first: what happens from now on happens later
        ask.cmd("TIME").cmd("GET").arg(self.name(key));
        let mut answers = self.ask(&ask).await?.into_iter();
        let (time, found) = (answers.next()?, answers.next()?);
        let look = instant(&time).zip(match found {
            Value::BulkString(bytes) => Some(Some(bytes)),
            Value::Nil => Some(None),
            // a key of another type, or an answer of another server's
            _ => None,
        });
        if look.is_none() {
            self.failed();
        }
        look.map(|(now, found)| Look { now, found })
    }

    /// Keeps bytes under a key, for this long.
    pub(super) async fn keep(&self, key: &RecordKey, bytes: &[u8], time: Duration) {
        let mut ask = redis::pipe();
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        ask.cmd("SET")
            .arg(self.name(key))
            .arg(bytes)
            .arg("PX")
            .arg(millis.max(1));
        match self.ask(&ask).await.as_deref() {
            Some([Value::Okay]) => count(&self.counts.kept),
            Some(_) => self.failed(),
            None => {}
        }
    }

    pub(super) fn hit(&self) {
        count(&self.counts.hits);
    }

    pub(super) fn missed(&self) {
        count(&self.counts.misses);
    }

    /// Something there cannot be used.
    pub(super) fn failed(&self) {
        count(&self.counts.failures);
    }

    pub(super) const fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn stats(&self) -> CacheStats {
        let counts = &self.counts;
        CacheStats {
            hits: counts.hits.load(Relaxed),
            misses: counts.misses.load(Relaxed),
            kept: counts.kept.load(Relaxed),
            failures: counts.failures.load(Relaxed),
            skipped: counts.skipped.load(Relaxed),
        }
    }

    /// A key's name. No hash tag: every entry stands alone, and may lie anywhere.
    fn name(&self, key: &RecordKey) -> String {
        use std::fmt::Write;
        let mut name = format!("{}:completed:", self.prefix);
        for byte in key.as_bytes() {
            // writing to a string does not fail
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    async fn ask(&self, commands: &Pipeline) -> Option<Vec<Value>> {
        if !self.may_ask() {
            count(&self.counts.skipped);
            return None;
        }
        match timeout(self.patience, self.connection.send_all(commands)).await {
            Ok(Ok(answers)) => {
                self.set_closed(None);
                return Some(answers);
            }
            Ok(Err(error)) if !is_silence(&error) => self.set_closed(None),
            Ok(Err(_)) | Err(_) => self.set_closed(Some(Instant::now() + self.pause)),
        }
        self.failed();
        None
    }

    /// Whether to ask. After a pause it is one caller who tries; the others still go past.
    fn may_ask(&self) -> bool {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match *closed {
            Some(until) if now < until => false,
            Some(_) => {
                *closed = Some(now + self.pause);
                true
            }
            None => true,
        }
    }

    fn set_closed(&self, until: Option<Instant>) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// Nobody answers, or not in time. An error that the server says cost no time.
fn is_silence(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error()
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// The answer to `TIME`.
fn instant(answer: &Value) -> Option<Timestamp> {
    let Value::Array(parts) = answer else { return None };
    let [Value::BulkString(seconds), Value::BulkString(micros)] = &parts[..] else {
        return None;
    };
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i64>().ok();
    let micros = number(seconds)?
        .checked_mul(1_000_000)?
        .checked_add(number(micros)?)?;
    Some(Timestamp::from_unix_micros(micros))
}
