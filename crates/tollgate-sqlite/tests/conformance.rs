//! The SQLite store keeps every property of every port.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tollgate_core::Secret;
use tollgate_core::store::idempotency::seal::{Keyring, Sealed};
use tollgate_sqlite::Sqlite;
use tollgate_testkit::conformance::Subject;

/// An empty file in a folder of its own.
fn fresh() -> Subject<Sqlite> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    Subject::manual(|clock| Sqlite::open_with(path, clock).unwrap()).keeping(folder)
}

/// The same, its answers sealed.
fn sealed() -> Subject<Sealed<Sqlite>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let keys = Keyring::new("2026-11", &Secret::new(vec![7; 32])).unwrap();
    Subject::manual(|clock| Sealed::new(Sqlite::open_with(path, clock).unwrap(), keys)).keeping(folder)
}

tollgate_testkit::idempotency_conformance!(idempotency, fresh());
tollgate_testkit::idempotency_conformance!(sealed_idempotency, sealed());
tollgate_testkit::dedup_conformance!(dedup, fresh());
tollgate_testkit::quota_conformance!(quota, fresh());
tollgate_testkit::velocity_conformance!(velocity, fresh());
tollgate_testkit::audit_conformance!(audit, fresh());
tollgate_testkit::carry_over_conformance!(carry_over, fresh());
tollgate_testkit::saga_conformance!(saga, fresh());
