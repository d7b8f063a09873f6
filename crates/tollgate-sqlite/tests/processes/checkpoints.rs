//! A process that is killed in the midst of a checkpoint: the database file is half written then, and the WAL makes it whole.

use super::assert_whole;
use crate::child::large;
use crate::parent::{Child, fresh, records};
use std::path::Path;
use tollgate_core::store::idempotency::IdempotencyStore;
use tollgate_sqlite::Sqlite;

/// Whether a checkpoint was begun and not ended, as the WAL's index says: how many frames were to be copied, how many were. Only for
/// files that this process has not open: closing a handle drops its locks.
fn is_half_way(path: &Path) -> bool {
    let index = std::fs::read(path.with_extension("sqlite-shm")).unwrap();
    let number = |at: usize| u32::from_ne_bytes(index[at..at + 4].try_into().unwrap());
    number(128) > number(96)
}

/// What was acknowledged is there, to the last byte.
async fn check(store: &Sqlite, acknowledged: &[String]) {
    for id in acknowledged {
        let record = store.get(records::key(id)).await.unwrap().unwrap();
        let answer = record.completion.unwrap().envelope.unwrap();
        assert!(*answer.body == large(id), "{id}");
    }
}

/// Over and over on one file, alone and beside a process that has it open, until three of the kills have demonstrably fallen into a
/// checkpoint.
#[tokio::test]
async fn a_kill_in_the_midst_of_a_checkpoint_loses_nothing() {
    let (_folder, path) = fresh();
    let (mut acknowledged, mut half_way) = (Vec::new(), 0);
    for round in 0..200u32 {
        let survivor = (round % 4 == 0).then(|| Sqlite::open(&path).unwrap());
        let mut child = Child::start("large", &path, &round.to_string());
        child.go();
        let since = acknowledged.len();
        acknowledged.extend(child.kill_later(2, round * 37 % 64 * 50_000));
        if survivor.is_none() && is_half_way(&path) {
            half_way += 1;
        }
        let store = survivor.unwrap_or_else(|| Sqlite::open(&path).unwrap());
        check(&store, &acknowledged[since..]).await;
        drop(store);
        if half_way == 3 {
            break;
        }
    }
    assert_eq!(half_way, 3, "in 200 rounds");
    assert_whole(&path);
    check(&Sqlite::open(&path).unwrap(), &acknowledged).await;
}
