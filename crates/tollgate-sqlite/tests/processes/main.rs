//! What holds between processes, and what a killed process leaves behind. Real processes, real kills: the test binary starts itself
//! once more as a child ([`child`]), which talks over its pipes in lines that carry an `@`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checkpoints;
mod child;
mod frozen;
mod parent;

use parent::{Child, fresh, records};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tollgate_core::store::audit::{AuditStore, Receipt, chain};
use tollgate_core::store::idempotency::{Begin, Begun, IdempotencyStore, Phase, RecordKey};
use tollgate_core::store::saga::SagaJournal;
use tollgate_sqlite::Sqlite;
use tollgate_testkit::samples;

/// The file is whole by SQLite's own check.
fn assert_whole(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let found: String = connection
        .query_row("pragma integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "ok");
}

/// Processes that all make the file at once: each must get it, with one schema. (SQLite does not wait for its lock while it switches
/// to WAL, whatever the busy timeout says.)
#[test]
fn processes_that_make_one_file_at_once_all_get_it() {
    for round in 0..6 {
        let (_folder, path) = fresh();
        let mut children: Vec<_> = (0..8).map(|_| Child::start("open", &path, "")).collect();
        children.iter_mut().for_each(Child::go);
        for child in children {
            assert_eq!(child.finish(), ["opened"], "round {round}");
        }
        assert_whole(&path);
        let version: i64 = rusqlite::Connection::open(&path)
            .unwrap()
            .query_row("pragma user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(version, 1);
    }
}

/// Several processes want one key at the same time, again and again. Each key has exactly one effect, and all of them end with its
/// answer.
#[test]
fn several_processes_race_one_key_and_exactly_one_wins() {
    const PROCESSES: usize = 5;
    let (_folder, path) = fresh();
    let mut children: Vec<_> = (0..PROCESSES)
        .map(|number| Child::start("race", &path, &number.to_string()))
        .collect();
    let mut winners = BTreeSet::new();
    for key in 0..40u8 {
        // whoever is told first may have it before the next one is told, on a machine that is busy: each in turn
        let first = usize::from(key) % PROCESSES;
        let (later, sooner) = children.split_at_mut(first);
        for child in sooner.iter_mut().chain(later) {
            child.tell(&key.to_string());
        }
        let (mut effects, mut answers) = (Vec::new(), Vec::new());
        for child in &mut children {
            loop {
                let line = child.next_line().expect("the child ended");
                match line.split(' ').collect::<Vec<_>>()[..] {
                    ["effect", of, who] if of == key.to_string() => effects.push(who.to_owned()),
                    ["answer", of, who] if of == key.to_string() => {
                        answers.push(who.to_owned());
                        break;
                    }
                    _ => panic!("{line}"),
                }
            }
        }
        assert_eq!(effects.len(), 1, "key {key} was carried out by {effects:?}");
        assert_eq!(answers, vec![effects[0].clone(); PROCESSES], "key {key}");
        winners.extend(effects);
    }
    // fairness is not promised, but a race that one process always wins races nothing
    assert!(
        winners.len() > 1,
        "only {winners:?} won: the processes did not race"
    );
    for child in children {
        assert_eq!(child.finish(), [""; 0]);
    }
    assert_whole(&path);
}

/// Processes that write without a pause get their turns. With SQLite's own busy handler one of three hardly wrote at all: it slept
/// for 100 ms at a time, and the others never left the lock for so long.
#[test]
fn a_process_that_writes_without_a_pause_starves_no_other() {
    const ENOUGH: usize = 60;
    let (_folder, path) = fresh();
    let mut children: Vec<_> = (0..3)
        .map(|number| Child::start("write", &path, &number.to_string()))
        .collect();
    children.iter_mut().for_each(Child::go);
    let counts: Vec<_> = children.iter().map(|_| AtomicUsize::new(0)).collect();
    let slowest_is_through = || counts.iter().all(|count| count.load(SeqCst) >= ENOUGH);
    std::thread::scope(|scope| {
        for (child, count) in children.iter_mut().zip(&counts) {
            scope.spawn(|| {
                while !slowest_is_through() && child.next_line().is_some() {
                    count.fetch_add(1, SeqCst);
                }
            });
        }
    });
    for child in children {
        child.kill_after(0);
    }
    let counts: Vec<_> = counts.iter().map(|count| count.load(SeqCst)).collect();
    assert!(
        counts.iter().all(|count| *count < ENOUGH * 30),
        "acknowledged writes: {counts:?}"
    );
}

/// A process is killed in the midst of its writes, over and over, on one file. Whatever was acknowledged is there: every audit entry,
/// every armed and every completed record, every saga record. The file opens again, and nothing that was armed can run again.
#[tokio::test]
async fn a_killed_process_loses_no_acknowledged_write() {
    let (_folder, path) = fresh();
    let (mut entries, mut armed, mut completed, mut sagas) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..12u8 {
        // every other time this process has the file open too, and goes on without opening it again; the other times the file is
        // recovered from its WAL by whoever opens it next
        let survivor = (round % 2 == 0).then(|| Sqlite::open(&path).unwrap());
        let mut child = Child::start("write", &path, &round.to_string());
        child.go();
        // an uneven number of acknowledgements, so that the kill falls everywhere in the cycle
        let lines = child.kill_after(40 + 13 * usize::from(round));
        assert!(lines.len() >= 40, "round {round}: the child wrote");
        for line in lines {
            let (what, id) = line.split_once(' ').unwrap();
            match what {
                "audit" => entries.push(id.to_owned()),
                "armed" => armed.push(id.to_owned()),
                "completed" => completed.push(id.to_owned()),
                "saga" => sagas.push(id.to_owned()),
                other => panic!("{other}"),
            }
        }
        let store = survivor.unwrap_or_else(|| Sqlite::open(&path).unwrap());
        check_entries(&store, &entries).await;
        for id in &armed {
            let record = store
                .get(records::key(id))
                .await
                .unwrap()
                .expect("an armed record is gone");
            let expected = if completed.contains(id) {
                Phase::Completed
            } else {
                record.phase
            };
            assert_eq!(record.phase, expected, "{id}");
            assert!(
                matches!(record.phase, Phase::Armed | Phase::Completed | Phase::Unknown),
                "{id}: {record:?}"
            );
            assert_cannot_run_again(&store, id).await;
        }
        assert_whole(&path);
        for id in &sagas {
            let (saga, record) = id.split_once('/').unwrap();
            let journal = store
                .load(records::saga(saga))
                .await
                .unwrap()
                .expect("a saga is gone");
            assert!(
                journal.records.iter().any(|found| **found == *record.as_bytes()),
                "{id}"
            );
        }
    }
    for (what, count) in [
        ("audit", entries.len()),
        ("armed", armed.len()),
        ("completed", completed.len()),
        ("saga", sagas.len()),
    ] {
        assert!(
            count > 50,
            "{what}: {count} acknowledged writes are too few to prove anything"
        );
    }
}

async fn check_entries(store: &Sqlite, acknowledged: &[String]) {
    let found = store.read("payments", 0, u32::MAX).await.unwrap();
    let head = store.head("payments").await.unwrap();
    assert_eq!(
        chain::verify("payments", Receipt::START, &found, Some(head)),
        Ok(head)
    );
    for id in acknowledged {
        // "seq/body"
        let (seq, body) = id.split_once('/').unwrap();
        let entry = &found[seq.parse::<usize>().unwrap() - 1];
        assert_eq!(&*entry.body, body.as_bytes(), "entry {seq}");
    }
}

fn begin(key: RecordKey) -> Begin {
    Begin {
        lease: records::LEASE,
        retention: records::RETENTION,
        ..samples::begin(key, u128::MAX)
    }
}

async fn assert_cannot_run_again(store: &Sqlite, id: &str) {
    let begun = store.begin(begin(records::key(id))).await.unwrap();
    assert!(
        !matches!(begun, Begun::Acquired(_)),
        "{id} was armed and runs again: {begun:?}"
    );
}

/// The disk is full. Nothing that was acknowledged is lost, what was not written says so, what is there can be read, and when there is
/// room again the file goes on as if nothing had been.
#[tokio::test]
async fn a_full_disk_loses_nothing_and_says_so() {
    let (_folder, path) = fresh();
    drop(Sqlite::open(&path).unwrap());
    let mut child = Child::start_on_a_small_disk(3000, "fill", &path, "k");
    child.go();
    let said = child.finish();
    assert_whole(&path);
    let store = Sqlite::open(&path).unwrap();
    let mut counts = BTreeMap::new();
    for line in &said {
        let [what, id, kind, may_have_happened] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        *counts.entry(what).or_insert(0) += 1;
        let phase = store
            .get(records::key(id))
            .await
            .unwrap()
            .map(|record| record.phase);
        match what {
            // said before its settlement was tried
            "armed" => assert!(matches!(phase, Some(Phase::Armed | Phase::Completed)), "{line}"),
            "completed" | "read" => assert_eq!(phase, Some(Phase::Completed), "{line}"),
            "unclaimed" if may_have_happened == "false" => assert_eq!(phase, None, "{line}"),
            "unsettled" if may_have_happened == "false" => assert_eq!(phase, Some(Phase::Armed), "{line}"),
            "unclaimed" | "unsettled" => {}
            other => panic!("{other}"),
        }
        if kind != "-" {
            assert!(matches!(kind, "Full" | "Unavailable"), "{line}");
        }
    }
    assert!(counts["completed"] > 20 && counts["read"] == 1, "{counts:?}");
    assert!(counts["unclaimed"] > 10, "{counts:?}");
    // there is room again
    let fresh_key = begin(records::key("after"));
    assert!(matches!(
        store.begin(fresh_key).await.unwrap(),
        Begun::Acquired(_)
    ));
}

/// A process that is killed while it makes the file, at any moment, leaves one that opens.
#[test]
fn a_kill_while_the_file_is_made_leaves_one_that_opens() {
    for round in 0..30u32 {
        let (_folder, path) = fresh();
        let mut child = Child::start("open", &path, "");
        child.go();
        child.kill_after_spinning(round * 40_000);
        let store = Sqlite::open(&path).unwrap_or_else(|error| panic!("round {round}: {error}"));
        drop(store);
        assert_whole(&path);
    }
}

/// Not a test of its own: what the children of the others run.
#[test]
#[ignore = "the child's side of the other tests"]
fn child_process() {
    child::run();
}
