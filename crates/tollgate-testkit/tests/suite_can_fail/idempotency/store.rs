//! A store of its own for every flaw: the rule, asked about something else than what is there, or not listened to.

use super::Flaw;
use crate::{Next, Shelf};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::rule::{self, Change};
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Envelope, Fingerprint, Held, IdempotencyStore, Owner, Phase, Record,
    RecordKey, Resolution, Resolve, Resolved, Settled, Settlement, Token, Unresolved,
};
use tollgate_core::store::{Boxed, Capabilities};

#[derive(Debug)]
pub(crate) struct Flawed {
    pub(crate) flaw: Flaw,
    pub(crate) shelf: Shelf<RecordKey, Record>,
}

impl Flawed {
    fn step<T: Send + 'static>(
        &self,
        key: RecordKey,
        decide: impl FnOnce(Flaw, Option<&Record>, Timestamp) -> (Change, T) + Send + 'static,
    ) -> Boxed<T> {
        let flaw = self.flaw;
        let key = match flaw {
            Flaw::OneKey => RecordKey::new([0; 32]),
            Flaw::CutsKeysShort => RecordKey::new(half(*key.as_bytes())),
            _ => key,
        };
        self.shelf.step(key, move |record, now| {
            let (change, answer) = decide(flaw, record, now);
            let next = match change {
                Change::Keep => Next::Keep,
                Change::Put(record) => Next::Put(written(flaw, record)),
                Change::Remove => Next::Remove,
            };
            (next, answer)
        })
    }

    fn each(&self, limit: u32, decide: impl Fn(&Record, Timestamp) -> Change) -> Boxed<u64> {
        self.shelf.all(|rows, now| {
            let changes: Vec<_> = rows
                .iter()
                .map(|(key, record)| (*key, decide(record, now)))
                .filter(|(_, change)| *change != Change::Keep)
                .take(usize::try_from(limit).unwrap())
                .collect();
            let changed = u64::try_from(changes.len()).unwrap();
            for (key, change) in changes {
                match change {
                    Change::Put(record) => rows.insert(key, record),
                    _ => rows.remove(&key),
                };
            }
            changed
        })
    }
}

/// What a column holds that is too short.
fn half(mut name: [u8; 32]) -> [u8; 32] {
    name[16..].fill(0);
    name
}

/// What is left of a record in columns of the wrong kind.
fn written(flaw: Flaw, record: Record) -> Record {
    let whole = |at: Timestamp| Timestamp::from_unix_micros(at.unix_micros() / 1_000 * 1_000);
    match flaw {
        Flaw::CountsInMilliseconds => Record {
            lease_until: whole(record.lease_until),
            changed_at: whole(record.changed_at),
            expires_at: record.expires_at.map(whole),
            ..record
        },
        Flaw::KeepsAnswersForWholeSeconds => Record {
            retention: Duration::from_secs(record.retention.as_secs()),
            ..record
        },
        Flaw::TrimsAnswers => {
            let mut record = record;
            let envelope = record.completion.as_mut().and_then(|c| c.envelope.as_mut());
            if let Some(envelope) = envelope {
                envelope.body = envelope.body.trim_ascii().into();
            }
            record
        }
        _ => record,
    }
}

/// The record as if something else were true of it.
fn seen(
    record: Option<&Record>,
    when: impl Fn(&Record) -> bool,
    change: impl Fn(&mut Record),
) -> Option<Record> {
    let mut record = record.cloned()?;
    if when(&record) {
        change(&mut record);
    }
    Some(record)
}

const fn lapse(record: &mut Record) {
    record.lease_until = Timestamp::EPOCH;
}

fn begin(
    flaw: Flaw,
    record: Option<&Record>,
    asked: &Begin,
    open: impl FnOnce() -> u32,
    now: Timestamp,
) -> (Change, Begun) {
    let mut asked = *asked;
    let lapsed = |r: &Record| r.lease_until < now;
    let seen = match flaw {
        Flaw::StealsLive => seen(
            record,
            |r| r.phase == Phase::Prepared && r.owner != asked.owner,
            lapse,
        ),
        Flaw::StealsArmed => seen(
            record,
            |r| r.phase == Phase::Armed && lapsed(r),
            |r| r.phase = Phase::Prepared,
        ),
        Flaw::StealsArmedForItsOwner => seen(
            record,
            |r| r.phase == Phase::Armed && lapsed(r) && r.owner == asked.owner,
            |r| r.phase = Phase::Prepared,
        ),
        Flaw::ForgetsArmedWithTheAnswers
            if record.is_some_and(|r| {
                r.phase == Phase::Armed && r.changed_at.saturating_add(r.retention) < now
            }) =>
        {
            None
        }
        Flaw::ReleaseForgetsTheRequest => seen(
            record,
            |r| r.phase == Phase::Released,
            |r| r.fingerprint = asked.fingerprint,
        ),
        Flaw::TombstoneForgetsTheRequest => seen(
            record,
            |r| r.phase == Phase::Expired,
            |r| r.fingerprint = asked.fingerprint,
        ),
        Flaw::CutsRequestsShort => {
            asked.fingerprint = Fingerprint::new(half(*asked.fingerprint.as_bytes()));
            record.cloned()
        }
        Flaw::CutsOwnersShort => {
            asked.owner.0 &= u128::from(u64::MAX);
            record.cloned()
        }
        Flaw::ForgetsItsOwner => seen(record, |_| true, |r| r.owner.0 ^= 1),
        Flaw::IgnoresArmInBegin => {
            asked.arm = false;
            record.cloned()
        }
        Flaw::ComparesTheRequestLate if record.is_some_and(|r| r.phase == Phase::Armed) => {
            asked.fingerprint = record.unwrap().fingerprint;
            record.cloned()
        }
        Flaw::ForgetsToArmAgain if record.is_some() => {
            asked.arm = false;
            record.cloned()
        }
        _ => record.cloned(),
    };
    if flaw == Flaw::CapsRepeats {
        return match open() {
            enough if enough >= asked.most_open => (Change::Keep, Begun::TooManyOpen),
            _ => rule::begin(record, &asked, now),
        };
    }
    if flaw == Flaw::IgnoresTheCap || (flaw == Flaw::CapsNewKeysOnly && record.is_some()) {
        asked.most_open = u32::MAX;
    }
    match (flaw, rule::begin_within(seen.as_ref(), &asked, open, now)) {
        (Flaw::StartsAtEpochZero, (Change::Put(next), Begun::Acquired(token))) if token.epoch == 1 => (
            Change::Put(Record { epoch: 0, ..next }),
            Begun::Acquired(Token { epoch: 0, ..token }),
        ),
        (Flaw::KeepsTheFirstAccount, (Change::Put(next), begun)) => {
            let tenant = record.map_or(next.tenant, |first| first.tenant);
            (Change::Put(Record { tenant, ..next }), begun)
        }
        (Flaw::WaiterDeletes, (_, begun @ Begun::InFlight { .. })) => (Change::Remove, begun),
        (_, answer) => answer,
    }
}

fn arm(
    flaw: Flaw,
    record: Option<&Record>,
    token: &Token,
    lease: Duration,
    now: Timestamp,
) -> (Change, Held) {
    match flaw {
        Flaw::ArmsLate => {
            let alive = seen(record, |r| r.phase == Phase::Prepared, |r| r.lease_until = now);
            rule::arm(alive.as_ref(), token, lease, now)
        }
        Flaw::ArmsOnce if record.is_some_and(|r| r.phase == Phase::Armed) => (Change::Keep, Held::Fenced),
        Flaw::ArmsOnTheOldLease => match (record, rule::arm(record, token, lease, now)) {
            (Some(before), (Change::Put(next), held)) => {
                let lease_until = before.lease_until;
                (Change::Put(Record { lease_until, ..next }), held)
            }
            (_, answer) => answer,
        },
        _ => rule::arm(record, &holder(flaw, record, token), lease, now),
    }
}

fn renew(
    flaw: Flaw,
    record: Option<&Record>,
    token: &Token,
    lease: Duration,
    now: Timestamp,
) -> (Change, Held) {
    match (
        flaw,
        rule::renew(record, &holder(flaw, record, token), lease, now),
    ) {
        (Flaw::RenewsNothing, (_, held)) => (Change::Keep, held),
        (Flaw::RenewsForLongerOnly, (Change::Put(next), held))
            if record.is_some_and(|before| before.lease_until > next.lease_until) =>
        {
            (Change::Keep, held)
        }
        (Flaw::FencesLateRenewals, _) if record.is_some_and(|r| r.lease_until < now) => {
            (Change::Keep, Held::Fenced)
        }
        (_, answer) => answer,
    }
}

/// Who the store takes the caller for.
fn holder(flaw: Flaw, record: Option<&Record>, token: &Token) -> Token {
    match (flaw, record) {
        (Flaw::CutsOwnersShort, _) => Token {
            owner: Owner(token.owner.0 & u128::from(u64::MAX)),
            ..*token
        },
        (Flaw::ForgetsTheFence, Some(record)) => Token {
            epoch: record.epoch,
            owner: record.owner,
            ..*token
        },
        _ => *token,
    }
}

fn settle(
    flaw: Flaw,
    record: Option<&Record>,
    token: &Token,
    how: &Settlement,
    now: Timestamp,
) -> (Change, Settled) {
    let token = holder(flaw, record, token);
    let unknown = |r: &Record| r.phase == Phase::Unknown;
    let seen = match flaw {
        Flaw::OverwritesAnswers => seen(
            record,
            |r| r.phase == Phase::Completed,
            |r| r.phase = Phase::Armed,
        ),
        Flaw::DoubtsItsOwnRelease if matches!(how, Settlement::Unknown(_)) => {
            seen(record, |r| r.phase == Phase::Released, |r| r.phase = Phase::Armed)
        }
        Flaw::LastErrorWins => seen(record, unknown, |r| r.doubt = Some(Doubt::OwnerLost)),
        _ => record.cloned(),
    };
    match (flaw, rule::settle(seen.as_ref(), &token, how, now)) {
        (Flaw::MakesRecordsUp, (_, Settled::Gone)) => (Change::Keep, Settled::Applied),
        (Flaw::SettlesOnce, (change, Settled::AlreadyApplied)) => (change, Settled::Fenced(Phase::Completed)),
        (Flaw::BelievesInAbsenceForEver, _) if record.is_some_and(|r| r.phase == Phase::Released) => {
            (Change::Keep, Settled::Fenced(Phase::Released))
        }
        (Flaw::DoubtIsFinal, _) if record.is_some_and(unknown) => {
            (Change::Keep, Settled::Fenced(Phase::Unknown))
        }
        (Flaw::ClearsOnTimeout, (Change::Put(next), settled)) if next.phase == Phase::Unknown => (
            Change::Put(Record {
                phase: Phase::Released,
                doubt: None,
                ..next
            }),
            settled,
        ),
        (Flaw::ForgetsTheHead, (Change::Put(mut next), settled)) => {
            let envelope = next
                .completion
                .as_mut()
                .and_then(|c: &mut Completion| c.envelope.as_mut());
            if let Some(envelope) = envelope {
                *envelope = Envelope {
                    head: None,
                    ..envelope.clone()
                };
            }
            (Change::Put(next), settled)
        }
        (_, answer) => answer,
    }
}

fn resolve(flaw: Flaw, record: Option<&Record>, asked: &Resolve, now: Timestamp) -> (Change, Resolved) {
    let mut asked = asked.clone();
    let seen = match flaw {
        Flaw::BelievesInAbsenceEarly => seen(record, |r| r.phase == Phase::Unknown, lapse),
        Flaw::BelievesInAnOldLook => {
            asked.as_of = now;
            record.cloned()
        }
        Flaw::EvidenceBeatsAnything => seen(
            record,
            |_| asked.resolution != Resolution::Released,
            |r| {
                r.phase = Phase::Unknown;
            },
        ),
        Flaw::TakesStaleEvidence => {
            asked.epoch = record.map_or(0, |r| r.epoch);
            record.cloned()
        }
        _ => record.cloned(),
    };
    match (flaw, rule::resolve(seen.as_ref(), &asked, now)) {
        (Flaw::ForgetsEvidence, (Change::Put(next), resolved)) => (
            Change::Put(Record {
                evidence: None,
                ..next
            }),
            resolved,
        ),
        (_, answer) => answer,
    }
}

impl IdempotencyStore for Flawed {
    type Future<T: Send + 'static> = Boxed<T>;

    fn capabilities(&self) -> Capabilities {
        Capabilities::IN_MEMORY
    }

    fn begin(&self, asked: Begin) -> Boxed<Begun> {
        let rows = Arc::clone(&self.shelf.rows);
        self.step(asked.key, move |flaw, record, now| {
            let counts = |record: &Record| {
                (record.phase == Phase::Unknown
                    || (flaw == Flaw::CountsClaims && record.phase == Phase::Armed))
                    && (record.tenant == asked.tenant || flaw == Flaw::CountsEverybody)
                    && (record.doubt != Some(Doubt::OwnerLost) || flaw != Flaw::ForgetsTheAccount)
            };
            let open = || {
                let open = rows
                    .lock()
                    .unwrap()
                    .values()
                    .filter(|record| counts(record))
                    .count();
                u32::try_from(open).unwrap()
            };
            begin(flaw, record, &asked, open, now)
        })
    }

    fn arm(&self, token: Token, lease: Duration) -> Boxed<Held> {
        self.step(token.key, move |flaw, record, now| {
            arm(flaw, record, &token, lease, now)
        })
    }

    fn renew(&self, token: Token, lease: Duration) -> Boxed<Held> {
        self.step(token.key, move |flaw, record, now| {
            renew(flaw, record, &token, lease, now)
        })
    }

    fn settle(&self, token: Token, how: &Settlement) -> Boxed<Settled> {
        let how = how.clone();
        self.step(token.key, move |flaw, record, now| {
            settle(flaw, record, &token, &how, now)
        })
    }

    fn now(&self) -> Boxed<Timestamp> {
        self.shelf.all(|_, now| now)
    }

    fn resolve(&self, asked: Resolve) -> Boxed<Resolved> {
        self.step(asked.key, move |flaw, record, now| {
            resolve(flaw, record, &asked, now)
        })
    }

    fn get(&self, key: RecordKey) -> Boxed<Option<Record>> {
        self.step(key, |_, record, _| (Change::Keep, record.cloned()))
    }

    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Boxed<Vec<Unresolved>> {
        let flaw = self.flaw;
        self.shelf.all(|rows, now| {
            let mut found: Vec<_> = rows
                .iter()
                .filter(|(key, record)| {
                    after.is_none_or(|after| **key > after) && rule::is_unresolved(record, now)
                })
                .map(|(key, record)| Unresolved::of(*key, record))
                .collect();
            found.sort_by_key(|open| open.key);
            match flaw {
                Flaw::ListsInNoOrder => found.reverse(),
                Flaw::ListsByAge => found.sort_by_key(|open| open.since),
                _ => {}
            }
            found.truncate(usize::try_from(limit).unwrap());
            found
        })
    }

    fn sweep(&self, limit: u32) -> Boxed<u64> {
        let flaw = self.flaw;
        let limit = if flaw == Flaw::SweepsWithoutLimit {
            u32::MAX
        } else {
            limit
        };
        self.each(limit, |record, now| match flaw {
            Flaw::SweepsTheLiving => rule::sweep(record, Timestamp::MAX),
            _ => rule::sweep(record, now),
        })
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Boxed<u64> {
        let flaw = self.flaw;
        self.each(limit, |record, now| match flaw {
            Flaw::ExpiresArmed
                if matches!(record.phase, Phase::Armed | Phase::Unknown) && record.lease_until < now =>
            {
                Change::Remove
            }
            Flaw::CollectsReleased if record.phase == Phase::Released => Change::Remove,
            Flaw::CollectsLapsed if record.phase == Phase::Prepared && record.lease_until < now => {
                Change::Remove
            }
            Flaw::CollectsClaims if record.phase == Phase::Prepared => Change::Remove,
            Flaw::ForgetsAnswersEarly if record.phase == Phase::Completed => Change::Remove,
            Flaw::LeavesNoTombstone => match rule::collect(record, tombstone, now) {
                Change::Put(_) => Change::Remove,
                other => other,
            },
            _ => rule::collect(record, tombstone, now),
        })
    }
}
