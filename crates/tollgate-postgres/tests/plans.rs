//! Every statement of every port has an index to go by: none has to walk through a whole table.
//!
//! What PostgreSQL makes of a statement depends on how large it believes a table to be, and a small one it rightly reads from end to end.
//! With `enable_seqscan = off` it does so only where it knows no other way; and it counts how often.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use support::{Database, TABLES, statistics};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tollgate_postgres::Postgres;
use tollgate_testkit::conformance::{Subject, prove, run};

/// Empties the database, and what the server has counted until then, this among it.
async fn empty(database: &Database) {
    let delete = TABLES.map(|table| format!("delete from tollgate.{table}"));
    database.run(&delete.join("; ")).await;
    statistics(database, "seq_scan").await;
    database.run("select pg_stat_reset()").await;
}

/// By way of connections that avoid walks.
async fn avoiding_walks(database: &Database) -> Subject<Postgres> {
    let options = database.options().options([("enable_seqscan", "off")]);
    Subject::manual(|clock| block_in_place(|| Handle::current().block_on(database.store_as(options, clock))))
}

#[test]
fn no_statement_walks_through_a_table() {
    run(async {
        let database = Database::fresh().await;
        database.store().await.close().await;
        let mut by_index = BTreeMap::new();
        macro_rules! every {
            ($port:ident: $($name:ident,)+) => {$(
                empty(&database).await;
                prove(async || avoiding_walks(&database).await, tollgate_testkit::conformance::$port::$name).await;
                let walks = statistics(&database, "seq_scan").await;
                assert!(walks.values().all(|times| *times == 0), "{}: {walks:?}", stringify!($name));
                for (table, times) in statistics(&database, "idx_scan").await {
                    *by_index.entry(table).or_insert(0) += times;
                }
            )+};
        }
        tollgate_testkit::each_property!(every);

        for table in TABLES {
            assert!(by_index[table] > 0, "nothing was heard of {table}");
        }
    });
}
