//! A cache that fails costs time, never an answer: with each kind of failure the store behind keeps every property of the port.

use super::*;
use crate::proxy::Proxy;
use crate::server::{Server, patient, url};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tokio::task::{JoinSet, LocalSet};
use tollgate_testkit::conformance::{idempotency, prove, run};
use tollgate_testkit::fault::{Faulty, When, cancel_after};

/// Every property of the port, all at once: they mostly wait.
macro_rules! all_properties {
    ($($property:ident,)+) => {
        async fn keeps_every_property<F>(make: impl Fn() -> F + Copy + 'static)
        where
            F: Future<Output = Subject<CompletedCache<MemoryIdempotency>>>,
        {
            let (here, mut properties) = (LocalSet::new(), JoinSet::new());
            $(properties.spawn_local_on(prove(async move || make().await, idempotency::$property), &here);)+
            here.run_until(async {
                while let Some(kept) = properties.join_next().await {
                    kept.unwrap();
                }
            })
            .await;
        }
    };
}
tollgate_testkit::each_idempotency_property!(all_properties);

#[test]
fn a_cache_that_is_down_changes_nothing() {
    run(keeps_every_property(|| {
        // a port on which nobody listens
        subject("redis://127.0.0.1:1", settings().pause(Duration::from_millis(50)))
    }));
}

#[test]
fn a_cache_that_is_silent_changes_nothing() {
    run(keeps_every_property(|| async {
        let silent = settings()
            .patience(Duration::from_millis(10))
            .pause(Duration::from_millis(50));
        subject(&Proxy::silent().await.url(), silent).await
    }));
}

#[test]
fn a_cache_full_of_rubbish_changes_nothing() {
    run(keeps_every_property(|| async {
        let prefix = prefix();
        let rubbish = Scribbler::at(&url(), prefix.clone()).await;
        subject(&url(), settings().prefix(prefix)).await.keeping(rubbish)
    }));
}

/// Writes rubbish over whatever is kept, again and again, as long as it lives.
pub(super) struct Scribbler(Arc<AtomicBool>);

impl Scribbler {
    pub(super) async fn at(url: &str, prefix: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = redis::Client::open(url).unwrap();
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&patient())
            .await
            .unwrap();
        let scribbler = Self(Arc::clone(&stop));
        tokio::spawn(async move {
            let mut round = 0u8;
            while !stop.load(SeqCst) {
                // the keys of the conformance suite
                for key in 0..10 {
                    round = round.wrapping_add(1);
                    let name = name(&prefix, RecordKey::new([key; 32]));
                    scribble(&mut connection, &name, round).await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        scribbler
    }
}

impl Drop for Scribbler {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

async fn scribble(connection: &mut redis::aio::MultiplexedConnection, name: &str, how: u8) {
    let command = match how % 4 {
        0 => redis::cmd("SET").arg(name).arg("rubbish").to_owned(),
        1 => redis::cmd("SET").arg(name).arg(vec![how; 200]).to_owned(),
        // cut off at its end, if something was there
        2 => redis::cmd("SETRANGE")
            .arg(name)
            .arg(40)
            .arg(vec![0, how])
            .to_owned(),
        _ => {
            redis::cmd("DEL").arg(name).exec_async(connection).await.unwrap();
            redis::cmd("RPUSH").arg(name).arg(how).to_owned()
        }
    };
    // a list takes no SETRANGE
    let _ = command.exec_async(connection).await;
}

/// A cache that does not answer is waited for once, and then left alone for a while.
#[tokio::test]
async fn silence_is_waited_for_once() {
    let settings = settings().patience(Duration::from_millis(20)).pause(HOUR);
    let store = before(MemoryIdempotency::new(), &Proxy::silent().await.url(), settings).await;
    assert_eq!(store.stats().failures, 1, "when it was connected to");
    for key in 0..20 {
        complete(&store, begin(key), b"done").await;
        let again = store.begin(begin(key)).await.unwrap();
        assert_eq!(again, Begun::Replay(answer(b"done")));
    }
    let stats = store.stats();
    assert_eq!(
        (stats.failures, stats.skipped),
        (1, 40),
        "nothing was asked, nothing was waited for"
    );
    assert_eq!((stats.hits, stats.misses, stats.kept), (0, 0, 0));
}

/// After a pause one caller tries, and only one: the others go past while it waits.
#[tokio::test]
async fn after_a_pause_one_caller_tries() {
    let settings = settings()
        .patience(Duration::from_millis(300))
        .pause(Duration::from_millis(400));
    let store = before(MemoryIdempotency::new(), &Proxy::silent().await.url(), settings).await;
    tokio::time::sleep(Duration::from_millis(450)).await;
    let callers: Vec<_> = (0..10u8)
        .map(|key| {
            let store = store.clone();
            tokio::spawn(async move { claim(&store, begin(key)).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let stats = store.stats();
    assert_eq!((stats.failures, stats.skipped), (2, 9));
}

/// The server goes and comes back, empty, while calls go on.
#[tokio::test]
async fn a_cache_that_comes_back_is_used_again() {
    let mut server = Server::start(&[]);
    let settings = settings().pause(Duration::from_millis(20));
    let store = before(MemoryIdempotency::new(), &server.url(), settings).await;
    complete(&store, begin(1), b"done").await;
    let replay = Begun::Replay(answer(b"done"));
    assert_eq!(store.begin(begin(1)).await.unwrap(), replay);
    assert_eq!(store.stats().hits, 1);

    server.kill();
    for key in 2..6 {
        assert_eq!(store.begin(begin(1)).await.unwrap(), replay);
        complete(&store, begin(key), b"done").await;
    }
    assert_eq!(store.stats().hits, 1);
    server.restart();
    let mut tries = 0;
    while store.stats().hits == 1 {
        assert_eq!(store.begin(begin(1)).await.unwrap(), replay);
        tokio::time::sleep(Duration::from_millis(10)).await;
        tries += 1;
        assert!(tries < 1000, "it is never asked again: {:?}", store.stats());
    }
}

/// Every command refused (a replica, no memory, no right): the store behind answers, and what the server says costs no pause.
#[tokio::test]
async fn a_cache_that_refuses_is_no_obstacle() {
    let server = Server::start(&[]);
    let settings = settings().pause(HOUR);
    let store = before(MemoryIdempotency::new(), &server.url(), settings).await;
    for (key, refusal) in [
        (1, "CONFIG SET maxmemory 1"),
        (2, "REPLICAOF 127.0.0.1 1"),
        (3, "ACL SETUSER default -set"),
        (4, "ACL SETUSER default -get"),
    ] {
        server.tell(refusal);
        complete(&store, begin(key), b"done").await;
        let again = store.begin(begin(key)).await.unwrap();
        assert_eq!(again, Begun::Replay(answer(b"done")), "{refusal}");
    }
    let stats = store.stats();
    assert_eq!((stats.hits, stats.kept, stats.skipped), (0, 0, 0));
    assert!(stats.failures >= 8, "{stats:?}");
}

/// The other way round: while the database is down, what is done is still answered, and nothing else is.
#[tokio::test]
async fn a_database_that_is_down_does_not_stop_replays() {
    let store = before(Faulty::new(MemoryIdempotency::new()), &url(), settings()).await;
    complete(&store, begin(1), b"done").await;
    store.inner().outage(When::Before);
    let replay = Begun::Replay(answer(b"done"));
    assert_eq!(store.begin(begin(1)).await.unwrap(), replay);
    let other = Begin {
        fingerprint: Fingerprint::new([2; 32]),
        ..begin(1)
    };
    assert_eq!(store.begin(other).await.unwrap(), Begun::Mismatch);
    let error = store.begin(begin(2)).await.unwrap_err();
    assert!(
        !error.may_have_happened(),
        "the error of the store behind, as it is"
    );
}

/// A settlement whose acknowledgement was lost is not kept before somebody knows that it stands.
#[tokio::test]
async fn only_an_acknowledged_settlement_is_kept() {
    for when in [When::Before, When::BeforeInDoubt, When::After] {
        let store = before(Faulty::new(MemoryIdempotency::new()), &url(), settings()).await;
        let token = claim(&store, begin(1)).await;
        store.inner().outage(when);
        let settlement = Settlement::Completed(answer(b"done"));
        store.settle(token, &settlement).await.unwrap_err();
        assert_eq!(store.stats().kept, 0, "{when:?}");
        store.inner().outage(None);
        let settled = store.settle(token, &settlement).await.unwrap();
        let stood = if when == When::After {
            Settled::AlreadyApplied
        } else {
            Settled::Applied
        };
        assert_eq!((settled, store.stats().kept), (stood, 1), "{when:?}");
    }
}

/// A call that is dropped at any of its awaits leaves the store behind whole, and the next call right.
#[tokio::test]
async fn a_dropped_call_leaves_nothing_wrong() {
    for polls in 0..40 {
        let store = before(MemoryIdempotency::new(), &url(), settings()).await;
        let dropped = cancel_after(polls, store.begin(begin(1))).await;
        // the same owner asks again
        let token = claim(&store, begin(1)).await;
        let settlement = Settlement::Completed(answer(b"done"));
        cancel_after(polls, store.settle(token, &settlement)).await;
        let settled = store.settle(token, &settlement).await.unwrap();
        assert!(
            matches!(settled, Settled::Applied | Settled::AlreadyApplied),
            "{settled:?}"
        );
        cancel_after(polls, store.begin(begin(1))).await;
        assert_eq!(
            store.begin(begin(1)).await.unwrap(),
            Begun::Replay(answer(b"done"))
        );
        if dropped.is_some() && polls > 8 {
            return;
        }
    }
    panic!("a begin does not end");
}
