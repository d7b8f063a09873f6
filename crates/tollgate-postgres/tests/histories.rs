//! Random histories: whatever is asked of it, in whatever order, at whatever times, and across reconnecting, the database answers as
//! the in-memory store does, and holds the same records. What SQL decides by itself (the fused begin and settlement, the sweep, the
//! collection, the saga's fence) is compared with core's rules here. And several clients at once are told nothing that the rule cannot
//! explain.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;
#[path = "together/watch.rs"]
mod watch;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use support::{Database, block_on};
use tollgate_core::ManualClock;
use tollgate_core::store::idempotency::{Begin, IdempotencyStore, RecordKey, Settled, Settlement};
use tollgate_postgres::Postgres;
use tollgate_testkit::histories::{Histories, Trial};
use tollgate_testkit::linear::{explain, overlaps, together};
use tollgate_testkit::samples;

thread_local! {
    /// The databases that earlier histories of this test have left: making one and dropping it costs more than a history.
    static USED: RefCell<Vec<Database>> = const { RefCell::new(Vec::new()) };
}

/// A database that is left and connected to again in between.
struct Connected {
    store: Postgres,
    clock: ManualClock,
    /// There as long as the store is.
    database: Option<Database>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        USED.with_borrow_mut(|used| used.extend(self.database.take()));
    }
}

impl Trial for Connected {
    type Store = Postgres;

    fn store(&self) -> &Postgres {
        &self.store
    }

    async fn disturb(&mut self, _how: u8) {
        self.store.close().await;
        let database = self.database.as_ref().unwrap();
        self.store = database.store_with(self.clock.clone()).await;
    }
}

async fn empty(clock: ManualClock) -> Connected {
    let database = match USED.with_borrow_mut(Vec::pop) {
        None => Database::fresh().await,
        Some(used) => {
            used.run(
                "truncate tollgate.idempotency, tollgate.dedup, tollgate.quota, tollgate.velocity, tollgate.audit, \
                 tollgate.carry_over, tollgate.saga, tollgate.saga_record",
            )
            .await;
            used
        }
    };
    Connected {
        store: database.store_with(clock.clone()).await,
        clock,
        database: Some(database),
    }
}

tollgate_testkit::histories! {
    answers_as_the_rule, Histories::new(), empty;
    idempotency, dedup, quota, velocity, audit, carry_over, saga
}

/// What six clients were told at the same time, by the server's own clock, is what the rule could have told them.
async fn are_explained(seed: u64, clients: Vec<Arc<Postgres>>) {
    let told = together(seed, 30, clients).await;
    assert!(
        told.iter().flatten().all(|event| event.answer.is_some()),
        "nothing was lost"
    );
    assert!(
        overlaps(&told) > 50,
        "only {} operations overlapped",
        overlaps(&told)
    );
    assert_eq!(explain(&told), Ok(()), "seed {seed}");
}

/// Each with a pool of its own, as processes have them.
#[test]
fn several_clients_are_explained_by_the_rule() {
    block_on(async {
        for seed in 0..4 {
            let database = Database::fresh().await;
            let mut clients = Vec::new();
            for _ in 0..6 {
                clients.push(Arc::new(database.store().await));
            }
            are_explained(seed, clients).await;
        }
    });
}

/// A call under a key of its own, over and over, until it is aborted: what the clients ask shares statements with it.
async fn call_on_and_on(store: Arc<Postgres>, caller: u8) {
    for number in 0u64.. {
        let mut key = [caller; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        let begin = Begin {
            lease: Duration::from_secs(3600),
            ..samples::begin(RecordKey::new(key), 1)
        };
        let token = samples::claim(&store, begin).await;
        let settled = store.settle(token, &Settlement::Released).await.unwrap();
        assert_eq!(settled, Settled::Applied);
    }
}

/// All of one store that is busy with other calls, so that what they ask goes together with these, as the server itself has seen.
#[test]
fn clients_of_one_busy_store_are_explained_by_the_rule() {
    block_on(async {
        let mut shared = 0;
        for seed in 0..8 {
            let database = Database::fresh().await;
            let store = Arc::new(database.store().await);
            watch::watch(&database).await;
            let calls: Vec<_> = (0..12)
                .map(|caller| tokio::spawn(call_on_and_on(Arc::clone(&store), 100 + caller)))
                .collect();
            are_explained(seed, vec![store; 6]).await;
            for call in calls {
                call.abort();
                assert!(call.await.unwrap_err().is_cancelled(), "no call failed");
            }
            shared += watch::together_with_others(&database, RecordKey::new([7; 32])).await;
        }
        // a history has few settlements that go as they mostly do, and one begin
        assert!(shared >= 3, "the clients' record shared only {shared} statements");
    });
}
