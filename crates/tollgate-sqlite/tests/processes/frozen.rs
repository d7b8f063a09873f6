//! A process that is frozen in the midst of a transaction: it holds the lock, and nobody can take it from a process that lives.

use super::{assert_whole, begin};
use crate::parent::{Child, fresh, records};
use std::path::Path;
use tollgate_core::store::StoreErrorKind;
use tollgate_core::store::idempotency::{Begun, IdempotencyStore, Phase};
use tollgate_sqlite::Sqlite;

/// A child that claims this key and is frozen before it has committed that.
fn frozen(path: &Path, name: &str) -> Child {
    let mut child = Child::start("freeze", path, name);
    child.go();
    assert_eq!(child.next_line().as_deref(), Some("locked"));
    child.freeze();
    child
}

/// The others wait as long as they wait for anybody, and then are told that nothing was written, so that nothing is sent. When it wakes,
/// its transaction goes on as if nothing had been.
#[tokio::test(flavor = "multi_thread")]
async fn who_meets_a_frozen_process_is_told_that_nothing_was_written() {
    let (_folder, path) = fresh();
    let store = Sqlite::open(&path).unwrap();
    let mut child = frozen(&path, "theirs");
    let claims: Vec<_> = (0..300)
        .map(|number| store.begin(begin(records::key(&format!("ours{number}")))))
        .collect();
    for claim in claims {
        let error = claim.await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(!error.may_have_happened(), "{error}");
    }
    child.wake();
    child.go();
    assert_eq!(child.next_line().as_deref(), Some("acquired"));
    assert_eq!(child.finish(), [""; 0]);
    let theirs = store.get(records::key("theirs")).await.unwrap().unwrap();
    assert_eq!(theirs.phase, Phase::Prepared);
    for number in [0, 299] {
        let again = begin(records::key(&format!("ours{number}")));
        assert_eq!(store.get(again.key).await.unwrap(), None);
        assert!(matches!(store.begin(again).await.unwrap(), Begun::Acquired(_)));
    }
}

/// One that is killed while it is frozen leaves nothing of its transaction, and holds nobody up: who waits goes on at once.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_frozen_process_goes_on_when_it_is_killed() {
    let (_folder, path) = fresh();
    let store = Sqlite::open(&path).unwrap();
    let child = frozen(&path, "theirs");
    let ours = store.begin(begin(records::key("ours")));
    let theirs = store.get(records::key("theirs"));
    assert_eq!(child.kill_after(0), [""; 0]);
    assert!(matches!(ours.await.unwrap(), Begun::Acquired(_)));
    assert_eq!(theirs.await.unwrap(), None);
    drop(store);
    assert_whole(&path);
}
