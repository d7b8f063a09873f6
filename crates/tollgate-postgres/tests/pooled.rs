//! A pooler stands before the database: pgbouncer, in each of its modes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use support::{Database, begin, block_on, server};
use tokio::runtime::Handle;
use tokio::task::{JoinSet, block_in_place};
use tollgate_core::ManualClock;
use tollgate_core::store::StoreErrorKind::Unsupported;
use tollgate_core::store::idempotency::{
    Begin, Begun, Held, IdempotencyStore, Phase, RecordKey, Settled, Settlement,
};
use tollgate_postgres::{OpenError, Postgres, Settings};
use tollgate_testkit::conformance::Subject;
use tollgate_testkit::samples;

const LEASE: Duration = Duration::from_secs(60);

/// A pgbouncer of this test's own, with three connections for each database.
struct Pooler {
    folder: tempfile::TempDir,
    port: u16,
}

fn script(arguments: &[&str], folder: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/pgbouncer");
    let mut command = Command::new(script);
    command.arg(arguments[0]).arg(folder).args(&arguments[1..]);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "tests/pgbouncer {arguments:?} (tests/run installs what it needs): {output:?}"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Pooler {
    fn start(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // root starts it as another user, who must be let in
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let before: PgConnectOptions = server().parse().unwrap();
        let port = script(
            &["start", mode, &before.get_port().to_string()],
            &folder.path().join("pooler"),
        );
        Self {
            folder,
            port: port.parse().unwrap(),
        }
    }

    fn pool_per(&self, mode: &str) {
        script(&["mode", mode], &self.folder.path().join("pooler"));
    }

    async fn open(&self, database: &Database, settings: Settings) -> Result<Postgres, OpenError> {
        Postgres::connect(&database.url_by(self.port), settings).await
    }

    /// A connection past the store, in a transaction: it keeps one of the pooler's.
    async fn occupy(&self, database: &Database) -> PgConnection {
        let options = database.options().port(self.port).ssl_mode(PgSslMode::Disable);
        let mut connection = options.connect().await.unwrap();
        connection.execute("begin").await.unwrap();
        connection
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        script(&["stop"], &self.folder.path().join("pooler"));
    }
}

/// Seen with pgbouncer 1.18 before such a pooler was refused: `arm` answered `Held` and had only renewed, because the statement of that
/// name was another client's on the connection that the pooler chose. A claim that was never armed is taken over when its lease lapses.
#[test]
fn a_pooler_that_shares_its_connections_is_refused_before_anything_is_prepared() {
    block_on(async {
        let database = Database::fresh().await;
        drop(database.store().await); // the tables
        for mode in ["transaction", "statement"] {
            let pooler = Pooler::start(mode);
            // idle, and with others at work: then it gives now this connection and now that
            for others in 0..3 {
                let mut at_work = JoinSet::new();
                for _ in 0..others {
                    let mut other = database
                        .options()
                        .port(pooler.port)
                        .ssl_mode(PgSslMode::Disable)
                        .connect()
                        .await
                        .unwrap();
                    at_work.spawn(async move {
                        loop {
                            other.execute("select pg_sleep(0.001)").await.unwrap();
                        }
                    });
                }
                let error = pooler.open(&database, Settings::new()).await.unwrap_err();
                assert!(matches!(error, OpenError::SharedConnections), "{mode}: {error:?}");
                let says = error.to_string();
                for way_out in ["session", "address", "Settings::transaction_pooling"] {
                    assert!(says.contains(way_out), "{says}");
                }
            }
            if mode == "transaction" {
                let mut eye = pooler.occupy(&database).await;
                let prepared = sqlx::raw_sql("select from pg_prepared_statements").fetch_all(&mut eye);
                assert_eq!(prepared.await.unwrap().len(), 0);
            }
        }
    });
}

/// It knows no transactions, and nothing can be done about that.
#[test]
fn statement_pooling_is_refused_also_when_asked_for() {
    block_on(async {
        let database = Database::fresh().await;
        drop(database.store().await);
        let pooler = Pooler::start("statement");
        let settings = Settings::new().transaction_pooling();
        let error = pooler.open(&database, settings).await.unwrap_err();
        assert!(matches!(error, OpenError::Unreachable(_)), "{error:?}");
    });
}

/// A session is a connection of one's own, listening included. More stores at once than it has connections for two each wait for each other
/// at opening, and not for ever.
#[test]
fn session_pooling_is_as_a_connection_of_ones_own() {
    block_on(async {
        let database = Database::fresh().await;
        drop(database.store().await);
        let pooler = Pooler::start("session");
        let one = Settings::new().max_connections(1).listen(false);
        let mut opening = JoinSet::new();
        for _ in 0..3 {
            let (url, settings) = (database.url_by(pooler.port), one.clone());
            opening.spawn(async move { Postgres::connect(&url, settings).await.map(drop) });
        }
        while let Some(opened) = opening.join_next().await {
            opened.unwrap().unwrap();
        }
        let store = pooler
            .open(&database, Settings::new().max_connections(1))
            .await
            .unwrap();
        let token = samples::claim(&store, samples::begin(samples::key(7), 9)).await;
        let told = store.changed(token.key).expect("it listens");
        let direct = database.store().await;
        let told = tokio::spawn(told);
        while sqlx::query_scalar::<_, i64>("select count(*) from tollgate.idempotency where awaited")
            .fetch_one(&mut database.connection().await)
            .await
            .unwrap()
            == 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(
            direct.settle(token, &Settlement::Released).await.unwrap(),
            Settled::Applied
        );
        told.await.unwrap().unwrap();
    });
}

/// An operator changes the pooler's mode while the store is at work. It finds out before it asks anything of a connection that was idle.
#[test]
fn a_pooler_that_begins_to_share_is_found_out() {
    block_on(async {
        let database = Database::fresh().await;
        drop(database.store().await);
        let pooler = Pooler::start("session");
        let settings = Settings::new().max_connections(1).listen(false);
        let store = pooler.open(&database, settings).await.unwrap();
        store.now().await.unwrap();
        pooler.pool_per("transaction");
        let mut others = Vec::new();
        let error = loop {
            // from its next transaction on the connection is anybody's; then somebody takes it
            others.push(pooler.occupy(&database).await);
            tokio::time::sleep(Duration::from_millis(1200)).await;
            match begin(&store).await {
                Ok(_) => assert!(others.len() < 3, "never found out"),
                Err(error) => break error,
            }
            let mut first = others.remove(0);
            first.execute("commit").await.unwrap();
            others.push(pooler.occupy(&database).await);
            others.push(first);
        };
        assert_eq!((error.kind(), error.may_have_happened()), (Unsupported, false));
    });
}

fn key(client: u8, number: u8) -> RecordKey {
    let mut key = [client; 32];
    key[0] = number;
    RecordKey::new(key)
}

/// Six processes' worth of stores on three connections: whatever one is told is what the database holds. Some arm first and some renew, so
/// that names, if there were any, would mean different things to them.
#[test]
fn what_is_told_through_a_pooler_that_shares_is_true() {
    block_on(async {
        let database = Arc::new(Database::fresh().await);
        let pooler = Pooler::start("transaction");
        let port = pooler.port;
        let direct = database.store().await;
        let mut clients = JoinSet::new();
        for client in 0..6 {
            let (database, direct) = (Arc::clone(&database), direct.clone());
            clients.spawn(async move {
                let settings = Settings::new().max_connections(2).transaction_pooling();
                let store = Postgres::connect(&database.url_by(port), settings).await.unwrap();
                let phase = async |key| direct.get(key).await.unwrap().map(|record| record.phase);
                for number in 0..40 {
                    let key = key(client, number);
                    let begin = Begin {
                        arm: false,
                        ..samples::begin(key, u128::from(number) + 1)
                    };
                    let token = samples::claim(&store, begin).await;
                    if number % 3 == u8::from(client % 2 == 0) {
                        assert_eq!(store.renew(token, LEASE).await.unwrap(), Held::Held);
                        assert_eq!(phase(key).await, Some(Phase::Prepared), "only renewed");
                    }
                    assert_eq!(store.arm(token, LEASE).await.unwrap(), Held::Held);
                    assert_eq!(phase(key).await, Some(Phase::Armed), "told that it is armed");
                    let done = Settlement::Completed(samples::completion(&[client, number]));
                    assert_eq!(store.settle(token, &done).await.unwrap(), Settled::Applied);
                    let Begun::Replay(answer) = store.begin(begin).await.unwrap() else {
                        panic!("the answer is there");
                    };
                    assert_eq!(answer, samples::completion(&[client, number]));
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
    });
}

/// Nobody listens there: what is said would reach whoever has that connection then. Whoever waits asks.
#[test]
fn behind_a_pooler_that_shares_nobody_listens() {
    block_on(async {
        let database = Database::fresh().await;
        drop(database.store().await);
        let pooler = Pooler::start("transaction");
        let settings = Settings::new().transaction_pooling().listen(true);
        let store = pooler.open(&database, settings).await.unwrap();
        assert!(store.changed(samples::key(7)).is_none());
    });
}

/// The application's transaction goes through the same pooler, by statements without names, and so does what is settled in it.
#[test]
fn an_answer_is_settled_in_a_transaction_through_a_pooler_that_shares() {
    block_on(async {
        let database = Database::fresh().await;
        let direct = database.store().await;
        let pooler = Pooler::start("transaction");
        let options = database.options().port(pooler.port).ssl_mode(PgSslMode::Disable);
        // both connections are led to the same one of the server, one after the other, and neither leaves a name behind
        for number in 0..4 {
            let token = samples::claim(&direct, samples::begin(samples::key(number), 9)).await;
            let mut application = options.connect().await.unwrap();
            let mut transaction = application.begin().await.unwrap();
            let done = Settlement::Completed(samples::completion(b"done"));
            Postgres::settle_in(&mut transaction, token, &done).await.unwrap();
            transaction.commit().await.unwrap();
            let record = direct.get(token.key).await.unwrap().unwrap();
            assert_eq!(record.phase, Phase::Completed);
        }
    });
}

#[test]
fn it_migrates_through_a_pooler_that_shares() {
    block_on(async {
        let database = Database::fresh().await;
        let pooler = Pooler::start("transaction");
        let settings = Settings::new().migrate().transaction_pooling();
        let store = pooler.open(&database, settings).await.unwrap();
        assert!(matches!(begin(&store).await.unwrap(), Begun::Acquired(_)));
    });
}

/// A database of its own behind the pooler, whose clock the property moves.
async fn fresh() -> Subject<Postgres> {
    let database = Database::fresh().await;
    let pooler = Pooler::start("transaction");
    let store = async |clock: ManualClock| {
        drop(database.store_with(clock.clone()).await); // the tables, and the clock
        database.store_pooled(pooler.port, clock).await
    };
    Subject::manual(|clock| block_in_place(|| Handle::current().block_on(store(clock))))
        .keeping((database, pooler))
}

tollgate_testkit::idempotency_conformance!(idempotency_records, fresh().await);
tollgate_testkit::dedup_conformance!(webhook_events, fresh().await);
tollgate_testkit::saga_conformance!(saga_journals, fresh().await);
