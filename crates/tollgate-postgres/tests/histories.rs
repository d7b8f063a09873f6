//! Random histories: whatever is asked of it, in whatever order, at whatever times, and across reconnecting, the database answers as
//! the in-memory store does, and holds the same records. What SQL decides by itself (the fused begin and settlement, the sweep, the
//! collection, the saga's fence) is compared with core's rules here. And several clients at once are told nothing that the rule cannot
//! explain.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::cell::RefCell;
use std::sync::Arc;
use support::{Database, block_on};
use tollgate_core::ManualClock;
use tollgate_postgres::Postgres;
use tollgate_testkit::histories::{Histories, Trial};
use tollgate_testkit::linear::{explain, overlaps, together};

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

/// Each with a pool of its own, as processes have them; by the server's own clock.
#[test]
fn several_clients_are_explained_by_the_rule() {
    block_on(async {
        for seed in 0..4 {
            let database = Database::fresh().await;
            let mut clients = Vec::new();
            for _ in 0..6 {
                clients.push(Arc::new(database.store().await));
            }
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
    });
}
