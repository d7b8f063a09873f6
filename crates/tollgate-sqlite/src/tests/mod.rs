//! What the writer does inside a transaction, and what the file was really set to.

mod growth;
mod plans;

use crate::open::{make_safe, prepare};
use crate::writer::{MOST_PATIENCE, gather, patience};
use crate::{OpenError, Sqlite};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use tollgate_core::store::StoreErrorKind;
use tollgate_core::store::audit::{AuditStore, Receipt, chain};
use tollgate_core::{Clock, Timestamp};

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    (folder, path)
}

fn put(connection: &Connection, key: i64) -> rusqlite::Result<()> {
    connection.execute(
        "insert into velocity (key, at, weight, until) values (x'00', ?1, 1, ?1)",
        [key],
    )?;
    Ok(())
}

async fn count(store: &Sqlite) -> i64 {
    store
        .step(|connection, _| connection.query_row("select count(*) from velocity", [], |row| row.get(0)))
        .await
        .unwrap()
}

/// Shows another time whenever it is asked, so that equal times mean one commit.
#[derive(Debug, Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// Another process that is in the midst of a transaction.
fn hold_the_lock(path: &Path) -> Connection {
    let other = Connection::open(path).unwrap();
    other.execute_batch("begin immediate").unwrap();
    other
}

/// What cannot be WAL is refused, and the error says what the file answered.
#[test]
fn a_file_that_does_not_take_a_setting_is_refused() {
    let memory = Connection::open_in_memory().unwrap();
    match make_safe(&memory, Path::new("store")) {
        Err(OpenError::Unsafe { setting, found, .. }) => {
            assert_eq!((setting, found.as_str()), ("journal_mode=WAL", "memory"));
        }
        other => panic!("{other:?}"),
    }
}

/// The writer's own connection, asked while it runs: with less, a commit is lost at a power cut.
#[tokio::test]
async fn the_writer_flushes_every_commit() {
    let (_folder, path) = fresh();
    let store = Sqlite::open(path).unwrap();
    for (pragma, expected) in [
        ("synchronous", "2"),
        ("fullfsync", "1"),
        ("foreign_keys", "1"),
        ("journal_mode", "wal"),
    ] {
        let sql = format!("select cast({pragma} as text) from pragma_{pragma}");
        let found: String = store
            .step(move |connection, _| connection.query_row(&sql, [], |row| row.get(0)))
            .await
            .unwrap();
        assert_eq!(found, expected, "{pragma}");
    }
}

/// What waits together shares one commit; a step in its midst that fails is undone alone, with everything it wrote.
#[tokio::test]
async fn a_failing_step_is_rolled_back_alone() {
    let (_folder, path) = fresh();
    let store = Sqlite::open_with(&path, Ticking::default()).unwrap();
    let lock = hold_the_lock(&path);
    let first = store.step(|connection, now| put(connection, 1).map(|()| now));
    let before = store.step(|connection, now| put(connection, 2).map(|()| now));
    let fails = store.step(|connection, _| {
        put(connection, 3)?;
        connection.execute("insert into no_such_table values (1)", [])
    });
    let after = store.step(|connection, now| put(connection, 4).map(|()| now));
    lock.execute_batch("rollback").unwrap();

    let error = fails.await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(!error.may_have_happened(), "{error}");
    let (first, before, after) = (first.await.unwrap(), before.await.unwrap(), after.await.unwrap());
    assert!(first < before || first == after);
    assert_eq!(before, after, "what waited together has one commit");
    assert_eq!(count(&store).await, 3, "1, 2 and 4, but not 3");
}

/// When the commit itself fails, nobody is told "done", and everybody is told that it may have happened. The next step works.
#[tokio::test]
async fn a_failing_commit_fails_every_step_of_it() {
    let (_folder, path) = fresh();
    let store = Sqlite::open(&path).unwrap();
    let lock = hold_the_lock(&path);
    let alone = store.step(|connection, _| put(connection, 1));
    let innocent = store.step(|connection, _| put(connection, 2));
    // a deferred constraint is checked by the commit
    let guilty = store.step(|connection, _| {
        connection.execute_batch("pragma defer_foreign_keys = on")?;
        connection.execute(
            "insert into saga_record (saga, seq, body) values (x'00', 0, x'00')",
            [],
        )
    });
    lock.execute_batch("rollback").unwrap();
    let (alone, innocent, guilty) = (alone.await, innocent.await, guilty.await);
    assert!(guilty.unwrap_err().may_have_happened());
    assert!(innocent.unwrap_err().may_have_happened());
    let expected = i64::from(alone.is_ok());
    assert_eq!(
        count(&store).await,
        expected,
        "nothing of the failed commit is there"
    );
    store.step(|connection, _| put(connection, 3)).await.unwrap();
    assert_eq!(count(&store).await, expected + 1);
}

/// Who was answered together shares the next commit, too, and who is alone waits for nobody.
#[test]
fn as_many_as_last_time_are_waited_for() {
    const LONG: Duration = Duration::from_secs(3600);
    let (jobs, queue) = channel();
    assert_eq!(gather(&queue, 0, 1, LONG), [0], "alone");
    jobs.send(1).unwrap();
    assert_eq!(gather(&queue, 0, 1, LONG), [0, 1], "all that is there");
    assert_eq!(gather(&queue, 0, 3, Duration::ZERO), [0], "no longer than that");

    let late = std::thread::spawn(move || {
        for job in 1..3 {
            std::thread::yield_now();
            jobs.send(job).unwrap();
        }
    });
    assert_eq!(gather(&queue, 0, 3, LONG), [0, 1, 2], "who comes late");
    late.join().unwrap();
    assert_eq!(gather(&queue, 0, 3, LONG), [0], "nobody can come any more");
}

/// A transaction of seconds (a lock that was waited for counted as well, once) does not make the next caller wait for seconds for
/// somebody who may not come.
#[test]
fn a_slow_transaction_makes_nobody_wait_long() {
    assert_eq!(patience(Duration::from_millis(4)), Duration::from_millis(1));
    assert_eq!(patience(Duration::from_secs(10)), MOST_PATIENCE);
}

/// Another process holds the lock and does not let go: frozen, say. All who wait for it are told once one wait for it is over, however
/// many they are. (Each transaction's worth of them had a wait of its own: the last of a thousand was told after fifty seconds.)
#[tokio::test]
async fn nobody_waits_for_the_lock_twice() {
    let (_folder, path) = fresh();
    let (enter, entered) = channel();
    let (let_go, gone) = channel::<()>();
    let mut connection = prepare(&path).unwrap();
    connection
        .busy_handler(Some(move |_| {
            enter.send(()).unwrap();
            let _ = gone.recv();
            false
        }))
        .unwrap();
    let store = Sqlite::over(connection, Ticking::default()).unwrap();
    let lock = hold_the_lock(&path);
    let first = store.step(|connection, _| put(connection, 0));
    entered.recv().unwrap();
    let others: Vec<_> = (1..1_000)
        .map(|key| store.step(move |connection, _| put(connection, key)))
        .collect();
    drop(let_go);
    for answer in std::iter::once(first).chain(others) {
        let error = answer.await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(!error.may_have_happened(), "{error}");
    }
    assert_eq!(entered.try_iter().count(), 0, "asked again");
    lock.execute_batch("rollback").unwrap();
    assert_eq!(count(&store).await, 0, "nothing was written");
    store.step(|connection, _| put(connection, 1)).await.unwrap();
}

/// The table changes under the statements that are kept: by another process, an index for example. They are parsed again.
#[tokio::test]
async fn kept_statements_outlive_a_change_of_the_schema() {
    let (_folder, path) = fresh();
    let store = Sqlite::open(&path).unwrap();
    store.append("c", b"1"[..].into()).await.unwrap();
    let other = Connection::open(&path).unwrap();
    for (turn, change) in [
        "create index more on audit (at)",
        "drop index more",
        "alter table audit add column note text",
        "vacuum",
    ]
    .into_iter()
    .enumerate()
    {
        other.execute_batch(change).unwrap();
        let appended: Vec<_> = (0..3).map(|_| store.append("c", b"2"[..].into())).collect();
        for (nth, receipt) in appended.into_iter().enumerate() {
            let expected = u64::try_from(2 + turn * 3 + nth).unwrap();
            assert_eq!(receipt.await.unwrap().seq, expected, "after {change}");
        }
    }
}

/// No statement that is kept holds a transaction open: after every kind of step, also a failed one, the WAL can be checkpointed to its
/// end and be emptied by another process.
#[tokio::test]
async fn kept_statements_hold_nothing_open() {
    let (_folder, path) = fresh();
    let store = Sqlite::open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    let emptied = || {
        let found: (i64, i64, i64) = other
            .query_row("pragma wal_checkpoint(truncate)", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(found, (0, 0, 0));
    };
    store.step(|connection, _| put(connection, 1)).await.unwrap();
    emptied();
    // stops in the midst of its rows
    store.step(|connection, _| put(connection, 2)).await.unwrap();
    let first: i64 = store
        .step(|connection, _| {
            connection
                .prepare_cached("select at from velocity")?
                .query_row([], |row| row.get(0))
        })
        .await
        .unwrap();
    assert_eq!(first, 1);
    emptied();
    let failed = store
        .step(|connection, _| {
            put(connection, 3)?;
            connection
                .prepare_cached("insert into saga (id) values (?1)")?
                .execute(["no blob"])
        })
        .await;
    assert!(failed.is_err());
    emptied();
    // the whole transaction is gone, by SQLite's own doing, and there is no savepoint to go back to
    let failed = store
        .step(|connection, _| connection.execute_batch("insert or rollback into saga (id) values (null)"))
        .await
        .unwrap_err();
    assert!(!failed.may_have_happened());
    emptied();
    assert_eq!(count(&store).await, 2);
}

/// A lease counts from the moment it is written, not from before the wait for another process.
#[tokio::test]
async fn the_time_is_taken_under_the_lock() {
    let (_folder, path) = fresh();
    let clock = tollgate_core::ManualClock::at(Timestamp::from_unix_seconds(100));
    let store = Sqlite::open_with(&path, clock.clone()).unwrap();
    let lock = hold_the_lock(&path);
    let step = store.step(|_, now| Ok(now));
    clock.set(Timestamp::from_unix_seconds(200));
    lock.execute_batch("rollback").unwrap();
    assert_eq!(step.await.unwrap(), Timestamp::from_unix_seconds(200));
}

/// Nobody has to wait for a step, and the last handle waits for all of them: a process that ends right after loses nothing.
#[test]
fn the_last_handle_waits_for_what_was_asked() {
    let (_folder, path) = fresh();
    let store = Sqlite::open(&path).unwrap();
    for key in 0..1000 {
        drop(store.step(move |connection, _| put(connection, key)));
    }
    drop(store);
    let found: i64 = Connection::open(&path)
        .unwrap()
        .query_row("select count(*) from velocity", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, 1000);
}

/// A defect in a step ends the writer. Whoever waits is told, then and later; nobody hangs, and nothing half done is committed.
#[tokio::test]
async fn a_dead_writer_answers_with_an_error() {
    let (_folder, path) = fresh();
    let store = Sqlite::open(&path).unwrap();
    store.step(|connection, _| put(connection, 1)).await.unwrap();
    let dead = store
        .step(|connection, _| {
            put(connection, 2)?;
            if connection.is_autocommit() {
                Ok(())
            } else {
                panic!("a defect")
            }
        })
        .await
        .unwrap_err();
    assert!(dead.may_have_happened());
    let later = store.step(|connection, _| put(connection, 3)).await.unwrap_err();
    assert_eq!(later.kind(), StoreErrorKind::Unavailable);
    drop(store);
    assert_eq!(count(&Sqlite::open(&path).unwrap()).await, 1);
}

/// A full disk is told as such, loses nothing that was acknowledged, and is over when there is room again.
#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let (_folder, path) = fresh();
    let store = Sqlite::open(&path).unwrap();
    let limit = |pages: i64| {
        store.step(move |connection, _| {
            connection.query_row(&format!("pragma max_page_count = {pages}"), [], |row| {
                row.get::<_, i64>(0)
            })
        })
    };
    let pages = limit(1).await.unwrap(); // answers with what is in use, which it cannot go below
    limit(pages + 20).await.unwrap();
    let body: Arc<[u8]> = vec![7; 3_000].into();
    let mut acknowledged = 0;
    let error = loop {
        // several at a time, so that what fails shares a commit with what does not
        let answers: Vec<_> = (0..4).map(|_| store.append("c", Arc::clone(&body))).collect();
        let mut failed = None;
        for answer in answers {
            match answer.await {
                Ok(_) => acknowledged += 1,
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            break error;
        }
        assert!(acknowledged < 1_000, "the limit does not hold");
    };
    assert_eq!(
        (error.kind(), error.may_have_happened()),
        (StoreErrorKind::Full, false),
        "{error:?}"
    );
    assert!(acknowledged > 4);
    assert_eq!(store.head("c").await.unwrap().seq, acknowledged);
    limit(pages + 1_000).await.unwrap();
    assert_eq!(store.append("c", body).await.unwrap().seq, acknowledged + 1);
    let entries = store.read("c", 0, 1_000).await.unwrap();
    chain::verify(
        "c",
        Receipt::START,
        &entries,
        Some(store.head("c").await.unwrap()),
    )
    .unwrap();
}
