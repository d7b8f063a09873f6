//! Tables stay in proportion to what is alive, although nobody comes again for what is over; and those who remove each other's rows do not
//! get into each other's way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use support::{Database, block_on};
use tollgate_core::store::StoreError;
use tollgate_core::store::quota::{Quota, QuotaStore, Take, Taken};
use tollgate_core::store::velocity::{Admit, Admitted, VelocityStore};
use tollgate_core::{Clock, ManualClock, Timestamp};
use tollgate_postgres::Postgres;
use tollgate_testkit::growth;

/// A key is alive for this long.
const WINDOW: Duration = Duration::from_millis(200);

/// Ten keys come at a time: 200 of them are alive.
const STEP: Duration = Duration::from_millis(10);

/// Keys that all come at one moment, as in an attack, and never again.
const CROWD: u32 = 2_000;

fn take(number: u32) -> Take {
    growth::take(number, WINDOW)
}

fn admit(number: u32) -> Admit {
    growth::admit(number, WINDOW)
}

/// A store whose clock the test moves.
struct Moved {
    store: Arc<Postgres>,
    clock: ManualClock,
    aside: PgConnection,
    _database: Database,
}

impl Moved {
    async fn fresh() -> Self {
        let database = Database::fresh().await;
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
        Self {
            store: Arc::new(database.store_with(clock.clone()).await),
            clock,
            aside: database.connection().await,
            _database: database,
        }
    }

    /// How many rows a table has, and how many of them are alive.
    async fn rows(&mut self, table: &str, until: &str) -> (i64, i64) {
        let sql = format!("select count(*), count(*) filter (where {until} > $1) from tollgate.{table}");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(self.clock.now().unix_micros())
            .fetch_one(&mut self.aside)
            .await
            .unwrap();
        (row.get(0), row.get(1))
    }

    /// All at once, each in a transaction of its own.
    async fn admit_all(&self, numbers: impl IntoIterator<Item = u32>) {
        for admitted in together(&self.store, numbers, |store, number| store.admit(admit(number))).await {
            assert!(admitted.within, "{admitted:?}");
        }
    }
}

/// What comes of it, when all ask at once.
async fn together<T, F>(
    store: &Arc<Postgres>,
    numbers: impl IntoIterator<Item = u32>,
    ask: impl Fn(&Postgres, u32) -> F,
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let asked: Vec<_> = numbers
        .into_iter()
        .map(|number| tokio::spawn(ask(store, number)))
        .collect();
    let mut answers = Vec::with_capacity(asked.len());
    for answer in asked {
        answers.push(answer.await.unwrap().unwrap());
    }
    answers
}

#[test]
fn quotas_that_nobody_asks_for_again_do_not_pile_up() {
    block_on(async {
        let mut moved = Moved::fresh().await;
        for first in (0..CROWD).step_by(50) {
            let takes: Vec<_> = (first..first + 50).map(take).collect();
            let taken = moved.store.take(&takes).await.unwrap();
            assert!(matches!(taken, Taken::Granted { .. }), "{taken:?}");
        }
        assert_eq!(moved.rows("quota", "arrival").await, (2_000, 2_000));
        moved.clock.advance(WINDOW);
        for step in 1..=200 {
            let comers = (0..10).map(|number| CROWD + 10 * step + number);
            together(&moved.store, comers, |store, number| store.take(&[take(number)])).await;
            if step > 60 {
                let (rows, alive) = moved.rows("quota", "arrival").await;
                assert_eq!(alive, 200, "nothing that is alive was removed");
                assert!(rows <= alive * 3 / 2, "{rows} rows after {step} steps");
            }
            moved.clock.advance(STEP);
        }
    });
}

/// Keys of one event and keys of as many as the limit allows, in equal parts of the events.
#[test]
fn events_that_nobody_asks_for_again_do_not_pile_up() {
    block_on(async {
        let mut moved = Moved::fresh().await;
        moved.admit_all(0..CROWD).await;
        assert_eq!(moved.rows("velocity", "until").await, (2_000, 2_000));
        moved.clock.advance(WINDOW);
        for step in 1..=200 {
            let comers = (0..10).map(|number| CROWD + 10 * step + number);
            moved
                .admit_all(comers.chain([2 * CROWD + 2_000 + step / 10; 10]))
                .await;
            if step > 100 {
                let (rows, alive) = moved.rows("velocity", "until").await;
                assert_eq!(alive, 2 * 200, "nothing that is alive was removed");
                assert!(rows <= alive * 2, "{rows} rows after {step} steps");
            }
            moved.clock.advance(STEP);
        }
    });
}

/// Nobody's answer depends on what a neighbour removed.
#[test]
fn whoever_comes_again_is_answered_as_the_rule_says() {
    block_on(async {
        let Moved { store, clock, .. } = &Moved::fresh().await;
        growth::quotas_come_again(store, clock, WINDOW, 600).await;
        growth::counters_come_again(store, clock, WINDOW, 600).await;
    });
}

/// Takes of several neighbours at once, and events beside them: under few keys whose time is over almost at once, and each time under one
/// that nobody has seen, so that everybody removes what others write again. An error would be a deadlock that the server broke.
async fn come_and_go(store: Arc<Postgres>, caller: u32) -> Result<Vec<Admitted>, StoreError> {
    let mut admitted = Vec::new();
    for turn in 0..150 {
        let chance = growth::mixed(caller * 1_000 + turn);
        let unseen = 1_000 + caller * 1_000 + turn;
        let takes = [chance % 24, unseen, (chance >> 8) % 24].map(|number| Take {
            quota: Quota::new(NonZeroU32::MIN.saturating_add(9), Duration::from_millis(5)),
            ..take(number)
        });
        store.take(&takes).await?;
        let event = Admit {
            window: Duration::from_millis(1),
            ..admit((chance >> 24) % 24)
        };
        admitted.push(store.admit(event).await?);
    }
    Ok(admitted)
}

#[test]
fn those_who_remove_each_others_rows_never_wait_in_a_circle() {
    block_on(async {
        let database = Database::fresh().await;
        let mut callers = Vec::new();
        for process in 0..3 {
            let store = Arc::new(database.store().await);
            callers.extend((0..8).map(|caller| {
                let store = Arc::clone(&store);
                tokio::spawn(
                    async move { (come_and_go(Arc::clone(&store), 8 * process + caller).await, store) },
                )
            }));
        }
        let mut stores = Vec::new();
        for caller in callers {
            let (admitted, store) = caller.await.unwrap();
            assert_eq!(admitted.unwrap().len(), 150);
            stores.push(store);
        }
        for store in &stores {
            store.close().await;
        }
        let removed = support::statistics(&database, "n_tup_del").await;
        for table in ["quota", "velocity"] {
            assert!(removed[table] > 500, "{removed:?}");
        }
    });
}
