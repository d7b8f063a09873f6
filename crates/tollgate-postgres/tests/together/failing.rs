//! What goes wrong with a statement that carries several steps.

use crate::lane::{Taken, all, answer, begin, claimed, hold, key, token};
use crate::support::proxy::{Cut, Proxy};
use crate::support::{Database, block_on};
use sqlx::{Connection, Executor};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tollgate_core::store::idempotency::{Begun, IdempotencyStore, Phase, Settled};
use tollgate_core::store::{StoreError, StoreErrorKind};
use tollgate_postgres::{Postgres, Settings};

/// What the server does not take of one step, it takes of the others.
#[test]
fn one_bad_step_fails_alone() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        claimed(&store, 0..5).await;
        database
            .run(
                "create function public.refuse() returns trigger language plpgsql as \
                 $$ begin raise exception 'planted' using errcode = '22021'; end $$; \
                 create trigger refused before insert or update on tollgate.idempotency for each row \
                 when (get_byte(new.key, 0) in (2, 12) and new.phase <> 'released') execute function public.refuse()",
            )
            .await;
        let taken = Taken::turn(&database, &store).await;
        let settled = all((0..5).map(|number| store.settle(token(number, 1), &answer(number, 9)))).await;
        for (number, settled) in settled.into_iter().enumerate() {
            match settled {
                Ok(settled) => assert_eq!((number != 2, settled), (true, Settled::Applied)),
                Err(error) => assert_eq!(
                    (number, error.kind(), error.may_have_happened()),
                    (2, StoreErrorKind::Unsupported, false)
                ),
            }
        }
        let begun = all((10..15).map(|number| store.begin(begin(number, 1)))).await;
        for (number, begun) in (10..).zip(begun) {
            match begun {
                Ok(begun) => assert_eq!((number != 12, begun), (true, Begun::Acquired(token(number, 1)))),
                Err(error) => assert_eq!((number, error.may_have_happened()), (12, false)),
            }
        }
        taken.end().await;
    });
}

/// A race that the server decides against the statement (`40001`, as under `repeatable read`) costs nobody anything.
#[test]
fn a_lost_race_is_run_again_by_each() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        claimed(&store, 0..4).await;
        database
            .run(
                "create sequence public.races; \
                 create function public.lose() returns trigger language plpgsql as \
                 $$ begin if nextval('public.races') <= 3 then raise exception 'planted' using errcode = '40001'; end if; \
                 return new; end $$; \
                 create trigger lost before update on tollgate.idempotency for each row \
                 when (get_byte(new.key, 0) = 1) execute function public.lose()",
            )
            .await;
        let taken = Taken::turn(&database, &store).await;
        let settled = all((0..4).map(|number| store.settle(token(number, 1), &answer(number, 9)))).await;
        assert!(
            settled
                .into_iter()
                .all(|settled| settled.unwrap() == Settled::Applied)
        );
        taken.end().await;
    });
}

/// Twenty claims, of which the first ten are settled.
async fn half_settled(store: &Postgres) {
    claimed(store, 0..20).await;
    for number in 0..10 {
        store.settle(token(number, 1), &answer(number, 9)).await.unwrap();
    }
}

/// What a server knows that takes no writes, a standby for instance, may be of yesterday: it decides nothing, however many ask it.
#[test]
fn a_read_only_server_answers_none_of_them() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        half_settled(&store).await;
        // once it is open: one that takes no writes then is refused
        let is_open = AtomicBool::new(false);
        let settings = Settings::new().dangerous_before_each_step(move || {
            let read_only = if is_open.swap(true, SeqCst) { "on" } else { "off" };
            format!("set default_transaction_read_only = {read_only}")
        });
        let demoted = Postgres::connect(&database.url(), settings).await.unwrap();
        let refused = |error: StoreError| {
            assert_eq!(
                (error.kind(), error.may_have_happened()),
                (StoreErrorKind::Unavailable, false)
            );
        };
        for begun in all((0..40).map(|number| demoted.begin(begin(number, 2)))).await {
            refused(begun.unwrap_err());
        }
        for settled in all((0..40).map(|number| demoted.settle(token(number, 1), &answer(number, 9)))).await {
            refused(settled.unwrap_err());
        }
    });
}

/// A server that would forget what it acknowledges takes no claim of many, as it takes none of one, and still says what stands.
#[test]
fn a_forgetful_server_takes_none_of_them() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        half_settled(&store).await;
        let asked = AtomicU32::new(0);
        let forgets = Settings::new().dangerous_before_each_step(move || {
            let is_first = asked.fetch_add(1, SeqCst) == 0; // which opens the store
            format!("set synchronous_commit = {}", if is_first { "on" } else { "off" })
        });
        let forgets = Postgres::connect(&database.url(), forgets).await.unwrap();
        let begun = all((0..40).map(|number| forgets.begin(begin(number, 2)))).await;
        for (number, begun) in (0..).zip(begun) {
            match begun {
                Ok(Begun::Replay(_)) => assert!(number < 10),
                Ok(Begun::InFlight { .. }) => assert!((10..20).contains(&number)),
                Err(error) => assert_eq!(
                    (number >= 20, error.kind(), error.may_have_happened()),
                    (true, StoreErrorKind::Unsupported, false)
                ),
                Ok(other) => panic!("{number}: {other:?}"),
            }
        }
        for number in 20..40 {
            assert!(store.get(key(number)).await.unwrap().is_none(), "{number}");
        }
    });
}

/// The connection is cut at each message of the statement's: whole or not at all, for all its steps, and each is told so.
async fn cut_everywhere(kind: Kind) {
    for place in [Cut::Request as fn(usize) -> Cut, Cut::Answer] {
        let mut doubts = 0;
        for number in 0.. {
            assert!(number < 40, "it never ends");
            let (is_cut, doubt) = cut(place(number), kind).await;
            doubts += usize::from(doubt);
            if !is_cut {
                break;
            }
        }
        assert!(doubts > 0, "no cut left a doubt");
    }
}

#[test]
fn a_connection_that_is_lost_is_doubt_for_each_begin() {
    block_on(cut_everywhere(Kind::Begins));
}

#[test]
fn a_connection_that_is_lost_is_doubt_for_each_settlement() {
    block_on(cut_everywhere(Kind::Settlements));
}

#[derive(Clone, Copy)]
enum Kind {
    Begins,
    Settlements,
}

impl Kind {
    /// What each of three steps is told, and whether that is that it is done.
    async fn ask(self, store: &Postgres) -> Vec<Result<bool, StoreError>> {
        match self {
            Self::Begins => {
                let begun = all((0..3).map(|number| store.begin(begin(number, 1)))).await;
                let is_done = |begun| matches!(begun, Begun::Acquired(_));
                begun.into_iter().map(|begun| begun.map(is_done)).collect()
            }
            Self::Settlements => {
                let settled =
                    all((0..3).map(|number| store.settle(token(number, 1), &answer(number, 9)))).await;
                let is_done = |settled| matches!(settled, Settled::Applied | Settled::AlreadyApplied);
                settled.into_iter().map(|settled| settled.map(is_done)).collect()
            }
        }
    }

    const fn writes(self) -> Phase {
        match self {
            Self::Begins => Phase::Armed,
            Self::Settlements => Phase::Completed,
        }
    }
}

/// Whether it has cut, and whether that left a doubt.
async fn cut(place: Cut, kind: Kind) -> (bool, bool) {
    let database = Database::fresh().await;
    let eye = database.store().await;
    let proxy = Proxy::before(database.port()).await;
    let store = Postgres::connect(&database.url_by(proxy.port), Settings::new())
        .await
        .unwrap();
    if let Kind::Settlements = kind {
        claimed(&store, 0..3).await;
    }
    let taken = Taken::turn(&database, &store).await;
    proxy.cut(place);
    let told = kind.ask(&store).await;
    let is_cut = proxy.has_cut();
    let told: Vec<_> = told
        .into_iter()
        .map(|told| told.map_err(|error| error.may_have_happened()))
        .collect();
    let mut written = 0;
    for number in 0..3 {
        let record = eye.get(key(number)).await.unwrap();
        written += usize::from(record.is_some_and(|record| record.phase == kind.writes()));
    }
    let what = format!("{place:?}: {told:?}, {written} written");
    assert!(written == 0 || written == 3, "{what}");
    match told[0] {
        Ok(is_done) => assert!(is_done && written == 3, "{what}"),
        Err(may_have_happened) => assert!(may_have_happened || written == 0, "{what}"),
    }
    assert!(told.iter().all(|one| *one == told[0]), "{what}");
    // whoever asks again finds it done, or does it
    for again in kind.ask(&store).await {
        assert!(again.unwrap(), "{what}");
    }
    taken.end().await;
    (is_cut, told[0] == Err(true))
}

/// A table that somebody holds: each is told in time, and that it may have been carried out.
#[test]
fn a_silent_server_is_doubt_for_each() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        claimed(&store, 0..3).await;
        let hasty = Settings::new().response_timeout(Duration::from_millis(200));
        let hasty = Postgres::connect(&database.url(), hasty).await.unwrap();
        let mut holder = database.connection().await;
        holder
            .execute("begin; lock table tollgate.idempotency in access exclusive mode")
            .await
            .unwrap();
        let settled = all((0..3).map(|number| hasty.settle(token(number, 1), &answer(number, 9)))).await;
        for settled in settled {
            let error = settled.unwrap_err();
            assert_eq!(
                (error.kind(), error.may_have_happened()),
                (StoreErrorKind::Unavailable, true)
            );
        }
        holder.close().await.unwrap();
        for settled in all((0..3).map(|number| hasty.settle(token(number, 1), &answer(number, 9)))).await {
            let settled = settled.unwrap();
            assert!(
                matches!(settled, Settled::Applied | Settled::AlreadyApplied),
                "{settled:?}"
            );
        }
    });
}

/// Who goes away takes nobody along: what was asked with it is told all the same.
#[test]
fn who_goes_away_harms_nobody() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        claimed(&store, 0..4).await;
        let taken = Taken::turn(&database, &store).await;
        let held = hold(&database, 0).await;
        let goes = tokio::spawn(store.settle(token(0, 1), &answer(0, 9)));
        let stays = [1, 2, 3].map(|number| tokio::spawn(store.settle(token(number, 1), &answer(number, 9))));
        crate::lane::in_time(async {
            for stays in stays {
                assert_eq!(stays.await.unwrap().unwrap(), Settled::Applied);
            }
        })
        .await;
        goes.abort();
        assert!(goes.await.unwrap_err().is_cancelled());
        held.close().await.unwrap();
        taken.end().await;
        let again = store.settle(token(0, 1), &answer(0, 9)).await.unwrap();
        assert!(matches!(again, Settled::Applied | Settled::AlreadyApplied));
    });
}
