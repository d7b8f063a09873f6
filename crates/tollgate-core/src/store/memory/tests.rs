//! What the in-memory stores do at their bounds, and that counters and journals answer as a naive model does. What they share with
//! every other store is tested by the conformance suite of `tollgate-testkit`.

use super::*;
use crate::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey};
use crate::store::quota::{Quota, QuotaKey, QuotaStore, Take, Taken};
use crate::store::saga::{Append, Created, Fenced, NewSaga, SagaId, SagaJournal, SagaState};
use crate::store::velocity::{Admit, Admitted, VelocityKey, VelocityStore};
use crate::store::{StoreError, StoreErrorKind};
use crate::{Clock, ManualClock, Timestamp};
use proptest::prelude::*;
use std::future::Ready;
use std::num::NonZeroU32;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_unix_seconds(1_000_000))
}

/// In-memory stores answer at once.
fn now<T>(answer: Ready<Result<T, StoreError>>) -> Result<T, StoreError> {
    answer.into_inner()
}

fn assert_full<T: std::fmt::Debug>(answer: Ready<Result<T, StoreError>>) {
    let error = now(answer).unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_happened()),
        (StoreErrorKind::Full, false)
    );
}

/// A full store first forgets what says nothing any more, and then refuses newcomers; those it knows are served as before.
#[test]
fn full_counters_make_room_only_from_idle_ones() {
    let clock = clock();
    let store = MemoryVelocity::with(2, clock.clone());
    let admit = |key, weight| Admit {
        key: VelocityKey([key; 32]),
        window: SECOND * 10,
        weight,
        limit: 5,
    };
    assert!(now(store.admit(admit(1, 1))).unwrap().within);
    clock.advance(SECOND * 5);
    assert!(now(store.admit(admit(2, 1))).unwrap().within);
    assert_full(store.admit(admit(3, 1)));
    assert_eq!(now(store.admit(admit(1, 1))).unwrap().total, 2);
    clock.advance(SECOND * 12);
    assert!(
        now(store.admit(admit(3, 1))).unwrap().within,
        "both are idle by now"
    );
    assert_eq!(now(store.admit(admit(1, 1))).unwrap().total, 1);
}

#[test]
fn full_events_make_room_only_from_forgettable_ones() {
    let clock = clock();
    let store = MemoryDedup::with(1, clock.clone());
    let claim = |key| Claim {
        key: EventKey([key; 32]),
        digest: EventDigest([0; 32]),
        lease: SECOND,
    };
    let Claimed::Acquired(ticket) = now(store.claim(claim(1))).unwrap() else {
        panic!()
    };
    clock.advance(SECOND * 60);
    assert_full(store.claim(claim(2)));
    assert!(now(store.commit(ticket, SECOND * 60)).unwrap());
    assert_full(store.claim(claim(2)));
    clock.advance(SECOND * 60);
    assert!(matches!(
        now(store.claim(claim(2))).unwrap(),
        Claimed::Acquired(_)
    ));
}

#[test]
fn full_quotas_make_room_only_from_whole_ones() {
    let clock = clock();
    let store = MemoryQuota::with(16, clock.clone()); // one key per shard; these share one
    let take = |key: u8| Take {
        key: QuotaKey([key; 32]),
        quota: Quota::per_second(NonZeroU32::MIN),
        cost: 1,
    };
    assert!(matches!(
        now(store.take(&[take(0)])).unwrap(),
        Taken::Granted { .. }
    ));
    assert_full(store.take(&[take(16)]));
    clock.advance(SECOND);
    assert!(matches!(
        now(store.take(&[take(16)])).unwrap(),
        Taken::Granted { .. }
    ));
}

proptest! {
    /// Velocity against the definition: the sum of all admitted weights younger than the window, except those that had left it once,
    /// also where the clock goes back.
    #[test]
    fn velocity_is_the_sum_over_the_window(asked in proptest::collection::vec((0u64..50, 0u64..20, 0u64..90), 0..100)) {
        let clock = clock();
        let store = MemoryVelocity::with(1, clock.clone());
        let window = SECOND * 30;
        let mut admitted: Vec<(Timestamp, u64)> = Vec::new();
        for (weight, seconds, back) in asked {
            clock.advance(Duration::from_secs(seconds));
            if back > 70 {
                clock.set(clock.now().saturating_sub(Duration::from_secs(back)));
            }
            admitted.retain(|(at, _)| *at > clock.now().saturating_sub(window));
            let before: u64 = admitted.iter().map(|(_, weight)| weight).sum();
            let found = now(store.admit(Admit { key: VelocityKey([1; 32]), window, weight, limit: 100 })).unwrap();
            let within = before + weight <= 100;
            let total = if within { before + weight } else { before };
            prop_assert_eq!(found, Admitted { within, total });
            if found.within {
                admitted.push((clock.now(), weight));
            }
        }
    }

    /// Two engines and one saga: whatever they do, in whatever order, every record is written once, by the engine that holds the
    /// epoch, after it has seen all the others.
    #[test]
    fn two_engines_write_one_history(turns in proptest::collection::vec((any::<bool>(), 0u8..4, 0u64..15), 0..80)) {
        let clock = clock();
        let store = MemorySaga::with(clock.clone());
        let (id, names, lease) = (SagaId([1; 16]), ["s".into()], SECOND * 10);
        let new = NewSaga { id, name: "s".into(), key: "k".into(), records: Vec::new(), lease };
        prop_assert_eq!(now(store.create(new)).unwrap(), Created::Created);
        // what each engine believes: its epoch, and how many records it has seen
        let mut engines = [Some((1u64, 0u64)), None];
        let mut written: Vec<(u64, u64)> = Vec::new();
        for (second, what, seconds) in turns {
            let engine = &mut engines[usize::from(second)];
            match (what, *engine) {
                (0, _) => clock.advance(Duration::from_secs(seconds)),
                (1, _) => {
                    if let [journal] = &now(store.claim(&names, lease, 1)).unwrap()[..] {
                        let seen = u64::try_from(journal.records.len()).unwrap();
                        prop_assert_eq!(seen, u64::try_from(written.len()).unwrap());
                        *engine = Some((journal.epoch, seen));
                    }
                }
                (_, Some((epoch, seen))) => {
                    let record = [epoch.to_be_bytes(), seen.to_be_bytes()].concat();
                    let append = Append { id, epoch, seen, records: vec![record.into()], state: SagaState::Running, lease };
                    match now(store.append(append)).unwrap() {
                        Fenced::No => {
                            written.push((epoch, seen));
                            *engine = Some((epoch, seen + 1));
                        }
                        Fenced::Yes => *engine = None,
                    }
                }
                _ => {}
            }
        }
        let found = now(store.load(id)).unwrap().unwrap().records;
        prop_assert_eq!(found.len(), written.len());
        for (place, (epoch, seen)) in (0u64..).zip(&written) {
            prop_assert_eq!(*seen, place, "nobody wrote without having seen everything before");
            let record = [epoch.to_be_bytes(), seen.to_be_bytes()].concat();
            prop_assert_eq!(&*found[usize::try_from(place).unwrap()], &record[..]);
        }
        prop_assert!(written.is_sorted(), "epochs only rise");
    }
}
