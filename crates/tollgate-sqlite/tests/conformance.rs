//! The SQLite store keeps every property of every port.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tollgate_sqlite::Sqlite;
use tollgate_testkit::conformance::Subject;

/// An empty file in a folder of its own.
fn fresh() -> Subject<Sqlite> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    Subject::manual(|clock| Sqlite::open_with(path, clock).unwrap()).keeping(folder)
}

tollgate_testkit::idempotency_conformance!(idempotency, fresh());
tollgate_testkit::dedup_conformance!(dedup, fresh());
tollgate_testkit::quota_conformance!(quota, fresh());
tollgate_testkit::velocity_conformance!(velocity, fresh());
tollgate_testkit::audit_conformance!(audit, fresh());
tollgate_testkit::carry_over_conformance!(carry_over, fresh());
tollgate_testkit::saga_conformance!(saga, fresh());
