//! Steps that wait together go in one statement, and each is told what it would have been told alone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod failing;
mod lane;
#[path = "../support/mod.rs"]
mod support;
mod waiters;
mod watch;

use lane::{Taken, all, answer, begin, claimed, hold, in_time, key, token};
use sqlx::{Connection, Executor};
use std::collections::BTreeSet;
use std::time::Duration;
use support::proxy::Proxy;
use support::{Database, block_on};
use tollgate_core::store::idempotency::{
    Begin, Begun, Doubt, IdempotencyStore, Phase, RecordKey, Settled, Settlement,
};
use tollgate_postgres::{Postgres, Settings};
use watch::{watch, watched};

/// What waits goes in few statements: begins and settlements of every kind, with answers of every shape.
#[test]
fn what_waits_goes_in_few_statements() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        watch(&database).await;
        let taken = Taken::turn(&database, &store).await;
        let begun = all((0..50).map(|number| store.begin(begin(number, 1)))).await;
        for (number, begun) in (0..).zip(begun) {
            assert_eq!(begun.unwrap(), Begun::Acquired(token(number, 1)));
        }
        let settlements: Vec<_> = (0..50)
            .map(|number| match number % 10 {
                8 => Settlement::Released,
                9 => Settlement::Unknown(Doubt::AnswerInDoubt),
                _ => answer(number, usize::from(number) * 100),
            })
            .collect();
        let settle = |number: u8| store.settle(token(number, 1), &settlements[usize::from(number)]);
        // ten more begins go with them
        let (settled, begun) = tokio::join!(
            all((0..50).map(settle)),
            all((50..60).map(|number| store.begin(begin(number, 1))))
        );
        assert!(
            settled
                .into_iter()
                .all(|settled| settled.unwrap() == Settled::Applied)
        );
        assert!(
            begun
                .into_iter()
                .all(|begun| matches!(begun, Ok(Begun::Acquired(_))))
        );
        // where many wait, some go before the others have come
        let (inserted, updated) = watched(&database).await;
        assert_eq!((inserted.iter().sum(), updated.iter().sum()), (60, 50));
        assert!(
            inserted.len() <= 4 && updated.len() <= 3,
            "{inserted:?}, {updated:?}"
        );
        taken.end().await;
        for (number, settlement) in (0..).zip(&settlements) {
            let record = store.get(key(number)).await.unwrap().unwrap();
            match settlement {
                Settlement::Completed(completion) => {
                    assert_eq!(
                        (record.phase, record.completion.as_ref()),
                        (Phase::Completed, Some(completion))
                    );
                    assert!(record.expires_at.is_some());
                }
                Settlement::Released => assert_eq!(record.phase, Phase::Released),
                Settlement::Unknown(doubt) => {
                    assert_eq!(
                        (record.phase, record.doubt, record.expires_at),
                        (Phase::Unknown, Some(*doubt), None)
                    );
                }
            }
        }
    });
}

/// Whatever the statement does not cover is answered as it would be alone.
#[test]
fn what_it_does_not_cover_is_told_the_truth() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        claimed(&store, 0..4).await;
        store.settle(token(0, 1), &answer(0, 9)).await.unwrap();
        store.settle(token(1, 1), &Settlement::Released).await.unwrap();
        store
            .settle(token(2, 1), &Settlement::Unknown(Doubt::Panicked))
            .await
            .unwrap();
        let taken = Taken::turn(&database, &store).await;
        let other = Begin {
            fingerprint: tollgate_core::store::idempotency::Fingerprint::new([2; 32]),
            ..begin(0, 2)
        };
        let begun = all([0, 1, 2, 3, 4, 4, 5, 5]
            .into_iter()
            .zip([2, 2, 2, 2, 2, 3, 2, 2])
            .map(|(number, owner)| store.begin(begin(number, owner)))
            .chain([store.begin(other)]))
        .await;
        let begun: Vec<_> = begun.into_iter().map(Result::unwrap).collect();
        assert!(matches!(begun[0], Begun::Replay(_)), "{begun:?}");
        assert!(
            matches!(begun[1], Begun::Acquired(token) if token.epoch == 2),
            "{begun:?}"
        );
        assert!(matches!(begun[2], Begun::Unknown { .. }), "{begun:?}");
        assert!(matches!(begun[3], Begun::InFlight { .. }), "{begun:?}");
        // two owners of one key in one statement: one wins
        assert_eq!(begun[4], Begun::Acquired(token(4, 2)));
        assert!(matches!(begun[5], Begun::InFlight { .. }), "{begun:?}");
        // one owner that asks twice
        assert_eq!(begun[6], Begun::Acquired(token(5, 2)));
        assert_eq!(begun[7], Begun::Acquired(token(5, 2)));
        assert_eq!(begun[8], Begun::Mismatch);

        let settled = all([
            store.settle(token(0, 1), &answer(0, 9)),
            store.settle(token(1, 1), &answer(1, 9)),
            store.settle(token(2, 1), &answer(2, 9)),
            store.settle(token(4, 9), &answer(4, 9)),
            store.settle(token(4, 2), &answer(4, 9)),
            store.settle(token(4, 2), &answer(4, 9)),
            store.settle(token(5, 2), &answer(5, 9)),
            store.settle(token(6, 1), &answer(6, 9)),
        ])
        .await;
        let settled: Vec<_> = settled.into_iter().map(Result::unwrap).collect();
        assert_eq!(
            settled[..3],
            [
                Settled::AlreadyApplied,
                Settled::Fenced(Phase::Armed),
                Settled::Applied
            ]
        );
        // the first of a key is sent, and is not the owner's; those behind it go alone, in either order
        assert!(matches!(settled[3], Settled::Fenced(_)), "{settled:?}");
        let owners = [settled[4], settled[5]];
        assert!(
            owners.contains(&Settled::Applied) && owners.contains(&Settled::AlreadyApplied),
            "{settled:?}"
        );
        assert_eq!(settled[6..], [Settled::Applied, Settled::Gone]);
        taken.end().await;
    });
}

/// A row that an open transaction holds is passed over: the others are told while it is still open.
#[test]
fn a_row_that_somebody_holds_keeps_nobody_else() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        claimed(&store, 0..6).await;
        let taken = Taken::turn(&database, &store).await;
        let held = hold(&database, 3).await;
        let waits = store.settle(token(3, 1), &answer(3, 9));
        let others = [0, 1, 2, 4, 5].map(|number| store.settle(token(number, 1), &answer(number, 9)));
        let (told, others) = (tokio::spawn(waits), all(others).await);
        assert!(
            others
                .into_iter()
                .all(|settled| settled.unwrap() == Settled::Applied)
        );
        lane::until_somebody_waits(&database).await;
        assert!(!told.is_finished());
        held.close().await.unwrap();
        assert_eq!(in_time(told).await.unwrap().unwrap(), Settled::Applied);
        taken.end().await;
    });
}

/// What changes a row after the statement began, and before it comes to the row, is seen: the fence is asked of the row as it stands.
/// The server's clock is read in between, and here it stands still until it may go on.
#[test]
fn a_claim_that_is_lost_in_the_middle_of_the_statement_is_fenced() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        claimed(&store, 0..4).await;
        database
            .run(
                "create schema testing; create function testing.clock_timestamp() returns timestamptz language plpgsql volatile as \
                 $$ begin perform pg_advisory_lock_shared(7); perform pg_advisory_unlock_shared(7); \
                 return pg_catalog.clock_timestamp(); end $$",
            )
            .await;
        let options = database.options();
        let slow =
            Settings::new().dangerous_before_each_step(|| "set search_path = testing, pg_catalog".into());
        let slow = Postgres::connect_with(options, slow).await.unwrap();
        let taken = Taken::turn(&database, &slow).await;
        let mut clock = database.connection().await;
        clock.execute("select pg_advisory_lock(7)").await.unwrap();
        let settle = |number: u8| slow.settle(token(number, 1), &answer(number, 9));
        let asked = tokio::spawn(all([0, 1, 2, 3].map(settle)));
        // the statement has its snapshot, and waits for the clock
        let waiting = "select count(*) = 1 from pg_locks where locktype = 'advisory' and not granted and database = \
                       (select oid from pg_database where datname = current_database())";
        in_time(async {
            while !sqlx::query_scalar::<_, bool>(waiting)
                .fetch_one(&mut clock)
                .await
                .unwrap()
            {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        database
            .run(
                "update tollgate.idempotency set epoch = 2 where get_byte(key, 0) = 0; \
                 update tollgate.idempotency set phase = 'released', expires_at = 9223372036854775807 where get_byte(key, 0) = 1; \
                 update tollgate.idempotency set lease_until = lease_until + 1 where get_byte(key, 0) = 2; \
                 delete from tollgate.idempotency where get_byte(key, 0) = 3",
            )
            .await;
        clock.close().await.unwrap();
        let settled = in_time(asked).await.unwrap();
        let settled: Vec<_> = settled.into_iter().map(Result::unwrap).collect();
        assert_eq!(
            settled,
            [
                Settled::Fenced(Phase::Armed),
                Settled::Fenced(Phase::Released),
                Settled::Applied,
                Settled::Gone,
            ]
        );
        assert_eq!(store.get(key(0)).await.unwrap().unwrap().phase, Phase::Armed);
        assert_eq!(store.get(key(1)).await.unwrap().unwrap().completion, None);
        assert!(store.get(key(3)).await.unwrap().is_none());
        taken.end().await;
    });
}

/// Large answers share no statement that would be too large.
#[test]
fn a_statement_carries_a_mebibyte_at_most() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        claimed(&store, 0..8).await;
        watch(&database).await;
        let taken = Taken::turn(&database, &store).await;
        let large = |number: u8| store.settle(token(number, 1), &answer(number, 300_000));
        assert!(
            all((0..8).map(large))
                .await
                .into_iter()
                .all(|settled| settled.is_ok())
        );
        let (_, updated) = watched(&database).await;
        assert!(
            updated.contains(&3) && updated.iter().all(|rows| *rows <= 3),
            "{updated:?}"
        );
        for number in 0..8 {
            let record = store.get(key(number)).await.unwrap().unwrap();
            assert_eq!(
                Settlement::Completed(record.completion.unwrap()),
                answer(number, 300_000)
            );
        }
        taken.end().await;
    });
}

fn of(worker: u8, number: u16) -> RecordKey {
    let mut key = [worker; 32];
    key[..2].copy_from_slice(&number.to_be_bytes());
    RecordKey::new(key)
}

/// Sixty-four callers, through so many connections: each call is made once, and costs the server far less than its two round trips.
async fn crowd(connections: u32) {
    let database = Database::fresh().await;
    drop(database.store().await);
    let proxy = Proxy::before(database.port()).await;
    let settings = Settings::new().max_connections(connections);
    let store = Postgres::connect(&database.url_by(proxy.port), settings)
        .await
        .unwrap();
    proxy.cut(None);
    let workers: Vec<_> = (0..64)
        .map(|worker| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..20 {
                    let begin = Begin {
                        key: of(worker, number),
                        ..begin(0, u128::from(worker))
                    };
                    let Begun::Acquired(token) = store.begin(begin).await.unwrap() else {
                        panic!("it is new");
                    };
                    assert_eq!(
                        store.settle(token, &answer(worker, 9)).await.unwrap(),
                        Settled::Applied
                    );
                }
            })
        })
        .collect();
    for worker in workers {
        in_time(worker).await.unwrap();
    }
    assert!(proxy.requests() < 64 * 20 / 2, "{} requests", proxy.requests());
    for worker in 0..64 {
        let record = store.get(of(worker, 19)).await.unwrap().unwrap();
        assert_eq!(
            Settlement::Completed(record.completion.unwrap()),
            answer(worker, 9)
        );
    }
}

#[test]
fn a_crowd_shares_its_round_trips() {
    block_on(crowd(10));
}

#[test]
fn a_crowd_gets_by_with_one_connection() {
    block_on(crowd(1));
}

/// Two processes that want the same keys, in opposite orders: each key has one owner, and nobody waits for the other in a circle.
#[test]
fn processes_that_want_the_same_keys_do_not_lock_each_other_out() {
    block_on(async {
        let database = Database::fresh().await;
        let stores = [database.store().await, database.store().await];
        for round in 0..20 {
            let upwards = all((0..100).map(|worker| {
                stores[0].begin(Begin {
                    key: of(worker, round),
                    ..begin(0, 1)
                })
            }));
            let downwards = all((0..100).rev().map(|worker| {
                stores[1].begin(Begin {
                    key: of(worker, round),
                    ..begin(0, 2)
                })
            }));
            let (upwards, downwards) = tokio::join!(upwards, downwards);
            let mut owners = BTreeSet::new();
            for begun in upwards.into_iter().chain(downwards) {
                match begun.unwrap() {
                    Begun::Acquired(token) => assert!(owners.insert(token.key), "two owners"),
                    Begun::InFlight { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(owners.len(), 100);
        }
        for store in &stores {
            store.close().await;
        }
        let mut eye = database.connection().await;
        let deadlocks: i64 =
            sqlx::query_scalar("select deadlocks from pg_stat_database where datname = current_database()")
                .fetch_one(&mut eye)
                .await
                .unwrap();
        assert_eq!(deadlocks, 0);
    });
}
