//! Rules that are broken on purpose, as stores in the field are, and the invariant that each of them breaks.

use super::history::Rules;
use super::*;

macro_rules! mutants {
    ($($(#[$doc:meta])+ $name:ident breaks $invariant:literal { $($body:tt)+ })+) => {
        $(
            $(#[$doc])+
            #[derive(Debug)]
            struct $name;

            impl Rules for $name { $($body)+ }
        )+

        pub(super) const MUTANTS: &[(&dyn Rules, &str)] = &[$((&$name, $invariant),)+];
    };
}

fn lapsed(record: &Record, now: Timestamp) -> bool {
    record.lease_until < now
}

mutants! {
    /// An armed key lapses like a prepared one: every lock with a time to live.
    StealsArmed breaks "only a free key is acquired" {
        fn begin(&self, record: Option<&Record>, begin: &Begin, now: Timestamp) -> (Change, Begun) {
            let prepared = record.filter(|r| r.phase == Phase::Armed && lapsed(r, now)).map(|r| Record {
                phase: Phase::Prepared,
                ..r.clone()
            });
            rule::begin(prepared.as_ref().or(record), begin, now)
        }
    }
    /// Nobody checks the token: a late finisher writes over its successor.
    ForgetsTheFence breaks "a stale token changes nothing" {
        fn settle(&self, record: Option<&Record>, token: &Token, how: &Settlement, now: Timestamp) -> (Change, Settled) {
            let holder = record.map_or(*token, |r| Token { epoch: r.epoch, owner: r.owner, ..*token });
            rule::settle(record, &holder, how, now)
        }
    }
    /// The epoch alone is the fence.
    IgnoresTheOwner breaks "a stale token changes nothing" {
        fn settle(&self, record: Option<&Record>, token: &Token, how: &Settlement, now: Timestamp) -> (Change, Settled) {
            let holder = record.map_or(*token, |r| Token { owner: r.owner, ..*token });
            rule::settle(record, &holder, how, now)
        }
    }
    /// A take-over keeps the epoch.
    ReusesTheEpoch breaks "an owner is replaced only at the next epoch" {
        fn begin(&self, record: Option<&Record>, begin: &Begin, now: Timestamp) -> (Change, Begun) {
            let (change, begun) = rule::begin(record, begin, now);
            match (record, change, begun) {
                (Some(found), Change::Put(next), Begun::Acquired(token)) if next.epoch > found.epoch => (
                    Change::Put(Record { epoch: found.epoch, ..next }),
                    Begun::Acquired(Token { epoch: found.epoch, ..token }),
                ),
                (_, change, begun) => (change, begun),
            }
        }
    }
    /// A time-out clears the key (seed D1).
    ClearsOnTimeout breaks "between two arms lies a proof that nothing happened" {
        fn settle(&self, record: Option<&Record>, token: &Token, how: &Settlement, now: Timestamp) -> (Change, Settled) {
            match (how, rule::settle(record, token, how, now)) {
                (Settlement::Unknown(_), (Change::Put(next), settled)) => (
                    Change::Put(Record { phase: Phase::Released, doubt: None, expires_at: Some(now), ..next }),
                    settled,
                ),
                (_, answer) => answer,
            }
        }
    }
    /// What the last attempt says wins over the doubt of an earlier one.
    LastErrorWins breaks "the last word does not beat the doubt" {
        fn settle(&self, record: Option<&Record>, token: &Token, how: &Settlement, now: Timestamp) -> (Change, Settled) {
            let lost = record.filter(|r| r.phase == Phase::Unknown).map(|r| Record {
                doubt: Some(Doubt::OwnerLost),
                ..r.clone()
            });
            rule::settle(lost.as_ref().or(record), token, how, now)
        }
    }
    /// A completed record takes another answer.
    OverwritesAnAnswer breaks "Completed never changes" {
        fn settle(&self, record: Option<&Record>, token: &Token, how: &Settlement, now: Timestamp) -> (Change, Settled) {
            let armed = record.filter(|r| r.phase == Phase::Completed).map(|r| Record { phase: Phase::Armed, ..r.clone() });
            rule::settle(armed.as_ref().or(record), token, how, now)
        }
    }
    /// The request is compared only once there is an answer: another amount is told to try again later.
    ComparesTheRequestLate breaks "the fingerprint is compared first" {
        fn begin(&self, record: Option<&Record>, begin: &Begin, now: Timestamp) -> (Change, Begun) {
            match record {
                Some(found) if found.phase == Phase::Armed => {
                    rule::begin(record, &Begin { fingerprint: found.fingerprint, ..*begin }, now)
                }
                _ => rule::begin(record, begin, now),
            }
        }
    }
    /// A release opens the key to any request.
    ReleaseForgetsTheRequest breaks "the fingerprint is compared first" {
        fn begin(&self, record: Option<&Record>, begin: &Begin, now: Timestamp) -> (Change, Begun) {
            let other = record.filter(|r| r.phase == Phase::Released).map(|r| Record { fingerprint: begin.fingerprint, ..r.clone() });
            rule::begin(other.as_ref().or(record), begin, now)
        }
    }
    /// A waiter that gives up removes what it waited for.
    WaiterDeletes breaks "whoever waits changes nothing" {
        fn begin(&self, record: Option<&Record>, begin: &Begin, now: Timestamp) -> (Change, Begun) {
            match rule::begin(record, begin, now) {
                (_, begun @ Begun::InFlight { .. }) => (Change::Remove, begun),
                answer => answer,
            }
        }
    }
    /// A crowd keeps owners from the claims that they hold.
    CapsRepeats breaks "a crowd stops acquisitions" {
        fn begin_within(&self, record: Option<&Record>, begin: &Begin, open: u32, now: Timestamp) -> (Change, Begun) {
            match rule::begin(record, begin, now) {
                (_, Begun::Acquired(_)) if open >= begin.most_open && begin.most_open != u32::MAX => {
                    (Change::Keep, Begun::TooManyOpen)
                }
                answer => answer,
            }
        }
    }
    /// A key that was there before is none of the cap's business.
    CapsNewKeysOnly breaks "a crowd stops acquisitions" {
        fn begin_within(&self, record: Option<&Record>, begin: &Begin, open: u32, now: Timestamp) -> (Change, Begun) {
            match record {
                None => rule::begin_within(record, begin, || open, now),
                Some(_) => rule::begin(record, begin, now),
            }
        }
    }
    /// A refusal is written down like a claim.
    ClaimsWhatItRefuses breaks "whoever is refused leaves nothing behind" {
        fn begin_within(&self, record: Option<&Record>, begin: &Begin, open: u32, now: Timestamp) -> (Change, Begun) {
            match rule::begin_within(record, begin, || open, now) {
                (_, Begun::TooManyOpen) => (rule::begin(record, begin, now).0, Begun::TooManyOpen),
                answer => answer,
            }
        }
    }
    /// A begin that arms is answered from a record that is only prepared.
    ForgetsToArmAgain breaks "whoever may act holds an armed record" {
        fn begin(&self, record: Option<&Record>, begin: &Begin, now: Timestamp) -> (Change, Begun) {
            match (record, rule::begin(record, begin, now)) {
                (Some(found), (_, begun @ Begun::Acquired(_))) if found.phase == Phase::Prepared && !lapsed(found, now) => {
                    (Change::Keep, begun)
                }
                (_, answer) => answer,
            }
        }
    }
    /// An owner may arm after its lease.
    ArmsLate breaks "a live claim is not taken over" {
        fn arm(&self, record: Option<&Record>, token: &Token, lease: Duration, now: Timestamp) -> (Change, Held) {
            let alive = record.map(|r| Record { lease_until: now, ..r.clone() });
            rule::arm(alive.as_ref(), token, lease, now)
        }
        fn begin(&self, record: Option<&Record>, begin: &Begin, now: Timestamp) -> (Change, Begun) {
            // and its successor does not wait for it
            let lapsed = record.filter(|r| r.phase == Phase::Prepared && r.owner != begin.owner).map(|r| Record {
                lease_until: Timestamp::EPOCH,
                ..r.clone()
            });
            rule::begin(lapsed.as_ref().or(record), begin, now)
        }
    }
    /// Absence is believed while the owner may still send.
    BelievesInAbsenceEarly breaks "absence needs a lapsed lease" {
        fn resolve(&self, record: Option<&Record>, resolve: &Resolve, now: Timestamp) -> (Change, Resolved) {
            let lapsed = record.map(|r| Record { lease_until: Timestamp::EPOCH, ..r.clone() });
            rule::resolve(lapsed.as_ref().filter(|r| r.phase == Phase::Unknown).or(record), resolve, now)
        }
    }
    /// A look may begin before the lease has lapsed, if it is written down after.
    BelievesInAnOldLook breaks "absence needs a look after the lease" {
        fn resolve(&self, record: Option<&Record>, resolve: &Resolve, now: Timestamp) -> (Change, Resolved) {
            rule::resolve(record, &Resolve { as_of: now, ..resolve.clone() }, now)
        }
    }
    /// Evidence of one run decides another.
    TakesStaleEvidence breaks "evidence needs a doubt" {
        fn resolve(&self, record: Option<&Record>, resolve: &Resolve, now: Timestamp) -> (Change, Resolved) {
            let epoch = record.map_or(resolve.epoch, |r| r.epoch);
            rule::resolve(record, &Resolve { epoch, ..resolve.clone() }, now)
        }
    }
    /// Upkeep gives an open outcome an end.
    CollectsOpenOutcomes breaks "an open outcome is never removed" {
        fn collect(&self, record: &Record, tombstone: Duration, now: Timestamp) -> Change {
            match record.phase {
                Phase::Unknown if lapsed(record, now) => Change::Remove,
                _ => rule::collect(record, tombstone, now),
            }
        }
    }
    /// Upkeep frees the key as soon as the answer is gone.
    LeavesNoTombstone breaks "an answer leaves a tombstone" {
        fn collect(&self, record: &Record, tombstone: Duration, now: Timestamp) -> Change {
            match rule::collect(record, tombstone, now) {
                Change::Put(_) => Change::Remove,
                other => other,
            }
        }
    }
    /// The sweep takes whoever is slow for nobody.
    SweepsToReleased breaks "between two arms lies a proof that nothing happened" {
        fn sweep(&self, record: &Record, now: Timestamp) -> Change {
            match rule::sweep(record, now) {
                Change::Put(next) => Change::Put(Record { phase: Phase::Released, doubt: None, expires_at: Some(now), ..next }),
                other => other,
            }
        }
    }
}
