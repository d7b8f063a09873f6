//! What a file is opened with, what is refused, and what it still holds when it is opened again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rusqlite::Connection;
use std::error::Error;
use std::path::PathBuf;
use tollgate_core::store::audit::AuditStore;
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey};
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Envelope, Held, IdempotencyStore, Owner, RecordKey, Settled, Settlement,
    Token,
};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take, Taken};
use tollgate_core::store::saga::{Created, NewSaga, SagaId, SagaJournal};
use tollgate_core::store::velocity::{Admit, VelocityKey, VelocityStore};
use tollgate_core::store::{Capabilities, StoreErrorKind};
use tollgate_core::{ManualClock, Timestamp};
use tollgate_sqlite::{OpenError, Sqlite};
use tollgate_testkit::samples;

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    (folder, path)
}

fn begin(number: u8) -> Begin {
    Begin {
        arm: false,
        ..samples::begin(samples::key(number), u128::MAX - u128::from(number))
    }
}

async fn armed(store: &Sqlite, number: u8) -> Token {
    let token = samples::claim(store, begin(number)).await;
    assert_eq!(store.arm(token, MINUTE).await.unwrap(), Held::Held);
    token
}

/// Every port, written, closed, opened: all is as it was, and tokens of before still work.
#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() {
    let (_folder, path) = fresh();
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
    let open = || Sqlite::open_with(&path, clock.clone()).unwrap();

    let store = open();
    let completion = Completion {
        executed: true,
        envelope: Some(Envelope {
            ok: true,
            status: 201,
            head: Some([0, 255][..].into()),
            body: b"{}"[..].into(),
        }),
    };
    let done = armed(&store, 1).await;
    let settled = store
        .settle(done, &Settlement::Completed(completion.clone()))
        .await
        .unwrap();
    assert_eq!(settled, Settled::Applied);
    let running = armed(&store, 2).await;
    let doubtful = armed(&store, 3).await;
    store
        .settle(doubtful, &Settlement::Unknown(Doubt::Panicked))
        .await
        .unwrap();
    let records = [1, 2, 3].map(samples::key);
    let mut before = Vec::new();
    for key in records {
        before.push(store.get(key).await.unwrap());
    }
    let claim = Claim {
        key: EventKey([1; 32]),
        digest: EventDigest([2; 32]),
        lease: MINUTE,
    };
    let Claimed::Acquired(ticket) = DedupStore::claim(&store, claim).await.unwrap() else {
        panic!()
    };
    let take = Take {
        key: QuotaKey([1; 32]),
        quota: Quota::per_minute(std::num::NonZeroU32::MIN),
        cost: 1,
    };
    store.take(&[take]).await.unwrap();
    let admit = Admit {
        key: VelocityKey([1; 32]),
        window: MINUTE,
        weight: u64::MAX,
        limit: u64::MAX,
    };
    store.admit(admit).await.unwrap();
    let receipt = AuditStore::append(&store, "payments", b"charged"[..].into())
        .await
        .unwrap();
    let saga = NewSaga {
        id: SagaId([1; 16]),
        name: "checkout".into(),
        key: "order".into(),
        records: vec![b"started"[..].into()],
        lease: MINUTE,
    };
    assert_eq!(store.create(saga.clone()).await.unwrap(), Created::Created);
    let journal = store.load(saga.id).await.unwrap();
    drop(store);

    let store = open();
    let mut after = Vec::new();
    for key in records {
        after.push(store.get(key).await.unwrap());
    }
    assert_eq!(after, before);
    assert_eq!(
        store.begin(begin(1)).await.unwrap(),
        Begun::Replay(completion.clone())
    );
    assert_eq!(
        store
            .settle(running, &Settlement::Completed(completion))
            .await
            .unwrap(),
        Settled::Applied
    );
    assert!(store.commit(ticket, MINUTE).await.unwrap());
    assert!(matches!(
        store.take(&[take]).await.unwrap(),
        Taken::Refused { .. }
    ));
    let total = store
        .admit(Admit {
            weight: 1,
            limit: 1,
            ..admit
        })
        .await
        .unwrap();
    assert_eq!((total.within, total.total), (false, u64::MAX));
    assert_eq!(store.head("payments").await.unwrap(), receipt);
    assert_eq!(
        store.create(saga.clone()).await.unwrap(),
        Created::Exists(saga.id)
    );
    assert_eq!(store.load(saga.id).await.unwrap(), journal);
}

/// Clones are one store, and two handles on one file are too.
#[tokio::test]
async fn handles_share_the_file() {
    let (_folder, path) = fresh();
    let (one, two) = (Sqlite::open(&path).unwrap(), Sqlite::open(&path).unwrap());
    let token = armed(&one.clone(), 1).await;
    let other = Begin {
        owner: Owner(9),
        ..begin(1)
    };
    assert!(matches!(two.begin(other).await.unwrap(), Begun::InFlight { .. }));
    assert_eq!(
        two.settle(token, &Settlement::Released).await.unwrap(),
        Settled::Applied
    );
    let Begun::Acquired(next) = one.begin(other).await.unwrap() else {
        panic!()
    };
    assert_eq!(next.epoch, 2);
}

#[test]
fn a_store_in_memory_is_refused() {
    for path in ["", ":memory:"] {
        let error = Sqlite::open(path).unwrap_err();
        assert!(matches!(&error, OpenError::InMemory { .. }), "{error:?}");
        assert!(error.to_string().contains("only in memory"), "{error}");
    }
}

/// A path is a path. As a URI, this one would live in memory.
#[tokio::test]
async fn a_path_is_never_read_as_a_uri() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file:store?mode=memory");
    AuditStore::append(&Sqlite::open(&path).unwrap(), "c", b"1"[..].into())
        .await
        .unwrap();
    assert!(path.is_file());
    assert_eq!(Sqlite::open(&path).unwrap().head("c").await.unwrap().seq, 1);
}

/// An older process must not write into what a newer one laid out: it says so, and leaves the file alone.
#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (_folder, path) = fresh();
    drop(Sqlite::open(&path).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer
        .execute_batch("pragma journal_mode = delete; pragma user_version = 7")
        .unwrap();
    drop(newer);
    let before = std::fs::read(&path).unwrap();
    match Sqlite::open(&path).unwrap_err() {
        error @ OpenError::Newer {
            found: 7, known: 1, ..
        } => {
            assert!(error.to_string().contains("upgrade this process"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(std::fs::read(&path).unwrap() == before, "the file was changed");
}

/// Another application's database is not ours to add tables to, whatever version it says it has.
#[test]
fn another_applications_database_is_refused_and_left_alone() {
    for version in [0, 1] {
        let (_folder, path) = fresh();
        let theirs = Connection::open(&path).unwrap();
        theirs
            .execute_batch(&format!(
                "create table saga (title text); pragma user_version = {version}"
            ))
            .unwrap();
        drop(theirs);
        let before = std::fs::read(&path).unwrap();
        let error = Sqlite::open(&path).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
        assert!(std::fs::read(&path).unwrap() == before, "the file was changed");
    }
}

/// A file of somebody else's is refused and left as it is, and the error names it.
#[test]
fn what_is_no_store_is_refused() {
    let (folder, path) = fresh();
    let letter = "Dear Sir or Madam, ".repeat(1000);
    std::fs::write(&path, &letter).unwrap();
    let missing = folder.path().join("no").join("such").join("folder.sqlite");
    for path in [path.clone(), missing, folder.path().to_owned()] {
        let error = Sqlite::open(&path).unwrap_err();
        assert!(matches!(&error, OpenError::Unopenable { .. }), "{error:?}");
        assert!(error.to_string().contains(&format!("{path:?}")), "{error}");
        assert!(error.source().is_some(), "it says what SQLite says");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), letter);
}

/// Bytes that this build cannot read are an error, never "there is no such record": that would run the key again.
#[tokio::test]
async fn what_cannot_be_read_is_never_absent() {
    let (_folder, path) = fresh();
    let store = Sqlite::open(&path).unwrap();
    for (number, damage) in (1..).zip([
        "phase = 'vanished'",
        "epoch = -1",
        "owner = x'00'",
        "fingerprint = x'0011'",
        "retention = -5",
        "phase = 'unknown', doubt = 'boredom'",
        "phase = 'completed', executed = 1, answer_ok = 1, answer_status = 70000, answer_body = x''",
        "phase = 'completed', executed = 1, answer_ok = 1, answer_status = 200, answer_body = null",
    ]) {
        armed(&store, number).await;
        let other = Connection::open(&path).unwrap();
        let changed = other
            .execute(
                &format!("update idempotency set {damage} where key = ?1"),
                [[number; 32]],
            )
            .unwrap();
        assert_eq!(changed, 1);
        let error = store.begin(begin(number)).await.expect_err(damage);
        assert_eq!(error.kind(), StoreErrorKind::Unreadable, "{damage}: {error:?}");
        assert!(!error.may_have_happened(), "{damage}");
        assert!(store.get(RecordKey::new([number; 32])).await.is_err(), "{damage}");
        // and it does not spoil its neighbours
        assert!(store.get(RecordKey::new([99; 32])).await.unwrap().is_none());
    }
}

#[test]
fn it_says_what_it_promises() {
    let expected = Capabilities {
        durable: true,
        linearizable: true,
        transactional: false,
        survives_failover: false,
    };
    assert_eq!(Sqlite::capabilities(), expected);
    assert!(expected.guards_money());
}
