//! Answers kept by Redis in front of this store, as they are in production: by two servers and their two clocks.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use support::{Database, block_on};
use tollgate_core::store::idempotency::seal::{Keyring, Sealed};
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Envelope, Fingerprint, IdempotencyStore, Resolution, Resolved, Settled,
    Settlement, Token,
};
use tollgate_core::{Secret, Secrets};
use tollgate_postgres::Postgres;
use tollgate_redis::cache::{CacheSettings, CompletedCache};
use tollgate_testkit::conformance::Subject;
use tollgate_testkit::samples;

const HOUR: Duration = Duration::from_secs(3600);

/// The URL of the Redis server that `tests/run` starts.
fn redis() -> String {
    std::env::var("TOLLGATE_TEST_REDIS").unwrap_or_else(|_| {
        panic!("TOLLGATE_TEST_REDIS is not set: run these tests by `tests/run`, which starts a server")
    })
}

/// Nobody else's, also when the server outlives several runs; patient enough for a busy machine.
fn settings(database: &Database) -> CacheSettings {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = tempfile::tempdir().unwrap();
    let unique = folder.path().file_name().unwrap().to_str().unwrap();
    let plain: String = unique.chars().filter(char::is_ascii_alphanumeric).collect();
    CacheSettings::new()
        .prefix(format!("{}-{plain}-{}", database.name, NEXT.fetch_add(1, SeqCst)))
        .patience(Duration::from_secs(30))
}

async fn before<St: IdempotencyStore>(inner: St, settings: CacheSettings) -> CompletedCache<St> {
    let secrets = Secrets::new(&Secret::new(vec![7; 32])).unwrap();
    CompletedCache::connect(inner, &redis(), &secrets, settings)
        .await
        .unwrap()
}

fn ring() -> Keyring {
    Keyring::new("2026-11", &Secret::new(vec![7; 32])).unwrap()
}

/// The clocks are the servers' own.
async fn cached() -> Subject<CompletedCache<Postgres>> {
    let database = Database::fresh().await;
    let store = before(database.store().await, settings(&database)).await;
    Subject::real(store, Duration::from_millis(250)).keeping(database)
}

tollgate_testkit::idempotency_conformance!(with_a_cache, cached().await);

fn begin(key: u8) -> Begin {
    Begin {
        lease: HOUR,
        ..samples::begin(samples::key(key), 7)
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

async fn claim(store: &impl IdempotencyStore, key: u8) -> Token {
    samples::claim(store, begin(key)).await
}

async fn complete(store: &impl IdempotencyStore, key: u8) -> Token {
    let token = claim(store, key).await;
    let settled = store.settle(token, &Settlement::Completed(answer(b"done"))).await;
    assert_eq!(settled.unwrap(), Settled::Applied);
    token
}

/// What one process completed, another one replays while the database is away; another request under the key is refused all the same,
/// and nothing new begins.
#[test]
fn what_is_done_is_answered_while_the_database_is_away() {
    block_on(async {
        let database = Database::fresh().await;
        let settings = settings(&database);
        let one = before(database.store().await, settings.clone()).await;
        let other = before(database.store().await, settings).await;
        complete(&one, 1).await;
        other.inner().close().await;
        assert_eq!(
            other.begin(begin(1)).await.unwrap(),
            Begun::Replay(answer(b"done"))
        );
        let another = Begin {
            fingerprint: Fingerprint::new([2; 32]),
            ..begin(1)
        };
        assert_eq!(other.begin(another).await.unwrap(), Begun::Mismatch);
        assert_eq!(other.stats().hits, 2);
        let error = other.begin(begin(2)).await.unwrap_err();
        assert!(!error.may_have_happened(), "{error:?}");
    });
}

/// A handler that settled in its own transaction went past the cache. What the layer settles afterwards is there already, and is kept.
#[test]
fn what_a_handler_settled_is_kept() {
    block_on(async {
        let database = Database::fresh().await;
        let store = before(database.store().await, settings(&database)).await;
        let token = claim(&store, 1).await;
        let settlement = Settlement::Completed(answer(b"done"));
        let mut connection = database.connection().await;
        let mut transaction = sqlx::Connection::begin(&mut connection).await.unwrap();
        Postgres::settle_in(&mut transaction, token, &settlement)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(store.stats().kept, 0);
        let settled = store.settle(token, &settlement).await.unwrap();
        assert_eq!((settled, store.stats().kept), (Settled::AlreadyApplied, 1));
        assert_eq!(
            store.begin(begin(1)).await.unwrap(),
            Begun::Replay(answer(b"done"))
        );
        assert_eq!(store.stats().hits, 1);
    });
}

/// Doubts, and what was released, are nobody's answer: the database is asked each time. What evidence makes of a doubt is one.
#[test]
fn nothing_but_what_is_final_is_kept() {
    block_on(async {
        let database = Database::fresh().await;
        let store = before(database.store().await, settings(&database)).await;
        let token = claim(&store, 1).await;
        let doubt = Settlement::Unknown(Doubt::AnswerInDoubt);
        assert_eq!(store.settle(token, &doubt).await.unwrap(), Settled::Applied);
        for _ in 0..2 {
            let begun = store.begin(begin(1)).await.unwrap();
            assert!(matches!(begun, Begun::Unknown { .. }), "{begun:?}");
        }
        let released = claim(&store, 2).await;
        store.settle(released, &Settlement::Released).await.unwrap();
        assert_eq!(claim(&store, 2).await.epoch, 2);
        assert_eq!((store.stats().hits, store.stats().kept), (0, 0));

        let now = store.now().await.unwrap();
        let resolve = samples::resolve(token, now, Resolution::Completed(answer(b"found")));
        assert_eq!(store.resolve(resolve).await.unwrap(), Resolved::Resolved);
        for hits in 0..2 {
            let again = store.begin(begin(1)).await.unwrap();
            assert_eq!(
                (again, store.stats().hits),
                (Begun::Replay(answer(b"found")), hits)
            );
        }
    });
}

/// Sealed before they are kept, answers are readable in neither server.
#[test]
fn sealed_answers_are_kept_sealed() {
    block_on(async {
        let database = Database::fresh().await;
        let settings = settings(&database);
        let store = Sealed::new(before(database.store().await, settings.clone()).await, ring());
        complete(&store, 1).await;
        assert_eq!(
            store.begin(begin(1)).await.unwrap(),
            Begun::Replay(answer(b"done"))
        );
        assert_eq!(store.get_ref().stats().hits, 1);
        // as whoever has no key sees it
        let bare = before(database.store().await, settings).await;
        let Begun::Replay(kept) = bare.begin(begin(1)).await.unwrap() else {
            panic!("it is done")
        };
        assert_eq!(bare.stats().hits, 1);
        let kept = kept.envelope.unwrap();
        let all = [kept.head.as_deref().unwrap_or_default(), &kept.body].concat();
        for part in [&b"done"[..], b"location"] {
            let readable = all.windows(part.len()).any(|window| window == part);
            assert!(!readable, "{all:?}");
        }
    });
}
