//! Servers as they are run: with defaults of their own, roles that may little, rows that are hidden, primaries that are none any more.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use sqlx::Executor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use support::own_server::OwnServer;
use support::{Database, begin, block_on};
use tollgate_core::store::StoreErrorKind::Unavailable;
use tollgate_core::store::idempotency::{
    Begin, Begun, IdempotencyStore, Phase, RecordKey, Settled, Settlement,
};
use tollgate_core::store::saga::{Fenced, NewSaga, SagaId, SagaJournal};
use tollgate_postgres::{OpenError, Postgres, Settings};
use tollgate_testkit::samples;

async fn open(database: &Database) -> Result<Postgres, OpenError> {
    Postgres::connect(&database.url(), Settings::new()).await
}

/// As an administrator would set it for this database.
async fn set(database: &Database, setting: &str) {
    let name = &database.name;
    database
        .run(&format!("alter database {name} set {setting}"))
        .await;
}

/// Statements that commit by themselves are written for `read committed`. With a stricter default, one that had to wait for another's
/// row used to fail.
#[test]
fn a_stricter_default_isolation_fails_nobody() {
    block_on(async {
        let database = Database::fresh().await;
        drop(database.store().await);
        for isolation in ["repeatable read", "serializable"] {
            set(
                &database,
                &format!("default_transaction_isolation = '{isolation}'"),
            )
            .await;
            let store = open(&database).await.unwrap();
            let id = SagaId([isolation.len().try_into().unwrap(); 16]);
            let lease = Duration::from_secs(60);
            let saga = NewSaga {
                id,
                name: "refund".into(),
                key: isolation.into(),
                lease,
                records: vec![b"1"[..].into()],
            };
            store.create(saga).await.unwrap();
            let mut other = database.connection().await;
            other.execute("begin").await.unwrap();
            other
                .execute("update tollgate.saga set lease_until = lease_until + 1")
                .await
                .unwrap();
            let renewal = tokio::spawn(SagaJournal::renew(&store, id, 1, lease));
            let waits = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            while database
                .connection()
                .await
                .fetch_all(waits)
                .await
                .unwrap()
                .is_empty()
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other.execute("commit").await.unwrap();
            assert_eq!(renewal.await.unwrap().unwrap(), Fenced::No, "{isolation}");
        }
    });
}

#[test]
fn a_database_that_takes_no_writes_is_refused() {
    block_on(async {
        let database = Database::fresh().await;
        drop(database.store().await);
        set(&database, "default_transaction_read_only = on").await;
        let error = open(&database).await.unwrap_err();
        assert!(matches!(error, OpenError::ReadOnly), "{error:?}");
    });
}

/// It used to open, or to say that the database cannot be reached; and the first payment found out.
#[test]
fn a_role_that_lacks_a_right_is_told_so_at_once() {
    block_on(async {
        let database = Database::fresh().await;
        drop(database.store().await);
        let role = format!("{}_app", database.name);
        database.run(&format!("create role {role} login")).await;
        let options = || database.options().username(&role);
        let mut said = Vec::new();
        for grant in [
            "".to_owned(),
            format!(
                "grant usage on schema tollgate to {role}; grant select on all tables in schema tollgate to {role}"
            ),
            format!("grant insert, update, delete on all tables in schema tollgate to {role}"),
        ] {
            database.run(&grant).await;
            said.push(match Postgres::connect_with(options(), Settings::new()).await {
                Ok(_) => "opened".to_owned(),
                Err(error) => error.to_string(),
            });
        }
        database
            .run(&format!("drop owned by {role}; drop role {role}"))
            .await;
        assert!(said[0].contains("rights on the schema tollgate"), "{said:?}");
        assert!(
            said[1].contains("audit, carry_over, dedup, idempotency"),
            "{said:?}"
        );
        assert_eq!(said[2], "opened");
    });
}

/// A row that is there and cannot be seen would be "absent": a charge that was made would run again.
#[test]
fn rows_that_are_hidden_are_not_taken_for_absent() {
    block_on(async {
        let database = Database::fresh().await;
        drop(database.store().await);
        let role = format!("{}_app", database.name);
        database
            .run(&format!(
                "create role {role} login; grant usage on schema tollgate to {role}; \
                 grant select, insert, update, delete on all tables in schema tollgate to {role}; \
                 alter table tollgate.idempotency enable row level security"
            ))
            .await;
        let opened = Postgres::connect_with(database.options().username(&role), Settings::new()).await;
        database
            .run(&format!("drop owned by {role}; drop role {role}"))
            .await;
        let error = opened.unwrap_err();
        assert!(
            matches!(&error, OpenError::Hidden { table } if table == "idempotency"),
            "{error:?}"
        );
    });
}

/// After a failover the old primary may stay there as a standby, and a connection to it alive: the store must turn away from it by itself.
#[test]
fn a_connection_that_became_read_only_is_not_used_again() {
    block_on(async {
        let database = Database::fresh().await;
        let read_only = Arc::new(AtomicBool::new(false));
        let settings = Settings::new()
            .migrate()
            .max_connections(1)
            .dangerous_before_each_step({
                let read_only = Arc::clone(&read_only);
                move || match read_only.swap(false, SeqCst) {
                    true => "set default_transaction_read_only = on".into(),
                    false => "select".into(),
                }
            });
        let store = Postgres::connect(&database.url(), settings).await.unwrap();
        let token = samples::claim(&store, samples::begin(samples::key(8), 9)).await;
        read_only.store(true, SeqCst);
        let error = begin(&store).await.unwrap_err();
        assert_eq!((error.kind(), error.may_have_happened()), (Unavailable, false));
        assert!(matches!(begin(&store).await.unwrap(), Begun::Acquired(_)));
        // nor after a read that could have been of yesterday
        read_only.store(true, SeqCst);
        let error = store.begin(samples::begin(token.key, 3)).await.unwrap_err();
        assert!(!error.may_have_happened());
        let settled = store.settle(token, &Settlement::Released).await.unwrap();
        assert_eq!(settled, Settled::Applied);
    });
}

/// An administrator's limits end a statement, and what was asked did not happen: it can be asked again.
#[test]
fn a_statement_that_the_servers_limits_end_did_not_happen() {
    block_on(async {
        let database = Database::fresh().await;
        let direct = database.store().await;
        let token = samples::claim(&direct, samples::begin(samples::key(8), 9)).await;
        for limit in ["statement_timeout", "lock_timeout"] {
            set(&database, &format!("{limit} = '100ms'")).await;
            let limited = open(&database).await.unwrap();
            let mut holder = database.connection().await;
            holder.execute("begin").await.unwrap();
            holder
                .execute("lock table tollgate.idempotency in share mode")
                .await
                .unwrap();
            let error = limited.settle(token, &Settlement::Released).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.may_have_happened()),
                (Unavailable, false),
                "{limit}"
            );
            let record = direct.get(token.key).await.unwrap().unwrap();
            assert_eq!(record.phase, Phase::Armed);
            holder.execute("rollback").await.unwrap();
            set(&database, &format!("{limit} = 0")).await;
        }
        let settled = direct.settle(token, &Settlement::Released).await.unwrap();
        assert_eq!(settled, Settled::Applied);
    });
}

/// A cluster that commits synchronously, and its standby is gone: every commit waits. Nobody is told what is not known, nothing is taken for
/// done, and when a standby is back whoever asks again finds out.
#[test]
fn a_commit_that_waits_for_a_standby_is_a_doubt() {
    block_on(async {
        let (_server, url) = OwnServer::start();
        let database = Database::on(url).await;
        let settings = Settings::new()
            .migrate()
            .response_timeout(Duration::from_millis(500));
        let store = Postgres::connect(&database.url(), settings.clone())
            .await
            .unwrap();
        let pooled = Postgres::connect(&database.url(), settings.transaction_pooling())
            .await
            .unwrap();
        let ours = samples::begin(samples::key(8), 9);
        let token = samples::claim(&store, ours).await;
        database
            .run("alter system set synchronous_standby_names = 'nobody'")
            .await;
        database.run("select pg_reload_conf()").await;
        let mut eye = database.connection().await;
        while eye
            .fetch_all("select where current_setting('synchronous_standby_names') = 'nobody'")
            .await
            .unwrap()
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        for (store, number) in [(&store, 1), (&pooled, 2)] {
            let begun = store.begin(samples::begin(samples::key(number), 9)).await;
            let error = begun.unwrap_err();
            assert_eq!((error.kind(), error.may_have_happened()), (Unavailable, true));
        }
        let error = store.settle(token, &Settlement::Released).await.unwrap_err();
        assert_eq!((error.kind(), error.may_have_happened()), (Unavailable, true));
        let seen = store.get(token.key).await.unwrap().unwrap();
        assert_eq!(seen.phase, Phase::Armed, "what waits is seen by nobody");

        eye.execute("alter system reset synchronous_standby_names")
            .await
            .unwrap();
        eye.execute("select pg_reload_conf()").await.unwrap();
        let settled = loop {
            if let Ok(settled) = store.settle(token, &Settlement::Released).await {
                break settled;
            }
        };
        assert_eq!(settled, Settled::AlreadyApplied);
        for number in [1, 2] {
            let ours = samples::begin(samples::key(number), 9);
            let begun = store.begin(ours).await.unwrap();
            assert!(matches!(begun, Begun::Acquired(_)), "{begun:?}");
        }
    });
}

/// Where the server has fewer connections for us than we may have at once, callers use those that there are by turns. Who had asked the
/// server for one went on asking it, and gave up after ten seconds beside connections that lay idle.
#[test]
fn a_server_with_few_connections_serves_many_by_turns() {
    block_on(async {
        let database = Database::fresh().await;
        drop(database.store().await);
        let role = format!("{}_few", database.name);
        database
            .run(&format!(
                "create role {role} login connection limit 2; grant usage on schema tollgate to {role}; \
                 grant select, insert, update, delete on all tables in schema tollgate to {role}"
            ))
            .await;
        let settings = Settings::new().max_connections(8).listen(false);
        let options = database.options().username(&role);
        let store = Postgres::connect_with(options, settings).await.unwrap();
        let mut asking = tokio::task::JoinSet::new();
        for number in 0..64 {
            let store = store.clone();
            let begin = Begin {
                most_open: 1000, // with a cap, each goes by itself
                ..samples::begin(RecordKey::new([number; 32]), 9)
            };
            asking.spawn(async move { store.begin(begin).await });
        }
        let answers = asking.join_all().await;
        store.close().await;
        database
            .run(&format!("drop owned by {role}; drop role {role}"))
            .await;
        for begun in answers {
            assert!(matches!(begun, Ok(Begun::Acquired(_))), "{begun:?}");
        }
    });
}
