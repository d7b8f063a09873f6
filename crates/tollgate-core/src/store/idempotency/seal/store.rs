//! The store that seals on the way in and opens on the way out.

use super::form;
use super::keyring::Keyring;
use crate::clock::Timestamp;
use crate::store::idempotency::{
    Begin, Begun, Completion, Held, IdempotencyStore, Record, RecordKey, Resolution, Resolve, Resolved,
    Settled, Settlement, Token, Unresolved,
};
use crate::store::{Capabilities, StoreError};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// An idempotency store whose answers are sealed. See the [module](super) for the lesson.
///
/// Promises what the store behind promises. Put it outermost: outside a cache of completed records, so that the cache holds sealed
/// answers too. Clones share the ring.
///
/// ```
/// use std::time::Duration;
/// use tollgate_core::Secret;
/// use tollgate_core::store::idempotency::seal::{Keyring, Sealed};
/// use tollgate_core::store::idempotency::*;
/// use tollgate_core::store::memory::MemoryIdempotency;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let plain = MemoryIdempotency::new();
/// let store = Sealed::new(plain.clone(), Keyring::new("2026-11", &Secret::new(vec![7; 32]))?);
/// let begin = |owner| Begin {
///     key: RecordKey::new([1; 32]), fingerprint: Fingerprint::new([2; 32]), owner: Owner(owner),
///     lease: Duration::from_secs(60), retention: Duration::from_secs(3600), arm: true,
///     tenant: Tenant::NONE, most_open: u32::MAX,
/// };
/// let Begun::Acquired(token) = store.begin(begin(1)).await? else { panic!("the key is free") };
/// let answer = Completion {
///     executed: true,
///     envelope: Some(Envelope { ok: true, status: 201, head: None, body: (*b"Ada Lovelace").into() }),
/// };
/// store.settle(token, &Settlement::Completed(answer.clone())).await?;
///
/// assert_eq!(store.begin(begin(2)).await?, Begun::Replay(answer)); // opened for a repeat
/// let row = plain.get(token.key).await?.unwrap().completion.unwrap().envelope.unwrap();
/// assert!(!row.body.windows(3).any(|bytes| bytes == b"Ada"));      // sealed at rest
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Sealed<St> {
    store: St,
    eyes: Eyes,
}

/// What it takes to open.
#[derive(Clone)]
struct Eyes {
    ring: Arc<Keyring>,
    accept_plain: bool,
}

impl<St> Sealed<St> {
    /// Seals what goes into this store.
    pub fn new(store: St, ring: Keyring) -> Self {
        Self {
            store,
            eyes: Eyes {
                ring: Arc::new(ring),
                accept_plain: false,
            },
        }
    }

    /// Also takes answers that are not sealed (default: refuses them). For one retention after sealing was switched on over a store
    /// that holds plain answers; take it away again: until then a plain answer that somebody forged into the database is believed.
    #[must_use]
    pub const fn accept_plain(mut self) -> Self {
        self.eyes.accept_plain = true;
        self
    }

    /// The store behind, which knows sealed answers alone.
    pub const fn get_ref(&self) -> &St {
        &self.store
    }

    /// The settlement as the store behind is to keep it. For what goes past the port, such as a store's `settle_in` with a
    /// transaction of the caller's; [`settle`](IdempotencyStore::settle) does it by itself.
    ///
    /// # Errors
    /// [`StoreError`] of kind `Unsupported` when the answer is longer than the cipher takes (256 GiB).
    pub fn seal(&self, record: &RecordKey, settlement: &Settlement) -> Result<Settlement, StoreError> {
        Ok(match settlement {
            Settlement::Completed(completion) => Settlement::Completed(self.eyes.close(record, completion)?),
            other => other.clone(),
        })
    }
}

impl Eyes {
    fn close(&self, record: &RecordKey, completion: &Completion) -> Result<Completion, StoreError> {
        let Completion { executed, envelope } = completion;
        let envelope = envelope
            .as_ref()
            .map(|envelope| form::seal(&self.ring, record, *executed, envelope));
        Ok(Completion {
            executed: *executed,
            envelope: envelope.transpose()?,
        })
    }

    fn open(&self, record: &RecordKey, completion: Completion) -> Result<Completion, StoreError> {
        let Completion { executed, envelope } = completion;
        let Some(stored) = envelope else {
            return Ok(Completion { executed, envelope });
        };
        let opened = if self.accept_plain && !form::is_sealed(&stored) {
            stored
        } else {
            form::open(&self.ring, record, executed, &stored).map_err(|why| why.at(record))?
        };
        Ok(Completion {
            executed,
            envelope: Some(opened),
        })
    }
}

impl<St: fmt::Debug> fmt::Debug for Sealed<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("store", &self.store)
            .field("ring", &self.eyes.ring)
            .field("accept_plain", &self.eyes.accept_plain)
            .finish()
    }
}

/// The answer of a [`Sealed`] store: what the store behind said, opened.
pub struct Opening<T, F>(State<T, F>);

enum State<T, F> {
    /// Nothing of it is sealed.
    Clear(F),
    Sealed {
        answer: F,
        record: RecordKey,
        eyes: Eyes,
        open: fn(&Eyes, &RecordKey, T) -> Result<T, StoreError>,
    },
    /// The store was not asked.
    Failed(Option<StoreError>),
}

impl<T, F> Future for Opening<T, F>
where
    F: Future<Output = Result<T, StoreError>> + Unpin,
{
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match &mut self.0 {
            State::Clear(answer) => ready!(Pin::new(answer).poll(cx)),
            State::Sealed {
                answer,
                record,
                eyes,
                open,
            } => ready!(Pin::new(answer).poll(cx)).and_then(|told| open(eyes, record, told)),
            State::Failed(error) => match error.take() {
                Some(error) => Err(error),
                None => unreachable!("polled after completion"),
            },
        })
    }
}

impl<T, F> fmt::Debug for Opening<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}

impl<St> Sealed<St> {
    fn opening<T, F>(
        &self,
        answer: F,
        record: RecordKey,
        open: fn(&Eyes, &RecordKey, T) -> Result<T, StoreError>,
    ) -> Opening<T, F> {
        Opening(State::Sealed {
            answer,
            record,
            eyes: self.eyes.clone(),
            open,
        })
    }
}

const fn clear<T, F>(answer: F) -> Opening<T, F> {
    Opening(State::Clear(answer))
}

const fn failed<T, F>(error: StoreError) -> Opening<T, F> {
    Opening(State::Failed(Some(error)))
}

impl<St: IdempotencyStore> IdempotencyStore for Sealed<St> {
    type Future<T: Send + 'static> = Opening<T, St::Future<T>>;

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn now(&self) -> Self::Future<Timestamp> {
        clear(self.store.now())
    }

    fn begin(&self, begin: Begin) -> Self::Future<Begun> {
        self.opening(self.store.begin(begin), begin.key, |eyes, record, begun| {
            Ok(match begun {
                Begun::Replay(completion) => Begun::Replay(eyes.open(record, completion)?),
                other => other,
            })
        })
    }

    fn changed(&self, key: RecordKey) -> Option<Self::Future<()>> {
        self.store.changed(key).map(clear)
    }

    fn arm(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        clear(self.store.arm(token, lease))
    }

    fn renew(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        clear(self.store.renew(token, lease))
    }

    fn settle(&self, token: Token, settlement: &Settlement) -> Self::Future<Settled> {
        match self.seal(&token.key, settlement) {
            Ok(sealed) => clear(self.store.settle(token, &sealed)),
            Err(error) => failed(error),
        }
    }

    fn resolve(&self, resolve: Resolve) -> Self::Future<Resolved> {
        let resolution = match &resolve.resolution {
            Resolution::Completed(completion) => match self.eyes.close(&resolve.key, completion) {
                Ok(sealed) => Resolution::Completed(sealed),
                Err(error) => return failed(error),
            },
            Resolution::Released => Resolution::Released,
        };
        clear(self.store.resolve(Resolve {
            resolution,
            ..resolve
        }))
    }

    fn get(&self, key: RecordKey) -> Self::Future<Option<Record>> {
        self.opening(self.store.get(key), key, |eyes, key, found| {
            let Some(mut record) = found else { return Ok(None) };
            if let Some(completion) = record.completion.take() {
                record.completion = Some(eyes.open(key, completion)?);
            }
            Ok(Some(record))
        })
    }

    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Self::Future<Vec<Unresolved>> {
        clear(self.store.unresolved(after, limit))
    }

    fn sweep(&self, limit: u32) -> Self::Future<u64> {
        clear(self.store.sweep(limit))
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Self::Future<u64> {
        clear(self.store.collect(tombstone, limit))
    }
}
