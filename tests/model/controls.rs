//! Policies that are wrong on purpose, as they are found in the field. Each must yield a counterexample, in surroundings in which the
//! policy as it is yields none: a checker that finds nothing here would prove nothing there.
//!
//! Each stands with the claim that it breaks and the length of the shortest way to break it; the guide's table says the same.

use super::policy::Policy;
use super::setting::{Setting, TWO_REQUESTS};
use super::world::NOW;
use super::{Invariant, refute_policy};
use std::time::Duration;
use tollgate::idempotency::ArmPolicy::{AtBegin, BeforeCall};
use tollgate_core::store::idempotency::rule::{self, Change};
use tollgate_core::store::idempotency::{
    Begin, Begun, Doubt, Held, Phase, Record, Resolve, Resolved, Settled, Settlement, Token,
};
use tollgate_core::{Effect, EffectLedger, Timestamp};

macro_rules! controls {
    ($($(#[doc = $doc:literal])+ $test:ident: $name:ident in $setting:expr, breaks $claim:ident after $steps:literal { $($body:tt)* })+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug)]
        struct $name;

        impl Policy for $name { $($body)* }

        $(#[doc = $doc])+
        #[test]
        fn $test() {
            refute_policy(stringify!($test), &$name, $setting, Invariant::$claim, $steps);
        }
    )+};
}

fn lapsed(record: &Record) -> bool {
    record.lease_until < NOW
}

/// The record as a careless store sees it: changed where `when` says so.
fn seen(
    record: Option<&Record>,
    when: impl Fn(&Record) -> bool,
    change: impl Fn(&mut Record),
) -> Option<Record> {
    record.map(|record| {
        let mut seen = record.clone();
        if when(record) {
            change(&mut seen);
        }
        seen
    })
}

/// The token as a store without a fence reads it: whoever comes is the holder.
fn unfenced(record: Option<&Record>, token: &Token) -> Token {
    record.map_or(*token, |record| Token {
        epoch: record.epoch,
        owner: record.owner,
        ..*token
    })
}

controls! {
    /// A time-out clears the key (the seed; nestarc, hono and others on any error).
    clear_on_timeout: ClearOnTimeout in Setting::bare(AtBegin), breaks AtMostOneEffect after 8 {
        fn in_doubt(&self, doubt: Doubt) -> Settlement {
            match doubt {
                Doubt::AnswerInDoubt => Settlement::Released,
                doubt => Settlement::Unknown(doubt),
            }
        }
    }
    /// A panic clears the key.
    clear_on_panic: ClearOnPanic in Setting::bare(AtBegin), breaks AtMostOneEffect after 8 {
        fn in_doubt(&self, doubt: Doubt) -> Settlement {
            match doubt {
                Doubt::Panicked => Settlement::Released,
                doubt => Settlement::Unknown(doubt),
            }
        }
    }
    /// An owner that is dropped gives the key back, whatever it has sent (crate `idempotent`'s claim guard).
    drop_frees_the_key: DropFreesTheKey in Setting::bare(AtBegin), breaks AtMostOneEffect after 7 {
        fn drop_frees(&self) -> bool {
            true
        }
    }
    /// An armed key lapses like a prepared one: every lock with a time to live.
    steal_armed_after_lease: StealArmed in Setting::bare(AtBegin), breaks AtMostOneEffect after 8 {
        fn begin(&self, record: Option<&Record>, begin: &Begin) -> (Change, Begun) {
            let seen = seen(record, |r| r.phase == Phase::Armed && lapsed(r), |r| r.phase = Phase::Prepared);
            rule::begin(seen.as_ref(), begin, NOW)
        }
    }
    /// The claim goes away by itself: `SET key NX PX ttl`.
    set_nx_px: SetNxPx in Setting::bare(AtBegin), breaks AtMostOneEffect after 8 {
        fn expire(&self, record: &Record) -> Change {
            match record.phase {
                Phase::Prepared | Phase::Armed if lapsed(record) => Change::Remove,
                _ => Change::Keep,
            }
        }
    }
    /// A doubt that is old enough is forgotten.
    doubts_expire: DoubtsExpire in Setting::bare(AtBegin), breaks AtMostOneEffect after 10 {
        fn expire(&self, record: &Record) -> Change {
            match record.phase {
                Phase::Unknown if lapsed(record) => Change::Remove,
                _ => Change::Keep,
            }
        }
    }
    /// The sweeper takes whoever is silent for nobody.
    sweep_to_released: SweepToReleased in Setting::bare(AtBegin), breaks AtMostOneEffect after 9 {
        fn sweep(&self, record: &Record) -> Change {
            match rule::sweep(record, NOW) {
                Change::Put(next) => Change::Put(Record {
                    phase: Phase::Released,
                    doubt: None,
                    expires_at: Some(NOW),
                    ..next
                }),
                other => other,
            }
        }
    }
    /// A waiter that gives up deletes what it waited for (arun0009/idempotent).
    waiter_deletes: WaiterDeletes in Setting::bare(AtBegin), breaks AtMostOneEffect after 7 {
        fn waiter_deletes(&self) -> bool {
            true
        }
    }
    /// An owner that cannot store its answer frees the key (cratestack; nestarc before 0.1.3).
    release_on_store_failure: ReleaseOnStoreFailure in Setting::bare(AtBegin), breaks AtMostOneEffect after 9 {
        fn removes_what_it_cannot_settle(&self) -> bool {
            true
        }
    }
    /// When the store is away, the call is let through without a claim (axum-idempotent).
    send_without_a_claim: SendWithoutAClaim in Setting::bare(AtBegin), breaks AtMostOneEffect after 7 {
        fn sends_without_a_claim(&self) -> bool {
            true
        }
    }
    /// An arm whose answer is lost is taken for granted.
    send_without_an_arm: SendWithoutAnArm in Setting::bare(BeforeCall), breaks AtMostOneEffect after 10 {
        fn sends_without_an_arm(&self) -> bool {
            true
        }
    }
    /// An owner whose claim was taken over may still arm.
    no_fence_on_arm: NoFenceOnArm in Setting::bare(BeforeCall), breaks AtMostOneEffect after 10 {
        fn arm(&self, record: Option<&Record>, token: &Token, lease: Duration) -> (Change, Held) {
            rule::arm(record, &unfenced(record, token), lease, NOW)
        }
    }
    /// A late finisher writes over its successor (powertools, idempotency4j and most others).
    no_fence_on_settle: NoFenceOnSettle in Setting::bare(AtBegin), breaks AtMostOneEffect after 10 {
        fn settle(&self, record: Option<&Record>, token: &Token, how: &Settlement) -> (Change, Settled) {
            rule::settle(record, &unfenced(record, token), how, NOW)
        }
    }
    /// The epoch is the only fence, and it starts again once the key was forgotten.
    epoch_starts_again: EpochStartsAgain in Setting { patience: 4, faults: 1, ..Setting::bare(AtBegin) },
    breaks StaleTokenChangesNothing after 9 {
        fn settle(&self, record: Option<&Record>, token: &Token, how: &Settlement) -> (Change, Settled) {
            let token = Token { owner: unfenced(record, token).owner, ..*token };
            rule::settle(record, &token, how, NOW)
        }
    }
    /// What the last attempt says is what is written: "not sent", although the one before timed out.
    last_error_wins: LastErrorWins in Setting::forgetful(AtBegin), breaks AtMostOneEffect after 12 {
        fn total(&self, _: &EffectLedger, last: Effect) -> Effect {
            last
        }
    }
    /// An attempt that timed out is repeated although the gateway would not recognise it (seed I5).
    retry_without_a_key: RetryWithoutAKey in Setting::bare(AtBegin), breaks AtMostOneEffect after 6 {
        fn repeats(&self, made: u8, _key_taken: bool) -> bool {
            made < 2
        }
    }
    /// Each attempt has a downstream key of its own.
    a_downstream_key_per_attempt: AKeyPerAttempt in Setting::keyed(AtBegin), breaks AtMostOneEffect after 6 {
        fn downstream_key(&self, _: u8, attempt: u8) -> u8 {
            attempt
        }
    }
    /// Each run of a key has a downstream key of its own, so that a frozen owner's request is new to the gateway.
    a_downstream_key_per_run: AKeyPerRun in Setting::keyed(AtBegin), breaks AtMostOneEffect after 9 {
        fn downstream_key(&self, owner: u8, _: u8) -> u8 {
            owner
        }
    }
    /// Absence is believed while the owner may still send.
    absent_while_the_owner_may_send: AbsentTooEarly in Setting::bare(AtBegin), breaks AtMostOneEffect after 10 {
        fn resolve(&self, record: Option<&Record>, resolve: &Resolve) -> (Change, Resolved) {
            let seen = seen(record, |r| r.phase == Phase::Unknown, |r| r.lease_until = Timestamp::EPOCH);
            rule::resolve(seen.as_ref(), resolve, NOW)
        }
    }
    /// A look that began before the lease had lapsed is believed after: our own rule before this model found it.
    absent_by_an_old_look: AbsentByAnOldLook in Setting::bare(AtBegin), breaks AtMostOneEffect after 12 {
        fn resolve(&self, record: Option<&Record>, resolve: &Resolve) -> (Change, Resolved) {
            rule::resolve(record, &Resolve { as_of: NOW, ..resolve.clone() }, NOW)
        }
    }
    /// An answer is forgotten without a tombstone: retention shorter than callers go on trying.
    no_tombstone: NoTombstone in Setting::bare(AtBegin), breaks AtMostOneEffect after 10 {
        fn collect(&self, record: &Record, tombstone: Duration) -> Change {
            match rule::collect(record, tombstone, NOW) {
                Change::Put(_) => Change::Remove,
                other => other,
            }
        }
    }
    /// A stored answer takes another one.
    overwrite_an_answer: OverwriteAnAnswer in Setting::bare(AtBegin), breaks CompletedStays after 8 {
        fn settle(&self, record: Option<&Record>, token: &Token, how: &Settlement) -> (Change, Settled) {
            let seen = seen(record, |r| r.phase == Phase::Completed, |r| r.phase = Phase::Armed);
            rule::settle(seen.as_ref(), token, how, NOW)
        }
    }
    /// A release opens the key to any request: the second caller charges another amount.
    release_forgets_the_request: ReleaseForgetsTheRequest in TWO_REQUESTS,
    breaks RequestPinned after 4 {
        fn begin(&self, record: Option<&Record>, begin: &Begin) -> (Change, Begun) {
            let fingerprint = begin.fingerprint;
            let seen = seen(record, |r| r.phase == Phase::Released, |r| r.fingerprint = fingerprint);
            rule::begin(seen.as_ref(), begin, NOW)
        }
    }
    /// Nothing ever ends a doubt: safe, and of no use.
    doubts_stay: DoubtsStay in Setting::bare(AtBegin), breaks EveryKeyEnds after 2 {
        fn resolve(&self, _: Option<&Record>, _: &Resolve) -> (Change, Resolved) {
            (Change::Keep, Resolved::Stale)
        }
    }
}
