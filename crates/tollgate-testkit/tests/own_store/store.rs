//! The store: a file that is only ever appended to, and what it says, in memory.

use crate::row;
use std::collections::BTreeMap;
use std::fs::File;
use std::future::{Ready, ready};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tollgate_core::store::idempotency::rule::{self, Change};
use tollgate_core::store::idempotency::{
    Begin, Begun, Held, IdempotencyStore, Phase, Record, RecordKey, Resolve, Resolved, Settled, Settlement,
    Token, Unresolved,
};
use tollgate_core::store::{Capabilities, StoreError, StoreErrorKind};
use tollgate_core::{Clock, Timestamp};

type Rows = BTreeMap<RecordKey, Record>;

/// Records of one process in one file. Every change is a line, on the disk before it is acknowledged.
#[derive(Debug)]
pub(crate) struct FileStore {
    journal: Mutex<Journal>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Journal {
    file: File,
    rows: Rows,
    /// A write failed: what stands in the file now is known only to who reads it anew.
    broken: bool,
}

impl FileStore {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path, clock: impl Clock) -> Result<Self, StoreError> {
        Ok(Self {
            journal: Mutex::new(Journal::open(path)?),
            clock: Arc::new(clock),
        })
    }

    /// One atomic step: under the lock, look at the record, ask the rule, write what it says. The rule is also given all the rows, for
    /// what it has to count.
    fn step<T>(
        &self,
        key: RecordKey,
        decide: impl FnOnce(Option<&Record>, &Rows, Timestamp) -> (Change, T),
    ) -> Ready<Result<T, StoreError>> {
        ready(self.locked(|journal, now| {
            let (change, answer) = decide(journal.rows.get(&key), &journal.rows, now);
            journal.write(vec![(key, change)])?;
            Ok(answer)
        }))
    }

    /// The step of upkeep: the rule is asked about each record, until it wanted to change as many as the limit says.
    fn each(
        &self,
        limit: u32,
        decide: impl Fn(&Record, Timestamp) -> Change,
    ) -> Ready<Result<u64, StoreError>> {
        ready(self.locked(|journal, now| {
            let changes: Vec<_> = journal
                .rows
                .iter()
                .map(|(key, record)| (*key, decide(record, now)))
                .filter(|(_, change)| *change != Change::Keep)
                .take(usize::try_from(limit).unwrap_or(usize::MAX))
                .collect();
            let changed = u64::try_from(changes.len()).unwrap_or(u64::MAX);
            journal.write(changes)?;
            Ok(changed)
        }))
    }

    fn locked<T>(
        &self,
        ask: impl FnOnce(&mut Journal, Timestamp) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.broken {
            return Err(StoreError::unavailable("a write failed: open the file again"));
        }
        // the time is asked for under the lock: two steps see it in the order in which they happen
        let now = self.clock.now();
        ask(&mut journal, now)
    }
}

impl Journal {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let (file, text) = read_whole(path).map_err(|error| {
            StoreError::unavailable("the file of records cannot be opened").with_source(error)
        })?;
        let mut rows = Rows::new();
        for line in text.lines() {
            match row::read(line) {
                Some((key, Some(record))) => rows.insert(key, record),
                Some((key, None)) => rows.remove(&key),
                None => {
                    let unreadable = "a line of the file of records cannot be read";
                    return Err(StoreError::new(StoreErrorKind::Unreadable, unreadable));
                }
            };
        }
        Ok(Self {
            file,
            rows,
            broken: false,
        })
    }

    /// First to the disk, then into memory, where others see it. A failure in between leaves it in doubt.
    fn write(&mut self, changes: Vec<(RecordKey, Change)>) -> Result<(), StoreError> {
        let mut lines = String::new();
        for (key, change) in &changes {
            let record = match change {
                Change::Keep => continue,
                Change::Put(record) => Some(record),
                Change::Remove => None,
            };
            lines += &row::write(*key, record);
            lines.push('\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(lines.as_bytes());
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            self.broken = true;
            let failed = StoreError::unavailable("the file of records cannot be written");
            return Err(failed.possibly_applied().with_source(error));
        }
        for (key, change) in changes {
            match change {
                Change::Keep => None,
                Change::Put(record) => self.rows.insert(key, record),
                Change::Remove => self.rows.remove(&key),
            };
        }
        Ok(())
    }
}

/// The file, ready to be appended to, and its whole lines. What follows the last of them was cut off by a crash and never
/// acknowledged: it goes.
fn read_whole(path: &Path) -> io::Result<(File, String)> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |last| last + 1);
    bytes.truncate(whole);
    let end = u64::try_from(whole).map_err(io::Error::other)?;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok((file, String::from_utf8(bytes).map_err(io::Error::other)?))
}

impl IdempotencyStore for FileStore {
    type Future<T: Send + 'static> = Ready<Result<T, StoreError>>;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            // within this one process: nothing stops a second one from opening the file, so it must not guard money as it stands
            linearizable: false,
            transactional: false,
            survives_failover: false,
        }
    }

    fn now(&self) -> Ready<Result<Timestamp, StoreError>> {
        ready(Ok(self.clock.now()))
    }

    fn begin(&self, begin: Begin) -> Ready<Result<Begun, StoreError>> {
        self.step(begin.key, |record, rows, now| {
            // under the same lock as the claim
            let open = || {
                let open = rows
                    .values()
                    .filter(|record| record.phase == Phase::Unknown && record.tenant == begin.tenant)
                    .count();
                u32::try_from(open).unwrap_or(u32::MAX)
            };
            rule::begin_within(record, &begin, open, now)
        })
    }

    fn arm(&self, token: Token, lease: Duration) -> Ready<Result<Held, StoreError>> {
        self.step(token.key, |record, _, now| rule::arm(record, &token, lease, now))
    }

    fn renew(&self, token: Token, lease: Duration) -> Ready<Result<Held, StoreError>> {
        self.step(token.key, |record, _, now| {
            rule::renew(record, &token, lease, now)
        })
    }

    fn settle(&self, token: Token, settlement: &Settlement) -> Ready<Result<Settled, StoreError>> {
        self.step(token.key, |record, _, now| {
            rule::settle(record, &token, settlement, now)
        })
    }

    fn resolve(&self, resolve: Resolve) -> Ready<Result<Resolved, StoreError>> {
        self.step(resolve.key, |record, _, now| rule::resolve(record, &resolve, now))
    }

    fn get(&self, key: RecordKey) -> Ready<Result<Option<Record>, StoreError>> {
        self.step(key, |record, _, _| (Change::Keep, record.cloned()))
    }

    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Ready<Result<Vec<Unresolved>, StoreError>> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        ready(self.locked(|journal, now| {
            Ok(journal
                .rows
                .range((after, Bound::Unbounded))
                .filter(|(_, record)| rule::is_unresolved(record, now))
                .map(|(key, record)| Unresolved::of(*key, record))
                .take(usize::try_from(limit).unwrap_or(usize::MAX))
                .collect())
        }))
    }

    fn sweep(&self, limit: u32) -> Ready<Result<u64, StoreError>> {
        self.each(limit, rule::sweep)
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Ready<Result<u64, StoreError>> {
        self.each(limit, |record, now| rule::collect(record, tombstone, now))
    }
}
