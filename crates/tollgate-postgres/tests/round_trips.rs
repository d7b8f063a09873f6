//! What a guarded call costs: messages that are waited for, counted on the wire.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::post;
use std::num::NonZeroU32;
use std::time::Duration;
use support::proxy::Proxy;
use support::{Database, block_on};
use tollgate::idempotency::{ArmPolicy, IdempotencyConfig, IdempotencyLayer};
use tollgate_core::Secrets;
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey};
use tollgate_core::store::idempotency::{
    Begin, Begun, Doubt, Held, IdempotencyStore, Resolution, Resolved, Settled, Settlement,
};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take, Taken};
use tollgate_core::store::velocity::{Admit, Admitted, VelocityKey, VelocityStore};
use tollgate_postgres::{Postgres, Settings};
use tollgate_testkit::samples;
use tower::ServiceExt;

/// A store behind a proxy, on one connection.
async fn counted() -> (Database, Proxy, Postgres) {
    let database = Database::fresh().await;
    drop(database.store().await); // the tables
    let proxy = Proxy::before(database.port()).await;
    let settings = Settings::new().max_connections(1);
    let store = Postgres::connect(&database.url_by(proxy.port), settings)
        .await
        .unwrap();
    (database, proxy, store)
}

async fn guarded_call_costs(arm: ArmPolicy, round_trips: usize) {
    let (_database, proxy, store) = counted().await;
    let layer = IdempotencyLayer::http(store, Secrets::ephemeral())
        .unwrap()
        .config(IdempotencyConfig::default().arm(arm));
    let app: Router = Router::new()
        .route("/charges", post(|| async { "charged" }))
        .layer(layer);
    let call = |key: String| {
        let request = Request::post("/charges").header("idempotency-key", key);
        app.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    for _ in 0..2 {
        call("first".into()).await.unwrap(); // prepares the statements: of a new key, and of a replay
    }
    for number in 0..20 {
        proxy.cut(None);
        assert_eq!(call(format!("k-{number}")).await.unwrap().status(), 200);
        assert_eq!(proxy.requests(), round_trips, "{arm:?}, call {number}");
        assert_eq!(proxy.prepared(), 0, "statements are prepared once");
        proxy.cut(None);
        assert!(
            call(format!("k-{number}"))
                .await
                .unwrap()
                .headers()
                .contains_key("idempotent-replayed")
        );
        assert_eq!(
            proxy.requests(),
            2,
            "a replay: the insert that finds the key taken, and a look"
        );
    }
}

#[test]
fn a_guarded_call_is_two_round_trips_and_so_is_a_replay() {
    block_on(guarded_call_costs(ArmPolicy::AtBegin, 2));
}

#[test]
fn arming_before_the_call_is_one_more() {
    block_on(guarded_call_costs(ArmPolicy::BeforeCall, 3));
}

/// Every transition that a new key or a webhook event goes through is one; a begin that finds the key looks what stands there, and
/// writes a third time if it may run again. Of two turns the first prepares the statements.
#[test]
fn every_transition_of_a_new_key_is_one_round_trip() {
    block_on(async {
        let (_database, proxy, store) = counted().await;
        for turn in 0..2 {
            let wire = (turn > 0).then_some(&proxy);
            records(&store, wire, 10 * turn).await;
            events(&store, wire, turn).await;
        }
    });
}

/// The answer, which must be this one and, when somebody counts, cost so many round trips: one, if nothing else is said.
macro_rules! ask {
    ($wire:ident: $ask:expr, $expected:pat) => {
        ask!($wire, 1: $ask, $expected)
    };
    ($wire:ident, $round_trips:literal: $ask:expr, $expected:pat) => {{
        let asked = $ask;
        if let Some(proxy) = $wire {
            proxy.cut(None);
        }
        let answer = asked.await.unwrap();
        assert!(matches!(answer, $expected), "{answer:?}");
        if let Some(proxy) = $wire {
            assert_eq!(
                (proxy.requests(), proxy.prepared()),
                ($round_trips, 0),
                "{}",
                stringify!($ask)
            );
        }
        answer
    }};
}

const LEASE: Duration = Duration::from_secs(60);

fn begin(key: u8, owner: u128, lease: Duration) -> Begin {
    Begin {
        lease,
        arm: false,
        ..samples::begin(samples::key(key), owner)
    }
}

async fn records(store: &Postgres, wire: Option<&Proxy>, key: u8) {
    let Begun::Acquired(token) = ask!(wire: store.begin(begin(key, 1, LEASE)), Begun::Acquired(_)) else {
        unreachable!()
    };
    ask!(wire, 2: store.begin(begin(key, 2, LEASE)), Begun::InFlight { .. });
    ask!(wire: store.arm(token, LEASE), Held::Held);
    ask!(wire: store.renew(token, LEASE), Held::Held);
    ask!(wire: store.settle(token, &Settlement::Released), Settled::Applied);
    // runs again after a release
    let Begun::Acquired(token) = ask!(wire, 3: store.begin(begin(key, 3, LEASE)), Begun::Acquired(_)) else {
        unreachable!()
    };
    let doubt = Settlement::Unknown(Doubt::AnswerInDoubt);
    ask!(wire: store.settle(token, &doubt), Settled::Applied);
    let now = ask!(wire: store.now(), _);
    let found = Resolution::Completed(samples::completion(b"found"));
    let resolve = samples::resolve(token, now, found);
    ask!(wire: store.resolve(resolve), Resolved::Resolved);
    ask!(wire, 2: store.begin(begin(key, 4, LEASE)), Begun::Replay(_));
    // a lapsed claim is taken over
    ask!(wire: store.begin(begin(key + 1, 1, Duration::ZERO)), Begun::Acquired(_));
    tokio::time::sleep(Duration::from_millis(2)).await;
    ask!(wire, 3: store.begin(begin(key + 1, 2, LEASE)), Begun::Acquired(_));
}

async fn events(store: &Postgres, wire: Option<&Proxy>, key: u8) {
    let claim = Claim {
        key: EventKey([key; 32]),
        digest: EventDigest([1; 32]),
        lease: LEASE,
    };
    let Claimed::Acquired(ticket) = ask!(wire: store.claim(claim), Claimed::Acquired(_)) else {
        unreachable!()
    };
    ask!(wire: store.release(ticket), _);
    let Claimed::Acquired(ticket) = ask!(wire: store.claim(claim), Claimed::Acquired(_)) else {
        unreachable!()
    };
    ask!(wire: store.commit(ticket, LEASE), _);
    ask!(wire: store.claim(claim), Claimed::Done);
}

/// A key that is new removes neighbours in the statement that writes it: begin and lock, look, write, commit.
#[test]
fn to_remove_neighbours_is_no_round_trip_of_its_own() {
    block_on(async {
        let (_database, proxy, store) = counted().await;
        for turn in 0..2 {
            let wire = (turn > 0).then_some(&proxy);
            let take = Take {
                key: QuotaKey([10 - turn; 32]),
                quota: Quota::per_second(NonZeroU32::MIN.saturating_add(9)),
                cost: 1,
            };
            ask!(wire, 4: store.take(&[take]), Taken::Granted { .. });
            ask!(wire, 4: store.take(&[take]), Taken::Granted { .. });
            let event = Admit {
                key: VelocityKey([10 - turn; 32]),
                window: LEASE,
                weight: 1,
                limit: 2,
            };
            ask!(wire, 4: store.admit(event), Admitted { within: true, .. });
        }
    });
}
