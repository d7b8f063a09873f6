//! The indexes at their edges: longer than a page, and refusing an entry.

use super::server::Server;
use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Evidence, IdempotencyStore, Phase, RecordKey, Resolution, Resolve, Resolved,
    Settlement,
};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::store::{StoreError, StoreErrorKind};
use tollgate_core::{Clock, ManualClock, Timestamp};
use tollgate_testkit::histories::{Trial, record_keys};
use tollgate_testkit::samples;

/// Ahead of the server's own time: its keys' times to live, which follow that, do not end in between.
const FAR_AHEAD: Timestamp = Timestamp::from_unix_seconds(4_100_000_000);

fn begin(key: u16) -> Begin {
    let mut name = [7; 32];
    // not in the order in which they begin
    name[..2].copy_from_slice(&key.wrapping_mul(40503).to_be_bytes());
    Begin {
        lease: Duration::from_secs(10),
        retention: Duration::from_secs(60),
        ..samples::begin(RecordKey::new(name), 9)
    }
}

/// Unknown ones and claims whose lease lapsed stand in two indexes, and make one list, whatever the size of its pages.
#[tokio::test]
async fn the_list_is_whole_and_in_order_over_many_pages() {
    let clock = ManualClock::at(FAR_AHEAD);
    let model = MemoryIdempotency::with(1_000_000, clock.clone());
    let mut server = Server::new().await;
    server.set_time(clock.now()).await;
    for (first, swept) in [(0, true), (300, false), (600, true)] {
        let claim = async |server: &Server, keys: std::ops::Range<u16>| {
            for key in keys {
                let begun = server.store().begin(begin(key)).await.unwrap();
                assert_eq!(begun, model.begin(begin(key)).await.unwrap(), "{key}");
            }
        };
        claim(&server, first..first + 300).await;
        if swept {
            clock.advance(Duration::from_secs(11));
            server.set_time(clock.now()).await;
            let found = server.store().sweep(10_000).await.unwrap();
            assert_eq!(found, model.sweep(10_000).await.unwrap());
        }
        claim(&server, first + 300..first + 450).await;
        clock.advance(Duration::from_secs(11));
        server.set_time(clock.now()).await;
        for limit in [0, 1, 127, 128, 129, 1000] {
            let (mut after, mut seen) = (None, 0);
            for _ in 0..5 {
                let page = server.store().unresolved(after, limit).await.unwrap();
                assert_eq!(page, model.unresolved(after, limit).await.unwrap());
                seen += page.len();
                after = page.last().map(|last| last.key).or(after);
            }
            assert!(limit == 0 || seen > 0);
        }
    }
}

/// A claim that the sweep could not find must not stay.
#[tokio::test]
async fn a_claim_that_cannot_be_filed_is_not_kept() {
    let mut server = Server::new().await;
    server.set_time(FAR_AHEAD).await;
    let store = server.store();
    let watch = store.server().key("watch");
    let tell = async |command: &str, value: Option<&str>| {
        let question = redis::cmd(command).arg(&watch).arg(value).take();
        store.server().connection().send(&question).await.unwrap();
    };
    tell("SET", Some("rubbish")).await;
    let error = store.begin(begin(1)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_happened()),
        (StoreErrorKind::Unreadable, false)
    );
    assert_eq!(store.get(begin(1).key).await.unwrap(), None);
    tell("DEL", None).await;
    let begun = store.begin(begin(1)).await.unwrap();
    assert!(matches!(begun, Begun::Acquired(_)), "{begun:?}");
}

/// What is due is looked for by one script and swept by the next. Who settles in between has put the record where the collector looks
/// for it: taken away there, its answer would stay long after its retention.
#[tokio::test]
async fn a_sweep_that_comes_late_leaves_what_was_settled_in_its_place() {
    let completed = Settlement::Completed(Completion {
        executed: true,
        envelope: None,
    });
    for (settlement, again) in [
        (completed, false),
        (Settlement::Released, false),
        (Settlement::Released, true),
    ] {
        let mut server = Server::new().await.with_indexes();
        let claim = Begin {
            key: record_keys().next().unwrap(),
            ..begin(1)
        };
        server.set_time(FAR_AHEAD).await;
        let token = samples::claim(server.store(), claim).await;
        let lapsed = FAR_AHEAD.saturating_add(Duration::from_secs(11));
        server.set_time(lapsed).await;
        server.store().settle(token, &settlement).await.unwrap();
        if again {
            let prepares = Begin { arm: false, ..claim };
            server.store().begin(prepares).await.unwrap();
        }
        let store = server.store().server();
        let sweep = &store.scripts().sweep;
        let mut question = sweep.over(4);
        question
            .arg(store.indexes())
            .arg(store.key_of("record", claim.key.as_bytes()))
            .arg(claim.key.as_bytes());
        store.ask(sweep, question, |_| Ok(())).await.unwrap();
        server.inspect().await;
        let ended = lapsed.saturating_add(Duration::from_secs(3600));
        server.set_time(ended).await;
        let collected = server.store().collect(Duration::from_secs(1), 10).await.unwrap();
        assert_eq!(collected, 1, "{settlement:?} {again}");
    }
}

/// More records than a page that this build cannot read, the first whose time comes: upkeep says so, each time, and sees to what lies
/// behind them.
#[tokio::test]
async fn upkeep_goes_past_what_it_cannot_read() {
    const DAMAGED: u16 = 300;
    let mut server = Server::new().await;
    server.set_time(FAR_AHEAD).await;
    let damaged = |key| Begin {
        lease: Duration::from_secs(1),
        ..begin(key)
    };
    let mut pipe = redis::pipe();
    for key in 0..DAMAGED {
        server.store().begin(damaged(key)).await.unwrap();
        let record = server.store().server().record_key(&damaged(key).key);
        pipe.cmd("SET").arg(record).arg("rubbish").ignore();
    }
    let store = server.store().clone();
    store.server().connection().send_all(&pipe).await.unwrap();
    let claims = DAMAGED..DAMAGED + 5;
    for key in claims.clone() {
        store.begin(begin(key)).await.unwrap();
    }
    let complains = |upkeep: Result<u64, StoreError>| {
        let error = upkeep.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unreadable);
        error.may_have_happened()
    };
    let later = FAR_AHEAD.saturating_add(Duration::from_secs(60));
    server.set_time(later).await;
    assert!(complains(store.sweep(1000).await), "some are swept");
    for key in claims.clone() {
        let record = store.get(begin(key).key).await.unwrap().unwrap();
        assert_eq!(record.phase, Phase::Unknown, "{key}");
    }
    assert!(!complains(store.sweep(1000).await), "nothing is left to be swept");

    // the same for the collector, which looks for them where answers are whose retention is over
    let watch = store.server().key("watch");
    let mut pipe = redis::pipe();
    for key in 0..DAMAGED {
        pipe.cmd("ZADD").arg(&watch).arg(1).arg(begin(key).key.as_bytes());
    }
    store.server().connection().send_all(&pipe).await.unwrap();
    for key in claims.clone() {
        let resolve = Resolve {
            key: begin(key).key,
            epoch: 1,
            as_of: later,
            resolution: Resolution::Released,
            evidence: Evidence {
                actor: "ops".into(),
                reason: "looked".into(),
            },
        };
        assert_eq!(store.resolve(resolve).await.unwrap(), Resolved::Resolved);
    }
    server
        .set_time(later.saturating_add(Duration::from_secs(3600)))
        .await;
    assert!(complains(store.collect(Duration::ZERO, 1000).await));
    for key in claims {
        assert_eq!(store.get(begin(key).key).await.unwrap(), None, "{key}");
    }
    assert!(!complains(store.collect(Duration::ZERO, 1000).await));
}
