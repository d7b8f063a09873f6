//! Random histories: whatever is asked of it, in whatever order, at whatever times, and across reopening, the file answers as the
//! in-memory store does, and holds the same records.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use tollgate_core::ManualClock;
use tollgate_sqlite::Sqlite;
use tollgate_testkit::histories::{Histories, Trial};

/// A file that is closed and opened again in between.
struct File {
    open: Option<Sqlite>,
    path: PathBuf,
    clock: ManualClock,
    _folder: tempfile::TempDir,
}

impl Trial for File {
    type Store = Sqlite;

    fn store(&self) -> &Sqlite {
        self.open.as_ref().unwrap()
    }

    async fn disturb(&mut self, _how: u8) {
        drop(self.open.take());
        self.open = Some(Sqlite::open_with(&self.path, self.clock.clone()).unwrap());
    }
}

async fn empty(clock: ManualClock) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    File {
        open: Some(Sqlite::open_with(&path, clock.clone()).unwrap()),
        path,
        clock,
        _folder: folder,
    }
}

tollgate_testkit::histories! {
    answers_as_the_rule, Histories::new(), empty;
    idempotency, dedup, quota, velocity, audit, carry_over, saga
}
