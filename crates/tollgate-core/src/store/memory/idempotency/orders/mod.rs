//! The locks of this store in every order: see [`orders`](crate::store::memory::orders).

mod call;
mod store;

use super::super::orders::{Hands, Locked, Sequential, every_order};
use super::*;
use crate::store::idempotency::{Completion, Doubt, Evidence, Fingerprint, Owner, Resolution};
use call::{Call, Rule, Told};
use store::{Locks, Store};

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(10);
const TENANT: Tenant = Tenant(7);

/// Two keys under one lock, and one under another.
const KEY: RecordKey = RecordKey::new([0; 32]);
const BESIDE: RecordKey = RecordKey::new([2; 32]);
const ELSEWHERE: RecordKey = RecordKey::new([1; 32]);

fn begin(key: RecordKey, owner: u128) -> Begin {
    Begin {
        key,
        fingerprint: Fingerprint::new([1; 32]),
        owner: Owner(owner),
        lease: LEASE,
        retention: SECOND,
        arm: true,
        tenant: TENANT,
        most_open: 1,
    }
}

fn token(key: RecordKey, epoch: u64, owner: u128) -> Token {
    Token {
        key,
        epoch,
        owner: Owner(owner),
    }
}

fn paid() -> Completion {
    Completion {
        executed: true,
        envelope: None,
    }
}

fn settles(key: RecordKey, how: Settlement) -> Call {
    Call::Settle(token(key, 1, 1), how)
}

fn is_unknown(key: RecordKey) -> Call {
    settles(key, Settlement::Unknown(Doubt::AnswerInDoubt))
}

fn resolves(key: RecordKey, resolution: Resolution) -> Call {
    Call::Resolve(Resolve {
        key,
        epoch: 1,
        as_of: Timestamp::from_unix_seconds(11),
        resolution,
        evidence: Evidence {
            actor: "resolver".into(),
            reason: "looked".into(),
        },
    })
}

/// Past the lease.
const LAPSES: Call = Call::Passes(11);

macro_rules! orders {
    ($($(#[doc = $doc:literal])+ $test:ident, more than $least:literal: after $before:expr, $($calls:expr),+ $(,)?;)+) => {$(
        $(#[doc = $doc])+
        #[test]
        fn $test() {
            let runs = every_order(|| Store::new(Locks::AsTheyAre), &$before, &[$(&$calls),+]);
            println!("{}: {runs} runs", stringify!($test));
            assert!(runs > $least, "{runs} runs are not all");
        }
    )+};
}

fn begins(key: RecordKey, owner: u128) -> Call {
    Call::Begin(begin(key, owner))
}

/// As [`begins`], not armed yet.
fn prepares(key: RecordKey, owner: u128) -> Call {
    Call::Begin(Begin {
        arm: false,
        ..begin(key, owner)
    })
}

orders! {
    /// One acquires, the other waits.
    two_begin, more than 10: after [], [begins(KEY, 1)], [begins(KEY, 2)];
    /// One acquires, the others wait.
    three_begin, more than 500: after [], [begins(KEY, 1)], [begins(KEY, 2)], [begins(KEY, 3)];
    /// An answer comes while its owner is taken for lost, and a repeat asks.
    a_settlement_a_sweep_a_repeat, more than 10_000: after [begins(KEY, 1)],
        [settles(KEY, Settlement::Completed(paid()))], [LAPSES, Call::Sweep], [begins(KEY, 2), begins(KEY, 2)];
    /// A claim whose lease runs out is armed, swept, and taken over.
    a_late_arm, more than 20_000: after [prepares(KEY, 1)],
        [Call::Arm(token(KEY, 1, 1)), settles(KEY, Settlement::Released)], [LAPSES, Call::Sweep], [prepares(KEY, 2)];
    /// A lease is lengthened while it runs out.
    a_late_renewal, more than 20_000: after [prepares(KEY, 1)],
        [Call::Renew(token(KEY, 1, 1)), Call::Arm(token(KEY, 1, 1))], [LAPSES, begins(KEY, 2)], [Call::Sweep];
    /// Absence is declared, the owner's proof comes after all, and the key is run again.
    a_late_settlement_beside_a_resolution, more than 2_000: after [begins(KEY, 1), LAPSES, Call::Sweep],
        [resolves(KEY, Resolution::Released)], [settles(KEY, Settlement::Completed(paid()))], [begins(KEY, 2), Call::Get(KEY)];
    /// Whoever has seen the doubt is held to the cap: it is counted under the record's own lock.
    a_doubt_seen_is_a_doubt_counted, more than 5_000: after [begins(ELSEWHERE, 1)],
        [is_unknown(ELSEWHERE)], [Call::Get(ELSEWHERE), begins(KEY, 2)], [resolves(ELSEWHERE, Resolution::Completed(paid()))];
    /// The same where the other key is under the same lock.
    a_doubt_under_the_same_lock, more than 2_000: after [begins(BESIDE, 1)],
        [is_unknown(BESIDE)], [Call::Get(BESIDE), begins(KEY, 2)], [resolves(BESIDE, Resolution::Completed(paid()))];
    /// Two keys come into doubt at once, under two locks and one count.
    two_doubts_at_once, more than 10_000: after [begins(ELSEWHERE, 1), begins(KEY, 1)],
        [is_unknown(ELSEWHERE)], [is_unknown(KEY), resolves(KEY, Resolution::Completed(paid()))], [begins(BESIDE, 2)];
    /// A released key is forgotten while somebody begins it anew.
    a_collected_release, more than 20_000: after [begins(KEY, 1), settles(KEY, Settlement::Released)],
        [Call::Passes(2), Call::Collect], [begins(KEY, 2), Call::Get(KEY)], [begins(KEY, 3)];
    /// An answer is forgotten, and then that there was one, while somebody asks for it.
    a_collected_answer, more than 500: after [begins(KEY, 1), settles(KEY, Settlement::Completed(paid()))],
        [Call::Passes(2), Call::Collect, Call::Passes(2), Call::Collect], [begins(KEY, 2), begins(KEY, 2)];
}

/// A sweep goes from lock to lock, so over several keys it is no single moment: but it counts every doubt that it finds, once.
#[test]
fn a_sweep_over_two_locks_counts_every_doubt() {
    loom::model(|| {
        let store = Store::new(Locks::AsTheyAre);
        for key in [KEY, ELSEWHERE] {
            store.does(&begins(key, 1));
        }
        store.does(&LAPSES);
        let sweeps = || {
            let store = store.clone();
            loom::thread::spawn(move || store.does(&Call::Sweep).changed())
        };
        let (one, other) = (sweeps(), sweeps());
        let settled = store.does(&is_unknown(KEY));
        let swept = one.join().unwrap() + other.join().unwrap();
        let by_owner = u64::from(settled == Told::Settled(Settled::Applied));
        assert_eq!(swept + by_owner, 2);
        assert_eq!(store.end().open(), 2);
    });
}

/// The last place in a store goes to one of two keys, and the other one is refused.
#[test]
fn one_place_is_taken_once() {
    loom::model(|| {
        let store = Store::with_room_for(Locks::AsTheyAre, 2); // one under each lock
        let other = store.clone();
        let other = loom::thread::spawn(move || other.store.begin(begin(BESIDE, 1)).into_inner());
        let answers = [
            store.store.begin(begin(KEY, 1)).into_inner(),
            other.join().unwrap(),
        ];
        let full = |answer: &&Result<Begun, StoreError>| {
            answer
                .as_ref()
                .is_err_and(|error| error.kind() == StoreErrorKind::Full)
        };
        assert_eq!(answers.iter().filter(full).count(), 1, "{answers:?}");
        assert_eq!(store.store.len(), 1);
    });
}

/// Control: who reads under one lock and writes under the next lets two callers through.
#[test]
#[should_panic(expected = "no sequential order does this")]
fn control_a_store_that_reads_and_then_writes() {
    every_order(
        || Store::new(Locks::ReadThenWrite),
        &[],
        &[&[begins(KEY, 1)], &[begins(KEY, 2)]],
    );
}

/// Control: who counts a doubt after its lock lets a caller over the cap who has seen it.
#[test]
#[should_panic(expected = "no sequential order does this")]
fn control_a_store_that_counts_later() {
    let callers: &[&[Call]] = &[&[is_unknown(ELSEWHERE)], &[Call::Get(ELSEWHERE), begins(KEY, 2)]];
    every_order(|| Store::new(Locks::CountLater), &[begins(ELSEWHERE, 1)], callers);
}

/// Control: who looks at the clock and then waits for the lock writes what is over: here an answer that is forgotten as soon as it is
/// stored.
#[test]
#[should_panic(expected = "no sequential order does this")]
fn control_a_store_that_looks_at_the_clock_first() {
    let callers: &[&[Call]] = &[
        &[settles(KEY, Settlement::Completed(paid()))],
        &[LAPSES, Call::Get(KEY), Call::Get(KEY)],
    ];
    every_order(|| Store::new(Locks::ClockFirst), &[begins(KEY, 1)], callers);
}
