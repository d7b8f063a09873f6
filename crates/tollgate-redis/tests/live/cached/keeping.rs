//! What is kept, how long, and whose word counts.

use super::*;
use crate::server::{Server, url};
use redis::Commands;
use tollgate_core::store::idempotency::{Doubt, Held, Phase, Resolution, Resolved};
use tollgate_core::{ManualClock, Timestamp};
use tollgate_testkit::fault::{Faulty, When};

fn connection() -> redis::Connection {
    redis::Client::open(url()).unwrap().get_connection().unwrap()
}

/// How long a key's answer is still kept; `None` when it is not.
fn left(prefix: &str, key: u8) -> Option<Duration> {
    let millis: i64 = connection().pttl(name(prefix, begin(key).key)).unwrap();
    assert_ne!(millis, -1, "everything kept ends");
    u64::try_from(millis).ok().map(Duration::from_millis)
}

/// What one process completed, another one replays without asking the database.
#[tokio::test]
async fn processes_share_what_is_kept() {
    let (inner, settings) = (MemoryIdempotency::new(), settings());
    let one = before(inner.clone(), &url(), settings.clone()).await;
    let other = before(Faulty::new(inner), &url(), settings).await;
    other.inner().outage(When::Before);
    complete(&one, begin(1), b"done").await;
    assert_eq!(
        other.begin(begin(1)).await.unwrap(),
        Begun::Replay(answer(b"done"))
    );
    assert_eq!((other.inner().operations(), other.stats().hits), (0, 1));
}

/// Absent, prepared, armed, released, unknown: none of these is ever kept, nor is a tombstone.
#[tokio::test]
async fn nothing_but_a_final_answer_is_kept() {
    let prefix = prefix();
    let store = before(MemoryIdempotency::new(), &url(), settings().prefix(&prefix)).await;
    let prepared = Begin {
        arm: false,
        lease: Duration::ZERO,
        ..begin(1)
    };
    let token = claim(&store, prepared).await;
    store.begin(begin(1)).await.unwrap();
    assert_eq!(store.arm(token, HOUR).await.unwrap(), Held::Fenced);
    for (key, settlement) in [
        (2, Settlement::Released),
        (3, Settlement::Unknown(Doubt::Panicked)),
    ] {
        let token = claim(&store, begin(key)).await;
        assert_eq!(store.settle(token, &settlement).await.unwrap(), Settled::Applied);
        store.begin(begin(key)).await.unwrap();
    }
    let gone = Begin {
        retention: Duration::ZERO,
        ..begin(4)
    };
    complete(&store, gone, b"done").await;
    assert_eq!(store.begin(gone).await.unwrap(), Begun::Expired);
    // a stale owner's settlement is none
    let token = complete(&store, begin(5), b"done").await;
    let kept = store.stats().kept;
    let stale = Token { epoch: 2, ..token };
    let settled = store
        .settle(stale, &Settlement::Completed(answer(b"other")))
        .await
        .unwrap();
    assert_eq!(
        (settled, store.stats().kept),
        (Settled::Fenced(Phase::Completed), kept)
    );
    let names: Vec<String> = connection().keys(format!("{prefix}:*")).unwrap();
    assert_eq!(names, [name(&prefix, begin(5).key)]);
}

/// Never longer than the retention, counted from before the record was begun; never longer than is configured.
#[tokio::test]
async fn an_answer_is_kept_no_longer_than_its_retention() {
    let prefix = prefix();
    let store = before(
        MemoryIdempotency::new(),
        &url(),
        settings().prefix(&prefix).keep(HOUR * 2),
    )
    .await;
    complete(&store, begin(1), b"done").await;
    assert!(left(&prefix, 1).unwrap() <= HOUR);
    let long = Begin {
        retention: HOUR * 24,
        ..begin(2)
    };
    complete(&store, long, b"done").await;
    let kept = left(&prefix, 2).unwrap();
    assert!(kept <= HOUR * 2 && kept > HOUR, "{kept:?}");
}

/// What was read back after a replay ends with the record's own retention, and not by comparing two clocks: here the store's own is
/// years behind.
#[tokio::test]
async fn a_replay_is_kept_for_what_is_left() {
    for (passed, expected) in [
        (Duration::ZERO, Some(HOUR)),
        (HOUR / 4, Some(HOUR / 4 * 3)),
        (HOUR * 2, None),
    ] {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_000_000_000));
        let (inner, prefix) = (MemoryIdempotency::with(100, clock.clone()), prefix());
        complete(&inner, begin(1), b"done").await;
        clock.advance(passed);
        let store = before(inner, &url(), settings().prefix(&prefix).keep(HOUR * 10)).await;
        // the retention of whoever asks again does not count
        let again = Begin {
            retention: HOUR * 9,
            ..begin(1)
        };
        let answered = if expected.is_some() {
            Begun::Replay(answer(b"done"))
        } else {
            Begun::Expired
        };
        for hits in 0..2 {
            assert_eq!(store.begin(again).await.unwrap(), answered);
            assert_eq!(
                store.stats().hits,
                if expected.is_some() { hits } else { 0 },
                "{passed:?}"
            );
        }
        let left = left(&prefix, 1);
        assert_eq!(left.is_some(), expected.is_some(), "{passed:?}");
        assert!(left <= expected, "{left:?} {expected:?}");
    }
}

/// A doubt that was ended by evidence is a final answer like any other.
#[tokio::test]
async fn what_evidence_completed_is_kept_at_its_first_replay() {
    let store = before(MemoryIdempotency::new(), &url(), settings()).await;
    let token = claim(&store, begin(1)).await;
    let doubt = Settlement::Unknown(Doubt::AnswerInDoubt);
    assert_eq!(store.settle(token, &doubt).await.unwrap(), Settled::Applied);
    let now = store.now().await.unwrap();
    let resolve = samples::resolve(token, now, Resolution::Completed(answer(b"found")));
    assert_eq!(store.resolve(resolve).await.unwrap(), Resolved::Resolved);
    for hits in 0..3 {
        assert_eq!(
            store.begin(begin(1)).await.unwrap(),
            Begun::Replay(answer(b"found"))
        );
        assert_eq!(store.stats().hits, hits);
    }
}

/// An entry knows its own end: one whose time to live was taken away, or that a restored snapshot brought back, is none.
#[tokio::test]
async fn an_entry_past_its_time_is_none() {
    let prefix = prefix();
    let store = before(MemoryIdempotency::new(), &url(), settings().prefix(&prefix)).await;
    let brief = Begin {
        retention: Duration::from_millis(500),
        ..begin(1)
    };
    complete(&store, brief, b"done").await;
    let name = name(&prefix, brief.key);
    let entry: Vec<u8> = connection().get(&name).unwrap();
    tokio::time::sleep(Duration::from_millis(510)).await;
    let _: () = connection().set(&name, entry).unwrap();
    assert_eq!(store.begin(brief).await.unwrap(), Begun::Expired);
    assert_eq!(store.stats().hits, 0);
}

/// Whoever can write to the cache cannot answer for the store: not with another key's answer, not with another deployment's.
#[tokio::test]
async fn a_forged_entry_is_none() {
    let prefix = prefix();
    let settings = settings().prefix(&prefix);
    let store = before(MemoryIdempotency::new(), &url(), settings.clone()).await;
    complete(&store, begin(1), b"done").await;
    let copied: Vec<u8> = connection().get(name(&prefix, begin(1).key)).unwrap();
    let _: () = connection().set(name(&prefix, begin(2).key), copied).unwrap();
    claim(&store, begin(2)).await;

    let other = Secrets::new(&Secret::new(vec![8; 32])).unwrap();
    let forger = CompletedCache::connect(MemoryIdempotency::new(), &url(), &other, settings)
        .await
        .unwrap();
    complete(&forger, begin(3), b"forged").await;
    claim(&store, begin(3)).await;
    assert_eq!(store.stats().hits, 0);
}

/// Large answers stay where they are.
#[tokio::test]
async fn a_large_answer_is_not_kept() {
    let store = before(MemoryIdempotency::new(), &url(), settings().largest(1000)).await;
    // 12 bytes of head
    for (key, bytes, kept) in [(1, 988, 1), (2, 989, 1)] {
        complete(&store, begin(key), &vec![7; bytes]).await;
        assert_eq!(store.stats().kept, kept);
        let again = store.begin(begin(key)).await.unwrap();
        assert_eq!(again, Begun::Replay(answer(&vec![7; bytes])));
    }
}

/// Its promises are those of the store behind.
#[tokio::test]
async fn it_promises_what_the_store_behind_promises() {
    let server = Server::start(&[]);
    let store = before(MemoryIdempotency::new(), &server.url(), settings()).await;
    assert_eq!(store.capabilities(), MemoryIdempotency::new().capabilities());
    let guarding = before(crate::server::fresh().await, &server.url(), settings()).await;
    assert!(guarding.capabilities().guards_money());
    complete(&guarding, begin(1), b"done").await;
    assert_eq!(
        guarding.begin(begin(1)).await.unwrap(),
        Begun::Replay(answer(b"done"))
    );
    assert_eq!(guarding.stats().hits, 1);
}
