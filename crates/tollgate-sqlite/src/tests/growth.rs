//! Tables stay in proportion to what is alive, although nobody comes again for what is over.

use super::fresh;
use crate::Sqlite;
use std::time::Duration;
use tollgate_core::store::quota::{QuotaStore, Take, Taken};
use tollgate_core::store::velocity::{Admit, VelocityStore};
use tollgate_core::{Clock, ManualClock, Timestamp};
use tollgate_testkit::growth::{self, hashed};

/// A key is alive for this long.
const WINDOW: Duration = Duration::from_millis(400);

/// Ten keys come at a time, in one commit: 400 of them are alive.
const STEP: Duration = Duration::from_millis(10);

/// Keys that all come at one moment, as in an attack, and never again.
const CROWD: u32 = 4_000;

/// How many rows a table has, and how many of them are alive.
async fn rows(store: &Sqlite, table: &str, until: &str) -> (i64, i64) {
    let sql = format!("select count(*), count(*) filter (where {until} > ?1) from {table}");
    let count = store.step(move |connection, now| {
        connection.query_row(&sql, [now.unix_micros()], |row| Ok((row.get(0)?, row.get(1)?)))
    });
    count.await.unwrap()
}

fn store(clock: &ManualClock) -> (tempfile::TempDir, Sqlite) {
    let (folder, path) = fresh();
    (folder, Sqlite::open_with(path, clock.clone()).unwrap())
}

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000))
}

/// Waits for many answers at a time, so that they share a commit.
async fn all<T>(answers: impl IntoIterator<Item = crate::Answer<T>>) -> Vec<T> {
    let mut all = Vec::new();
    for answer in answers {
        all.push(answer.await.unwrap());
    }
    all
}

fn take(number: u32) -> Take {
    growth::take(number, WINDOW)
}

#[tokio::test]
async fn quotas_that_nobody_asks_for_again_do_not_pile_up() {
    let clock = clock();
    let (_folder, store) = store(&clock);
    let crowd: Vec<_> = (0..CROWD).map(|number| store.take(&[take(number)])).collect();
    for taken in all(crowd).await {
        assert!(matches!(taken, Taken::Granted { .. }), "{taken:?}");
    }
    assert_eq!(rows(&store, "quota", "arrival").await, (4_000, 4_000));
    clock.advance(WINDOW);
    for step in 1..=400 {
        let comers = (0..10).map(|number| store.take(&[take(CROWD + 10 * step + number)]));
        all(comers.collect::<Vec<_>>()).await;
        if step > 120 {
            let (rows, alive) = rows(&store, "quota", "arrival").await;
            assert_eq!(alive, 400, "nothing that is alive was removed");
            assert!(rows <= alive * 3 / 2, "{rows} rows after {step} steps");
        }
        clock.advance(STEP);
    }
}

fn admit(number: u32) -> Admit {
    growth::admit(number, WINDOW)
}

/// Keys of one event and keys of as many as the limit allows, in equal parts of the events.
#[tokio::test]
async fn events_that_nobody_asks_for_again_do_not_pile_up() {
    let clock = clock();
    let (_folder, store) = store(&clock);
    let crowd: Vec<_> = (0..CROWD).map(|number| store.admit(admit(number))).collect();
    assert!(all(crowd).await.iter().all(|admitted| admitted.within));
    assert_eq!(rows(&store, "velocity", "until").await, (4_000, 4_000));
    clock.advance(WINDOW);
    for step in 1..=600 {
        let comers = (0..10).map(|number| store.admit(admit(CROWD + 10 * step + number)));
        let busy = (0..10).map(|_| store.admit(admit(2 * CROWD + 6_000 + step / 10)));
        let admitted = all(comers.chain(busy).collect::<Vec<_>>()).await;
        assert!(admitted.iter().all(|admitted| admitted.within));
        if step > 200 {
            let (rows, alive) = rows(&store, "velocity", "until").await;
            assert_eq!(alive, 2 * 400, "nothing that is alive was removed");
            assert!(rows <= alive * 2, "{rows} rows after {step} steps");
        }
        clock.advance(STEP);
    }
}

/// Nobody's answer depends on what a neighbour removed.
#[tokio::test]
async fn whoever_comes_again_is_answered_as_the_rule_says() {
    let clock = clock();
    let (_folder, store) = store(&clock);
    growth::quotas_come_again(&store, &clock, WINDOW, 1_000).await;
    growth::counters_come_again(&store, &clock, WINDOW, 1_000).await;
}

/// The time that a row says is the one at which it makes no difference any more.
#[tokio::test]
async fn an_event_is_kept_for_exactly_its_window() {
    let clock = clock();
    let (_folder, store) = store(&clock);
    let first = Admit { limit: 1, ..admit(2) };
    let mut neighbours = (0..256u32).filter(|number| hashed(*number) < hashed(2));
    store.admit(first).await.unwrap();
    clock.advance(WINDOW - Duration::from_micros(1));
    store.admit(admit(neighbours.next().unwrap())).await.unwrap();
    assert_eq!(rows(&store, "velocity", "at").await.0, 2, "it still counts");
    assert!(!store.admit(first).await.unwrap().within);
    clock.advance(Duration::from_micros(1));
    store.admit(admit(neighbours.next().unwrap())).await.unwrap();
    assert_eq!(rows(&store, "velocity", "at").await.0, 2, "it is gone");

    let endless = Admit {
        window: Duration::MAX,
        limit: 1,
        ..first
    };
    store.admit(endless).await.unwrap();
    clock.set(Timestamp::from_unix_micros(i64::MAX - 1));
    store.admit(admit(neighbours.next().unwrap())).await.unwrap();
    assert!(
        !store.admit(endless).await.unwrap().within,
        "at {:?}",
        clock.now()
    );
}
