//! The rule under random histories: [`history`] says what must hold, whatever happens; [`mutants`] are rules that are broken on
//! purpose, each of which must be caught.

mod history;
mod mutants;
mod steps;

use super::*;
use crate::store::StoreErrorKind;
use crate::store::idempotency::rule::Change;
use crate::store::memory::MemoryIdempotency;
use crate::{ManualClock, Timestamp};
use history::{Rules, check};
use mutants::MUTANTS;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use std::fmt;
use std::time::Duration;
use steps::steps;

/// The rule as it is.
#[derive(Debug)]
struct AsItIs;

impl Rules for AsItIs {}

proptest! {
    #![proptest_config(Config { cases: 2_000, ..Config::default() })]

    #[test]
    fn the_rule_keeps_every_invariant(steps in steps()) {
        check(&AsItIs, &steps)?;
    }
}

/// A check that cannot fail proves nothing: every mutant breaks the invariant that stands beside it.
#[test]
fn every_broken_rule_is_caught() {
    for (mutant, invariant) in MUTANTS {
        let config = Config {
            cases: 20_000,
            failure_persistence: None,
            max_shrink_iters: 0,
            ..Config::default()
        };
        let mut runner = TestRunner::new_with_rng(config, TestRunner::deterministic().new_rng());
        let mut broken = std::collections::BTreeSet::new();
        // a mutant may break several invariants; which of them a history meets first is chance
        for _ in 0..50 {
            match runner.run(&steps(), |steps| check(*mutant, &steps)) {
                Err(TestError::Fail(reason, _)) => broken.insert(reason.message().to_owned()),
                other => panic!("{mutant:?} goes unnoticed: {other:?}"),
            };
            if broken.iter().any(|found| found.contains(invariant)) {
                break;
            }
        }
        assert!(
            broken.iter().any(|found| found.contains(invariant)),
            "{mutant:?} should break {invariant:?}, not only {broken:?}"
        );
    }
}

fn begin(number: u8, owner: u128) -> Begin {
    Begin {
        key: RecordKey::new([number; 32]),
        fingerprint: Fingerprint::new([1; 32]),
        owner: Owner(owner),
        lease: Duration::from_secs(10),
        retention: Duration::from_secs(60),
        arm: true,
        tenant: Tenant::NONE,
        most_open: u32::MAX,
    }
}

/// The edges of the lease, exactly: its last microsecond belongs to the owner, and nobody can hold a key at the same time.
#[test]
fn a_lease_ends_for_its_owner_before_it_begins_for_another() {
    let start = Timestamp::from_unix_seconds(100);
    let asked = Begin {
        arm: false,
        ..begin(1, 7)
    };
    let (Change::Put(record), Begun::Acquired(token)) = rule::begin(None, &asked, start) else {
        panic!()
    };
    let last = start.saturating_add(asked.lease);
    let after = last.saturating_add(Duration::from_micros(1));
    let other = Begin {
        owner: Owner(8),
        ..asked
    };
    for (now, arms, takes_over) in [(last, Held::Held, false), (after, Held::Fenced, true)] {
        assert_eq!(rule::arm(Some(&record), &token, asked.lease, now).1, arms);
        let begun = rule::begin(Some(&record), &other, now).1;
        assert_eq!(matches!(begun, Begun::Acquired(_)), takes_over, "{begun:?}");
        if let Begun::InFlight { retry_after } = begun {
            let again = rule::begin(Some(&record), &other, now.saturating_add(retry_after)).1;
            assert!(
                matches!(again, Begun::Acquired(_)),
                "the wait that was named is long enough: {again:?}"
            );
        }
    }
}

/// Every kind of record under every kind of begin: a cap that is reached refuses what would get a new epoch, and changes no other answer.
#[test]
fn a_cap_refuses_what_would_be_acquired_anew_and_nothing_else() {
    let (asked, now) = (begin(1, 7), Timestamp::from_unix_seconds(100));
    let (Change::Put(made), _) = rule::begin(None, &asked, now) else {
        panic!()
    };
    let mut records = vec![None];
    for phase in Phase::ALL {
        for lease_until in [now, Timestamp::EPOCH] {
            records.push(Some(Record {
                phase,
                lease_until,
                ..made.clone()
            }));
        }
    }
    let mut refused = 0;
    for record in &records {
        let record = record.as_ref();
        for (owner, print, arm) in [7, 8].into_iter().flat_map(|owner| {
            [
                (owner, 1, true),
                (owner, 1, false),
                (owner, 2, true),
                (owner, 2, false),
            ]
        }) {
            let begin = Begin {
                owner: Owner(owner),
                fingerprint: Fingerprint::new([print; 32]),
                arm,
                most_open: 3,
                ..asked
            };
            let free = rule::begin(record, &begin, now);
            let anew = match &free.1 {
                Begun::Acquired(token) => record.is_none_or(|held| held.epoch != token.epoch),
                _ => false,
            };
            let expected = match anew {
                true => (Change::Keep, Begun::TooManyOpen),
                false => free.clone(),
            };
            refused += u32::from(anew);
            assert_eq!(
                rule::begin_within(record, &begin, || 3, now),
                expected,
                "{record:?} {begin:?}"
            );
            assert_eq!(
                rule::begin_within(record, &begin, || 2, now),
                free,
                "{record:?} {begin:?}"
            );
        }
    }
    // an absent key under eight begins; a released one and a lapsed preparation under the four of the same request
    assert_eq!(refused, 8 + 2 * 4 + 4);
}

/// Durations and times at the ends of their range saturate: no lease wraps into the past.
#[test]
fn the_ends_of_the_range_saturate() {
    let forever = Begin {
        lease: Duration::MAX,
        retention: Duration::MAX,
        arm: false,
        ..begin(1, 7)
    };
    let (Change::Put(record), Begun::Acquired(token)) = rule::begin(None, &forever, Timestamp::MAX) else {
        panic!()
    };
    assert_eq!(record.lease_until, Timestamp::MAX);
    assert_eq!(
        rule::arm(Some(&record), &token, Duration::MAX, Timestamp::MAX).1,
        Held::Held
    );
    assert_eq!(
        rule::collect(&record, Duration::MAX, Timestamp::MAX),
        Change::Keep
    );
    let last = Record {
        phase: Phase::Released,
        epoch: u64::MAX,
        ..record
    };
    let Begun::Acquired(token) = rule::begin(Some(&last), &forever, Timestamp::EPOCH).1 else {
        panic!()
    };
    assert_eq!(token.epoch, u64::MAX);
}

#[test]
fn stored_names_are_read_back() {
    for phase in Phase::ALL {
        assert_eq!(Phase::from_name(phase.as_str()), Some(phase));
    }
    for doubt in Doubt::ALL {
        assert_eq!(Doubt::from_name(doubt.as_str()), Some(doubt));
    }
    assert_eq!((Phase::from_name("Armed"), Doubt::from_name("")), (None, None));
}

/// Answers are personal data, and a key opens them: what is printed of a record is sizes and four bytes.
#[test]
fn nothing_of_an_answer_is_printed() {
    let envelope = Envelope {
        ok: true,
        status: 200,
        head: Some(b"set-cookie: secret"[..].into()),
        body: b"Jane Doe"[..].into(),
    };
    let printed = format!(
        "{envelope:?} {:?} {:?}",
        RecordKey::new([0xab; 32]),
        Owner(u128::MAX)
    );
    assert!(
        !printed.contains("Jane") && !printed.contains("secret") && !printed.contains(&"ab".repeat(5)),
        "{printed}"
    );
    assert!(printed.contains("body_bytes: 8"), "{printed}");
}

/// When the store is full it makes room by forgetting what may be forgotten, and then refuses: an open outcome is never evicted.
#[tokio::test]
async fn a_full_store_refuses_rather_than_forgets_what_is_open() {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(100));
    // one record for each of the 64 shards; these keys all fall into one
    let store = MemoryIdempotency::with(64, clock.clone());
    let Begun::Acquired(token) = store.begin(begin(1, 7)).await.unwrap() else {
        panic!()
    };
    clock.advance(Duration::from_secs(10_000));
    assert_eq!(store.sweep(10).await.unwrap(), 1);
    let second = Begin {
        key: sibling(1),
        ..begin(2, 7)
    };
    let full = store.begin(second).await.unwrap_err();
    assert_eq!(
        (full.kind(), full.may_have_happened()),
        (StoreErrorKind::Full, false)
    );
    assert_eq!(store.get(token.key).await.unwrap().unwrap().phase, Phase::Unknown);

    let done = Completion {
        executed: true,
        envelope: None,
    };
    assert_eq!(
        store.settle(token, &Settlement::Completed(done)).await.unwrap(),
        Settled::Applied
    );
    assert_eq!(
        store.begin(second).await.unwrap_err().kind(),
        StoreErrorKind::Full,
        "still within its retention"
    );
}

/// Another key of the same shard.
fn sibling(number: u8) -> RecordKey {
    let mut key = [number; 32];
    key[0] ^= 0xff;
    RecordKey::new(key)
}

/// Absence was declared too early: what the owner then proves still counts, or the next repeat would charge again.
#[test]
fn the_owners_proof_beats_a_wrong_absence() {
    let at = Timestamp::from_unix_seconds;
    let ask = Begin {
        arm: true,
        ..begin(1, 1)
    };
    let (Change::Put(armed), Begun::Acquired(token)) = rule::begin(None, &ask, at(0)) else {
        panic!("a new key is acquired")
    };
    let late = armed.lease_until.saturating_add(Duration::from_secs(1));
    let resolve = Resolve {
        key: token.key,
        epoch: token.epoch,
        as_of: late,
        resolution: Resolution::Released,
        evidence: Evidence {
            actor: "ops".into(),
            reason: "not found, yet".into(),
        },
    };
    let (Change::Put(released), Resolved::Resolved) = rule::resolve(Some(&armed), &resolve, late) else {
        panic!("the lease has lapsed")
    };
    let executed = Completion {
        executed: true,
        envelope: None,
    };
    for (said, phase) in [
        (Settlement::Completed(executed), Phase::Completed),
        (Settlement::Unknown(Doubt::AnswerInDoubt), Phase::Unknown),
    ] {
        let (Change::Put(record), Settled::Applied) = rule::settle(Some(&released), &token, &said, late)
        else {
            panic!("{said:?} was thrown away")
        };
        assert_eq!(record.phase, phase);
        // once somebody else runs the key, the old token is stale again
        let (Change::Put(next), _) = rule::begin(Some(&released), &begin(1, 2), late) else {
            panic!("released keys run again")
        };
        assert_eq!(rule::settle(Some(&next), &token, &said, late).0, Change::Keep);
    }
}

#[test]
fn a_record_key_survives_being_written_down() {
    let key = RecordKey::new(std::array::from_fn(|at| u8::try_from(at * 8).unwrap() ^ 0xa5));
    assert_eq!(RecordKey::from_hex(&key.to_hex()), Some(key));
    assert_eq!(key.to_string(), key.to_hex(), "a log names it whole");
    assert_eq!(RecordKey::from_hex(&key.to_hex().to_uppercase()), Some(key));
    let hex = key.to_hex();
    for bad in [
        "",
        &hex[1..],
        &format!("{hex}0"),
        &format!("{}g", &hex[1..]),
        &format!("{}+1", &hex[2..]),
        &"ü".repeat(32),
    ] {
        assert_eq!(RecordKey::from_hex(bad), None, "{bad}");
    }
}

/// Nobody counts where the count decides nothing: without a cap, and for whatever is not acquired anew.
#[test]
fn open_outcomes_are_counted_only_when_it_matters() {
    let now = Timestamp::from_unix_seconds(1_000);
    let never = || -> u32 { panic!("counted for nothing") };
    let (Change::Put(held), Begun::Acquired(_)) = rule::begin_within(None, &begin(1, 1), never, now) else {
        panic!("a new key is acquired")
    };
    for owner in [1, 2] {
        let capped = Begin {
            most_open: 0,
            ..begin(1, owner)
        };
        let (_, begun) = rule::begin_within(Some(&held), &capped, never, now);
        assert_ne!(begun, Begun::TooManyOpen);
    }
}

/// An account is named by a keyed hash of the scope; who has no scope pays nothing for one.
#[test]
fn accounts_are_told_apart() {
    let (secrets, others) = (crate::Secrets::ephemeral(), crate::Secrets::ephemeral());
    assert_eq!(secrets.tenant(""), Tenant::NONE);
    assert_eq!(secrets.tenant("merchant-1"), secrets.tenant("merchant-1"));
    assert_ne!(secrets.tenant("merchant-1"), secrets.tenant("merchant-2"));
    assert_ne!(secrets.tenant("merchant-1"), others.tenant("merchant-1"));
}
