//! Answers kept in front of another store: nobody can tell, except by how little that store is asked.

mod failing;
mod histories;
mod keeping;

use crate::sample::{self, HOUR};
use crate::server::{prefix, url};
use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Envelope, Fingerprint, IdempotencyStore, RecordKey, Settled, Settlement, Token,
};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::{Secret, Secrets};
use tollgate_redis::cache::{CacheSettings, CompletedCache};
use tollgate_testkit::conformance::Subject;
use tollgate_testkit::samples::{self, claim};

/// The deployment's.
fn secrets() -> Secrets {
    Secrets::new(&Secret::new(vec![7; 32])).unwrap()
}

/// A cache with a prefix of its own, patient enough for a busy machine.
fn settings() -> CacheSettings {
    CacheSettings::new()
        .prefix(prefix())
        .patience(Duration::from_secs(5))
}

async fn before<St: IdempotencyStore>(inner: St, url: &str, settings: CacheSettings) -> CompletedCache<St> {
    CompletedCache::connect(inner, url, &secrets(), settings)
        .await
        .unwrap()
}

fn begin(key: u8) -> Begin {
    Begin {
        key: samples::key(key),
        ..sample::begin(0)
    }
}

fn answer(body: &[u8]) -> Completion {
    Completion {
        executed: true,
        envelope: Some(Envelope {
            ok: true,
            status: 201,
            head: Some(b"location: /1"[..].into()),
            body: body.into(),
        }),
    }
}

/// Begins and completes.
async fn complete(store: &impl IdempotencyStore, begin: Begin, body: &[u8]) -> Token {
    let token = claim(store, begin).await;
    let settlement = Settlement::Completed(answer(body));
    assert_eq!(store.settle(token, &settlement).await.unwrap(), Settled::Applied);
    token
}

/// The name under which a key's answer is kept.
fn name(prefix: &str, key: RecordKey) -> String {
    let hex: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}:completed:{hex}")
}

/// Longer than the slowest answer, also when other tests keep the machine busy.
const UNIT: Duration = Duration::from_millis(300);

/// The store behind takes its time from the same machine's clock.
async fn subject(url: &str, settings: CacheSettings) -> Subject<CompletedCache<MemoryIdempotency>> {
    Subject::real(before(MemoryIdempotency::new(), url, settings).await, UNIT)
}

tollgate_testkit::idempotency_conformance!(with_a_cache_that_works, subject(&url(), settings()).await);
