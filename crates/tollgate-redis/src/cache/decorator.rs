//! The decorator: what is asked of the cache, what of the store behind, and what is kept.

use super::entry::Entry;
use super::settings::{CacheSettings, CacheStats};
use super::tier::Tier;
use crate::error::ConnectError;
use crate::open::{check_prefix, connection};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Fingerprint, Held, IdempotencyStore, Phase, Record, RecordKey, Resolve,
    Resolved, Settled, Settlement, Token, Unresolved,
};
use tollgate_core::store::{Boxed, Capabilities};
use tollgate_core::{Secrets, Timestamp};

/// A durable store with a Redis server in front that answers repeats of what is done. See the [module](super).
///
/// Clones share everything.
pub struct CompletedCache<St> {
    shared: Arc<Shared<St>>,
}

struct Shared<St> {
    inner: St,
    tier: Tier,
    secrets: Secrets,
    keep: Duration,
    largest: usize,
    claims: Mutex<HashMap<Token, Claim>>,
}

/// What a settlement does not say about its record.
#[derive(Clone, Copy)]
struct Claim {
    fingerprint: Fingerprint,
    begun: Timestamp,
    retention: Duration,
}

/// How many claims are remembered between begin and settlement. They are hints: when there are more, all are forgotten, and the
/// answers are kept by their first replays instead.
const CLAIMS: usize = 10_000;

impl<St: IdempotencyStore> CompletedCache<St> {
    /// Puts the server at this URL in front of a store. A server that does not answer is no error: calls go on without it until it
    /// does. `secrets` are the deployment's own, the same in every process.
    ///
    /// # Errors
    /// [`ConnectError::Url`] and [`ConnectError::Prefix`].
    pub async fn connect(
        inner: St,
        url: &str,
        secrets: &Secrets,
        settings: CacheSettings,
    ) -> Result<Self, ConnectError> {
        check_prefix(&settings.prefix)?;
        let connection = connection(url, settings.patience, settings.patience / 2)?;
        let tier = Tier::new(connection, &settings);
        tier.warm_up().await;
        Ok(Self {
            shared: Arc::new(Shared {
                inner,
                tier,
                secrets: secrets.clone(),
                keep: settings.keep,
                largest: settings.largest,
                claims: Mutex::default(),
            }),
        })
    }
}

impl<St> CompletedCache<St> {
    /// The store behind.
    #[must_use]
    pub fn inner(&self) -> &St {
        &self.shared.inner
    }

    /// What the cache did so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.shared.tier.stats()
    }
}

impl<St> Clone for CompletedCache<St> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<St: fmt::Debug> fmt::Debug for CompletedCache<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletedCache")
            .field("inner", &self.shared.inner)
            .field("tier", &self.shared.tier)
            .finish_non_exhaustive()
    }
}

impl<St: IdempotencyStore> Shared<St> {
    /// The answer that is kept, if there is one for this key; and the cache's time, if it says.
    async fn look_up(&self, key: &RecordKey) -> (Option<Timestamp>, Option<Entry>) {
        let Some(look) = self.tier.look_up(key).await else {
            return (None, None);
        };
        let entry = look.found.and_then(|bytes| {
            let entry = Entry::open(&bytes, key, &self.secrets);
            if entry.is_none() {
                self.tier.failed();
            }
            entry.filter(|entry| look.now < entry.until)
        });
        if entry.is_none() {
            self.tier.missed();
        }
        (Some(look.now), entry)
    }

    /// What was begun when the cache's clock showed `begun`.
    async fn learn(&self, begin: &Begin, begun: Timestamp, answer: &Begun) {
        match answer {
            Begun::Acquired(token) => self.remember(
                *token,
                Claim {
                    fingerprint: begin.fingerprint,
                    begun,
                    retention: begin.retention,
                },
            ),
            Begun::Replay(_) => {
                let read = timeout(self.tier.patience(), self.read(begin.key)).await;
                if let Ok(Some((record, now))) = read {
                    self.keep_record(&begin.key, &record, now, begun).await;
                }
            }
            _ => {}
        }
    }

    /// A record, which says what a replay does not: until when it is kept. And what time that is measured by.
    async fn read(&self, key: RecordKey) -> Option<(Record, Timestamp)> {
        let record = self.inner.get(key).await.ok()??;
        let now = self.inner.now().await.ok()?;
        Some((record, now))
    }

    /// Keeps what is left of a record at `now` by the store's clock; `asked` is the cache's, and earlier.
    async fn keep_record(&self, key: &RecordKey, record: &Record, now: Timestamp, asked: Timestamp) {
        if let (Phase::Completed, Some(completion), Some(expires_at)) =
            (record.phase, &record.completion, record.expires_at)
        {
            let left = expires_at.since(now);
            self.keep(key, record.fingerprint, completion, asked, left).await;
        }
    }

    /// Keeps a final answer until `time` after `from`, or for as long as is configured.
    async fn keep(
        &self,
        key: &RecordKey,
        fingerprint: Fingerprint,
        completion: &Completion,
        from: Timestamp,
        time: Duration,
    ) {
        let time = time.min(self.keep);
        let size = completion.envelope.as_ref().map_or(0, |envelope| {
            envelope.body.len() + envelope.head.as_deref().map_or(0, <[u8]>::len)
        });
        if time.is_zero() || size > self.largest {
            return;
        }
        let entry = Entry {
            fingerprint,
            until: from.saturating_add(time),
            completion: completion.clone(),
        };
        let bytes = entry.seal(key, &self.secrets);
        self.tier.keep(key, &bytes, time).await;
    }

    fn remember(&self, token: Token, claim: Claim) {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.len() >= CLAIMS {
            claims.clear();
        }
        claims.insert(token, claim);
    }

    fn recall(&self, token: &Token) -> Option<Claim> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.remove(token)
    }
}

impl<St: IdempotencyStore> IdempotencyStore for CompletedCache<St> {
    type Future<T: Send + 'static> = Boxed<T>;

    fn capabilities(&self) -> Capabilities {
        self.shared.inner.capabilities()
    }

    fn now(&self) -> Boxed<Timestamp> {
        Box::pin(self.shared.inner.now())
    }

    fn begin(&self, begin: Begin) -> Boxed<Begun> {
        let this = Arc::clone(&self.shared);
        Box::pin(async move {
            let (now, entry) = this.look_up(&begin.key).await;
            if let Some(entry) = entry {
                this.tier.hit();
                return Ok(if entry.fingerprint == begin.fingerprint {
                    Begun::Replay(entry.completion)
                } else {
                    Begun::Mismatch
                });
            }
            let begun = this.inner.begin(begin).await?;
            if let Some(now) = now {
                this.learn(&begin, now, &begun).await;
            }
            Ok(begun)
        })
    }

    fn settle(&self, token: Token, settlement: &Settlement) -> Boxed<Settled> {
        let (this, settlement) = (Arc::clone(&self.shared), settlement.clone());
        Box::pin(async move {
            let settled = this.inner.settle(token, &settlement).await?;
            // looked for only now: a settlement that failed is tried again
            let claim = this.recall(&token);
            if let (
                Settled::Applied | Settled::AlreadyApplied,
                Settlement::Completed(completion),
                Some(claim),
            ) = (settled, &settlement, claim)
            {
                // counted from before the record was begun, so this ends before its retention does
                this.keep(
                    &token.key,
                    claim.fingerprint,
                    completion,
                    claim.begun,
                    claim.retention,
                )
                .await;
            }
            Ok(settled)
        })
    }

    fn changed(&self, key: RecordKey) -> Option<Boxed<()>> {
        Some(Box::pin(self.shared.inner.changed(key)?))
    }

    fn arm(&self, token: Token, lease: Duration) -> Boxed<Held> {
        Box::pin(self.shared.inner.arm(token, lease))
    }

    fn renew(&self, token: Token, lease: Duration) -> Boxed<Held> {
        Box::pin(self.shared.inner.renew(token, lease))
    }

    fn resolve(&self, resolve: Resolve) -> Boxed<Resolved> {
        Box::pin(self.shared.inner.resolve(resolve))
    }

    fn get(&self, key: RecordKey) -> Boxed<Option<Record>> {
        Box::pin(self.shared.inner.get(key))
    }

    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Boxed<Vec<Unresolved>> {
        Box::pin(self.shared.inner.unresolved(after, limit))
    }

    fn sweep(&self, limit: u32) -> Boxed<u64> {
        Box::pin(self.shared.inner.sweep(limit))
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Boxed<u64> {
        Box::pin(self.shared.inner.collect(tombstone, limit))
    }
}
