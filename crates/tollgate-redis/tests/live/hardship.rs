//! What a server goes through: no memory left, scripts forgotten, a password that changes, values at the edge.

use crate::proxy::Proxy;
use crate::sample::{HOUR, answer, begin};
use crate::server::{SAFE, Server, at, fresh, patient, prefix};
use std::error::Error;
use std::num::NonZeroU32;
use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Begun, Held, IdempotencyStore, Owner, Phase, Resolution, Resolved, Settled, Token,
};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take, Taken};
use tollgate_core::store::{StoreError, StoreErrorKind};
use tollgate_redis::Failure;
use tollgate_testkit::samples::{self, claim};

fn failure(error: &StoreError) -> Option<&Failure> {
    error.source().and_then(|source| source.downcast_ref())
}

/// Powertools, idempotency4j and others lose claims to eviction or half a write. Here a full server refuses, whole, and keeps all it has.
#[tokio::test]
async fn a_server_without_memory_refuses_and_keeps_what_it_has() {
    let server = Server::start(&[&SAFE[..], &["--maxmemory", "4mb"]].concat());
    let store = at(&server.url(), &prefix()).await;
    let (mut done, mut armed) = (Vec::new(), Vec::new());
    let refused = loop {
        let key = u32::try_from(done.len() + armed.len()).unwrap();
        let token = match store.begin(begin(key)).await {
            Ok(Begun::Acquired(token)) => token,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        };
        match store.settle(token, &answer(20_000)).await {
            Ok(settled) => {
                assert_eq!(settled, Settled::Applied);
                done.push(token);
            }
            Err(error) => {
                // the money has moved, and it cannot be written down: the record stays armed
                assert_eq!(error.kind(), StoreErrorKind::Full);
                armed.push(token);
            }
        }
    };
    assert_eq!(
        (refused.kind(), refused.may_have_happened()),
        (StoreErrorKind::Full, false)
    );
    assert_eq!(failure(&refused), Some(&Failure::OutOfMemory));
    assert!(done.len() > 20, "{} records fit in", done.len());
    let refused_key = begin(u32::try_from(done.len() + armed.len()).unwrap()).key;
    assert_eq!(
        store.get(refused_key).await.unwrap(),
        None,
        "nothing of it was written"
    );
    for token in &done {
        let begun = store
            .begin(Begin {
                key: token.key,
                ..begin(0)
            })
            .await
            .unwrap();
        assert!(matches!(begun, Begun::Replay(_)), "{begun:?}");
    }

    server.tell("CONFIG SET maxmemory 64mb");
    for token in &armed {
        let record = store
            .get(token.key)
            .await
            .unwrap()
            .expect("an armed record is never evicted");
        assert_eq!(record.phase, Phase::Armed);
        assert_eq!(
            store.settle(*token, &answer(20_000)).await.unwrap(),
            Settled::Applied
        );
    }
    claim(&store, begin(u32::MAX)).await;
}

/// Somebody flushes the scripts, over and over, while calls are on their way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_forgotten_in_the_middle_are_sent_again() {
    let server = Server::start(&SAFE);
    let store = at(&server.url(), &prefix()).await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flushed = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let flushing = {
        let (url, stop) = (server.url(), std::sync::Arc::clone(&stop));
        let flushed = std::sync::Arc::clone(&flushed);
        tokio::spawn(async move {
            let client = redis::Client::open(url).unwrap();
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&patient())
                .await
                .unwrap();
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                redis::cmd("SCRIPT")
                    .arg("FLUSH")
                    .exec_async(&mut connection)
                    .await
                    .unwrap();
                flushed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        })
    };
    // until both were at it often enough, whoever gets more of the machine
    for key in 0.. {
        let token = claim(&store, begin(key)).await;
        assert_eq!(
            store.settle(token, &answer(10)).await.unwrap(),
            Settled::Applied,
            "{key}"
        );
        if key >= 200 && flushed.load(std::sync::atomic::Ordering::SeqCst) > 50 {
            break;
        }
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    flushing.await.unwrap();
}

/// Seen in the driver: a connection that was not let in was never tried again.
#[tokio::test]
async fn a_refused_log_in_is_tried_again() {
    let server = Server::start(&[&SAFE[..], &["--requirepass", "first"]].concat());
    let url = server.url().replace("redis://", "redis://:first@");
    let store = at(&url, &prefix()).await;
    let mut operator = redis::Client::open(url).unwrap().get_connection().unwrap();
    let mut tell = |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        command.exec(&mut operator).unwrap();
    };

    tell(&["CONFIG", "SET", "requirepass", "second"]);
    tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let mut refusals = 0;
    for _ in 0..4 {
        let error = store.begin(begin(1)).await.unwrap_err();
        if matches!(failure(&error), Some(Failure::Forbidden(_))) {
            assert!(!error.may_have_happened());
            refusals += 1;
        }
    }
    assert!(refusals >= 2, "whoever is not let in is told so");

    tell(&["CONFIG", "SET", "requirepass", "first"]);
    let mut tries = 0;
    while let Err(error) = store.begin(begin(1)).await {
        assert!(!error.may_have_happened(), "{error:?}");
        tries += 1;
        assert!(tries < 5, "it is never tried again: {error:?}");
    }
}

/// Nothing is kept for no time. What a record leaves behind then is nothing, not a torso that no script can read.
#[tokio::test]
async fn a_retention_of_nothing_leaves_nothing() {
    let store = fresh().await;
    for key in 0..20 {
        let brief = Begin {
            lease: Duration::ZERO,
            retention: Duration::ZERO,
            ..begin(key)
        };
        let token = claim(&store, brief).await;
        // at another place within the millisecond each time
        tokio::time::sleep(Duration::from_micros(1000 + 137 * u64::from(key))).await;
        let now = store.now().await.unwrap();
        let resolve = samples::resolve(token, now, Resolution::Released);
        assert_eq!(store.resolve(resolve).await.unwrap(), Resolved::Resolved);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(store.get(token.key).await.unwrap(), None);
        claim(&store, begin(key)).await;
    }
}

/// The longest durations there are stop at the end of the scripts' time, and come back readable.
#[tokio::test]
async fn the_longest_durations_are_kept() {
    let store = fresh().await;
    let forever = Begin {
        lease: Duration::MAX,
        retention: Duration::MAX,
        arm: false,
        ..begin(1)
    };
    let token = claim(&store, forever).await;
    assert_eq!(store.arm(token, Duration::MAX).await.unwrap(), Held::Held);
    assert_eq!(store.renew(token, Duration::MAX).await.unwrap(), Held::Held);
    assert_eq!(store.settle(token, &answer(3)).await.unwrap(), Settled::Applied);
    let record = store.get(token.key).await.unwrap().unwrap();
    assert_eq!(
        (record.phase, record.expires_at),
        (Phase::Completed, Some(record.lease_until))
    );
    assert!(matches!(store.begin(forever).await.unwrap(), Begun::Replay(_)));
}

/// A quota of one in all time is not one without end.
#[tokio::test]
async fn one_in_all_time_is_one() {
    let store = fresh().await;
    let once = Take {
        key: QuotaKey([7; 32]),
        quota: Quota::new(NonZeroU32::MIN, Duration::MAX),
        cost: 1,
    };
    let taken = store.take(&[once]).await.unwrap();
    assert!(matches!(taken, Taken::Granted { .. }), "{taken:?}");
    let refused = Taken::Refused {
        index: 0,
        retry_after: Duration::MAX,
    };
    assert_eq!(store.take(&[once]).await.unwrap(), refused);
}

/// What somebody else wrote under a key of ours is an error, never "absent".
#[tokio::test]
async fn rubbish_under_a_key_is_never_absent() {
    let server = Server::start(&SAFE);
    let prefix = prefix();
    let store = at(&server.url(), &prefix).await;
    let name: String = begin(1)
        .key
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let key = format!("{{{prefix}}}:record:{name}");
    store.begin(begin(1)).await.unwrap();
    let mut hand = server.connection();
    let whole: String = redis::cmd("GET").arg(&key).query(&mut hand).unwrap();
    for damage in [
        &["SET", "rubbish"][..],
        &["SET", ""],
        &["SET", &format!("3{}", &whole[1..])],
        &["SET", &whole.replace(" armed ", " nonsense ")],
        &["SET", &whole.replace(" 0 ", " 7 short")],
        &["SET", &whole[..whole.len() - 9]],
        &["HSET", "v", "1", "phase", "completed"],
        &["RPUSH", "1"],
    ] {
        server.tell(&format!("DEL {key}"));
        redis::cmd(damage[0])
            .arg(&key)
            .arg(&damage[1..])
            .exec(&mut hand)
            .unwrap();
        let token = Token {
            key: begin(1).key,
            epoch: 1,
            owner: Owner(7),
        };
        let errors = [
            store.begin(begin(1)).await.unwrap_err(),
            store.arm(token, HOUR).await.unwrap_err(),
            store.settle(token, &answer(1)).await.unwrap_err(),
            store.get(token.key).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), StoreErrorKind::Unreadable, "{damage:?}: {error:?}");
            assert!(!error.may_have_happened(), "{damage:?}");
        }
    }
}

/// A failover behind one address: the replica takes over, the old primary stays as its replica, and so does the connection to it. The driver
/// would go on with that for as long as it stands, and every write would be refused.
#[tokio::test]
async fn a_primary_that_became_a_replica_is_left() {
    let (old, new) = (Server::start(&SAFE), Server::start(&SAFE));
    let address = Proxy::before(old.port()).await;
    let store = at(&address.url(), &prefix()).await;
    let token = claim(&store, begin(1)).await;
    new.tell(&format!("REPLICAOF 127.0.0.1 {}", old.port()));
    let mut eye = new.connection();
    while redis::cmd("DBSIZE").query::<u32>(&mut eye).unwrap_or(0) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    new.tell("REPLICAOF NO ONE");
    old.tell(&format!("REPLICAOF 127.0.0.1 {}", new.port()));
    address.lead_to(new.port());

    let refused = store.settle(token, &answer(3)).await.unwrap_err();
    assert_eq!(failure(&refused), Some(&Failure::ReadOnly));
    assert!(!refused.may_have_happened());
    let settled = store.settle(token, &answer(3)).await.unwrap();
    assert_eq!(settled, Settled::Applied, "by the new primary");
}

/// Whoever administers the server takes away its replicas, or its disk fails: it refuses writes, and says so before it writes.
#[tokio::test]
async fn a_server_that_takes_no_writes_now_has_written_nothing() {
    let server = Server::start(&SAFE);
    let store = at(&server.url(), &prefix()).await;
    let token = claim(&store, begin(1)).await;
    server.tell("CONFIG SET min-replicas-to-write 1");
    for error in [
        store.begin(begin(2)).await.unwrap_err(),
        store.settle(token, &answer(3)).await.unwrap_err(),
    ] {
        assert_eq!(failure(&error), Some(&Failure::NotNow("NOREPLICAS".into())));
        assert!(!error.may_have_happened());
    }
    server.tell("CONFIG SET min-replicas-to-write 0");
    assert_eq!(store.get(begin(2).key).await.unwrap(), None);
    assert_eq!(store.settle(token, &answer(3)).await.unwrap(), Settled::Applied);
}
