//! Every statement of every port has an index to go by: none has to walk through a whole table.
//!
//! What PostgreSQL makes of a statement depends on how large it believes a table to be, and a small one it rightly reads from end to end.
//! With `enable_seqscan = off` it does so only where it knows no other way; and it counts how often.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use support::{Database, statistics};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tollgate_postgres::Postgres;
use tollgate_testkit::conformance::{Subject, prove, run};

const TABLES: [&str; 8] = [
    "idempotency",
    "dedup",
    "quota",
    "velocity",
    "audit",
    "carry_over",
    "saga_record",
    "saga",
];

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
        macro_rules! idempotency { ($($name:ident,)+) => { every! { idempotency: $($name,)+ } }; }
        macro_rules! dedup { ($($name:ident,)+) => { every! { dedup: $($name,)+ } }; }
        macro_rules! quota { ($($name:ident,)+) => { every! { quota: $($name,)+ } }; }
        macro_rules! velocity { ($($name:ident,)+) => { every! { velocity: $($name,)+ } }; }
        macro_rules! audit { ($($name:ident,)+) => { every! { audit: $($name,)+ } }; }
        macro_rules! carry_over { ($($name:ident,)+) => { every! { carry_over: $($name,)+ } }; }
        macro_rules! saga { ($($name:ident,)+) => { every! { saga: $($name,)+ } }; }
        tollgate_testkit::each_idempotency_property!(idempotency);
        tollgate_testkit::each_dedup_property!(dedup);
        tollgate_testkit::each_quota_property!(quota);
        tollgate_testkit::each_velocity_property!(velocity);
        tollgate_testkit::each_audit_property!(audit);
        tollgate_testkit::each_carry_over_property!(carry_over);
        tollgate_testkit::each_saga_property!(saga);

        for table in TABLES {
            assert!(by_index[table] > 0, "nothing was heard of {table}");
        }
    });
}
