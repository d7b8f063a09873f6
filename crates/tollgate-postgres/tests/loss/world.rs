//! Where an operation is tried: a database, a store that always reaches it, and a look past both.

use crate::operations::Operation;
use crate::support::{Database, TABLES};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};
use std::time::Duration;
use tollgate_core::store::StoreError;
use tollgate_core::{ManualClock, Timestamp};
use tollgate_postgres::Postgres;
use tollgate_testkit::operations::Kind;

const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) clock: ManualClock,
    pub(crate) store: Postgres,
    eye: PgConnection,
}

/// How an operation goes when nothing is lost.
pub(crate) struct Reference {
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) answer: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = Database::fresh().await;
        let clock = ManualClock::at(START);
        Self {
            store: database.store_with(clock.clone()).await,
            eye: database.connection().await,
            clock,
            database,
        }
    }

    /// Everything that the tables hold.
    pub(crate) async fn state(&mut self) -> String {
        let tables = TABLES.map(|table| {
            format!("select '{table}: ' || coalesce(string_agg(row::text, ' ' order by row::text), '') from tollgate.{table} as row")
        });
        let rows = self
            .eye
            .fetch_all(AssertSqlSafe(tables.join(" union all ")))
            .await
            .unwrap();
        rows.iter().map(|row| row.get::<String, _>(0) + "\n").collect()
    }

    /// Empties the tables, does what comes before, and moves the clock: what lapses at once has lapsed.
    pub(crate) async fn prepare(&mut self, operation: &Operation) {
        let sql = format!(
            "truncate {}",
            TABLES.map(|table| format!("tollgate.{table}")).join(", ")
        );
        self.eye.execute(AssertSqlSafe(sql)).await.unwrap();
        self.clock.set(START);
        operation.prepare(&self.store).await.unwrap();
        self.clock.advance(Duration::from_secs(1));
    }

    pub(crate) async fn reference(&mut self, operation: &Operation) -> Reference {
        self.prepare(operation).await;
        let before = self.state().await;
        let answer = operation.ask(&self.store).await.unwrap();
        let after = self.state().await;
        assert_eq!(
            before != after,
            operation.kind.writes(),
            "{}: {before}{after}",
            operation.name
        );
        Reference {
            before,
            after,
            answer,
        }
    }

    /// Until the server has noticed what was lost.
    pub(crate) async fn until_quiet(&mut self) {
        for _ in 0..1_000 {
            let busy: i64 = self
                .eye
                .fetch_one(
                    "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
                     and backend_type = 'client backend' and state <> 'idle'",
                )
                .await
                .unwrap()
                .get(0);
            if busy == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the server is still busy");
    }

    /// The operation happened whole or not at all, and its answer is true.
    pub(crate) async fn assert_whole(
        &mut self,
        operation: &Operation,
        reference: &Reference,
        answer: &Result<String, StoreError>,
        what: &str,
    ) {
        self.until_quiet().await;
        let state = self.state().await;
        match answer {
            Ok(answer) => {
                assert_eq!(answer, &reference.answer, "{what}");
                assert_eq!(state, reference.after, "{what}");
            }
            Err(error) if error.may_have_happened() => {
                assert_ne!(operation.kind, Kind::Reads, "{what}: a read cannot have happened");
                assert!(
                    state == reference.before || state == reference.after,
                    "{what}: half done: {state}"
                );
            }
            Err(error) => assert_eq!(
                state, reference.before,
                "{what}: said that nothing was written: {error:?}"
            ),
        }
    }

    /// Whoever repeats the operation ends where it would have ended at once, and is told what it would have been told, or that it is
    /// done.
    pub(crate) async fn assert_repeatable(
        &mut self,
        operation: &Operation,
        reference: &Reference,
        what: &str,
    ) {
        let answer = operation.ask(&self.store).await.unwrap();
        let Kind::Repeatable(_) = operation.kind else {
            return;
        };
        assert!(
            operation.kind.found_done(&reference.answer, &answer),
            "{what}, then again: {answer}, not {}",
            reference.answer
        );
        assert_eq!(self.state().await, reference.after, "{what}, then again");
    }
}
