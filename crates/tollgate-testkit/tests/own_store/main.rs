//! A store of your own, whole: records in one file, by the standard library alone, and every test that this crate has for it.
//!
//! It is small because it decides nothing: [`store`] loads a record, asks core's rule, and writes the change, under one lock; [`row`] is
//! a record in its stored form. Copy it, and put a table and its transaction where the file and the lock are. What this one lacks for
//! production: its file only grows, and two processes would not see each other.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod row;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use store::FileStore;
use tollgate_core::store::StoreErrorKind;
use tollgate_core::store::idempotency::{Held, IdempotencyStore};
use tollgate_core::{Clock, ManualClock};
use tollgate_testkit::conformance::Subject;
use tollgate_testkit::linear::{Ticking, explain, together};
use tollgate_testkit::operations;
use tollgate_testkit::samples;

/// A file that nobody else has, removed with this.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("own-store-{}-{count}", std::process::id());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn open(&self, clock: impl Clock) -> FileStore {
        FileStore::open(&self.0, clock).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn subject() -> Subject<FileStore> {
    let scratch = Scratch::new();
    Subject::manual(|clock| scratch.open(clock)).keeping(scratch)
}

tollgate_testkit::idempotency_conformance!(conformance, subject());

/// The store, the file that it has open, and the clock that it is opened with.
#[cfg(feature = "histories")]
struct Reopened {
    store: FileStore,
    clock: ManualClock,
    file: Scratch,
}

/// Whatever was acknowledged is there again, and nothing else, whenever the file is opened anew.
#[cfg(feature = "histories")]
impl tollgate_testkit::histories::Trial for Reopened {
    type Store = FileStore;

    fn store(&self) -> &FileStore {
        &self.store
    }

    async fn disturb(&mut self, _how: u8) {
        self.store = self.file.open(self.clock.clone());
    }
}

#[cfg(feature = "histories")]
tollgate_testkit::histories! {
    answers_as_the_rule, tollgate_testkit::histories::Histories::new(), async |clock| {
        let file = Scratch::new();
        Reopened { store: file.open(clock.clone()), clock, file }
    };
    idempotency
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_several_clients_are_told_is_explained() {
    for seed in 0..10 {
        let file = Scratch::new();
        let store = Arc::new(file.open(Ticking::new()));
        let told = together(seed, 40, vec![store; 6]).await;
        assert_eq!(explain(&told), Ok(()), "seed {seed}");
    }
}

/// The answer was lost with the process: who opens the file again and repeats what it asked finds it done.
#[tokio::test]
async fn each_operation_is_found_done_after_a_crash() {
    for operation in operations::idempotency::<Arc<FileStore>>() {
        let (file, clock) = (Scratch::new(), ManualClock::default());
        let store = Arc::new(file.open(clock.clone()));
        operation.prepare(&store).await.unwrap();
        clock.advance(Duration::from_secs(1));
        let answer = operation.ask(&store).await.unwrap();
        drop(store);
        let again = operation.ask(&Arc::new(file.open(clock))).await.unwrap();
        let found = operation.kind.found_done(&answer, &again);
        assert!(found, "{}: {answer}, and then {again}", operation.name);
    }
}

/// A crash in the middle of a line: what was never acknowledged is gone, what was is not. Anything else that cannot be read is an
/// error, and never a free key.
#[tokio::test]
async fn a_torn_line_is_nothing_and_an_unreadable_one_an_error() {
    let (file, clock) = (Scratch::new(), ManualClock::default());
    let store = file.open(clock.clone());
    let token = samples::claim(&store, samples::begin(samples::key(1), 1)).await;
    drop(store);
    let whole = std::fs::read(&file.0).unwrap();
    let torn = [whole.as_slice(), &whole[..whole.len() / 2]].concat();
    std::fs::write(&file.0, torn).unwrap();
    let store = file.open(clock.clone());
    let lease = Duration::from_secs(1);
    assert_eq!(store.arm(token, lease).await.unwrap(), Held::Held);
    drop(store);

    let newer = String::from_utf8(whole)
        .unwrap()
        .replace("\tarmed\t", "\tparked\t");
    std::fs::write(&file.0, newer).unwrap();
    let unreadable = FileStore::open(&file.0, clock).unwrap_err();
    assert_eq!(unreadable.kind(), StoreErrorKind::Unreadable);
}
