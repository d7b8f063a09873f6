//! What is asked for a few at a time: the listing of open outcomes, the sweep, and the collection. Each is several looks at indexes
//! here; over random records, with every limit and from every place, they must come to what the rule says of each record.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use tollgate_core::store::idempotency::rule::{self, Change};
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Fingerprint, IdempotencyStore, Owner, Record, RecordKey, Settlement,
    Tenant, Unresolved,
};
use tollgate_core::{Clock, ManualClock, Timestamp};
use tollgate_sqlite::Sqlite;

/// How one record came to be. Times are seconds, and few, so that many end just now.
#[derive(Clone, Debug)]
struct Made {
    lease: u64,
    retention: u64,
    end: End,
    /// What passes before the next one is made.
    pause: u64,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Prepared,
    Armed,
    Completed,
    Released,
    Unknown,
}

fn made() -> impl Strategy<Value = Made> {
    let end = prop_oneof![
        2 => Just(End::Prepared),
        4 => Just(End::Armed),
        2 => Just(End::Completed),
        2 => Just(End::Released),
        3 => Just(End::Unknown),
    ];
    (0u64..9, 0u64..9, end, 0u64..3).prop_map(|(lease, retention, end, pause)| Made {
        lease,
        retention,
        end,
        pause,
    })
}

/// Records under random keys, in the order in which they are made.
fn records() -> impl Strategy<Value = Vec<(RecordKey, Made)>> {
    proptest::collection::btree_map(any::<u8>(), made(), 0..14)
        .prop_map(|made| made.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(|made| {
            made.into_iter()
                .map(|(key, made)| (RecordKey::new([key; 32]), made))
                .collect()
        })
}

async fn make(store: &Sqlite, key: RecordKey, made: &Made) {
    let begin = Begin {
        key,
        fingerprint: Fingerprint::new([1; 32]),
        owner: Owner(1),
        lease: Duration::from_secs(made.lease),
        retention: Duration::from_secs(made.retention),
        arm: !matches!(made.end, End::Prepared),
        tenant: Tenant::NONE,
        most_open: u32::MAX,
    };
    let Begun::Acquired(token) = store.begin(begin).await.unwrap() else {
        panic!("it is new");
    };
    let settlement = match made.end {
        End::Prepared | End::Armed => return,
        End::Completed => Settlement::Completed(Completion {
            executed: true,
            envelope: None,
        }),
        End::Released => Settlement::Released,
        End::Unknown => Settlement::Unknown(Doubt::AnswerInDoubt),
    };
    store.settle(token, &settlement).await.unwrap();
}

type Held = BTreeMap<RecordKey, Record>;

async fn held(store: &Sqlite, keys: &[RecordKey]) -> Held {
    let mut held = Held::new();
    for key in keys {
        if let Some(record) = store.get(*key).await.unwrap() {
            held.insert(*key, record);
        }
    }
    held
}

/// Every page of the listing, from every place, of every size.
async fn pages_are_right(store: &Sqlite, keys: &[RecordKey], now: Timestamp) {
    let held = held(store, keys).await;
    let open: Vec<_> = held
        .iter()
        .filter(|(_, record)| rule::is_unresolved(record, now))
        .map(|(key, record)| Unresolved::of(*key, record))
        .collect();
    for after in std::iter::once(None).chain(held.keys().copied().map(Some)) {
        for limit in 0..=open.len() + 1 {
            let expected: Vec<_> = open
                .iter()
                .filter(|open| after.is_none_or(|after| open.key > after))
                .take(limit)
                .cloned()
                .collect();
            let found = store.unresolved(after, u32::try_from(limit).unwrap()).await;
            assert_eq!(found.unwrap(), expected, "after {after:?}, at most {limit}");
        }
    }
}

/// Goes on with these limits, and then without one, until nothing is left to do. Each time as many records change as there are and the
/// limit allows, each as the rule says, and no other one.
async fn goes_by_the_rule(
    store: &Sqlite,
    keys: &[RecordKey],
    limits: &[u32],
    ask: impl AsyncFn(u32) -> u64,
    decide: impl Fn(&Record) -> Change,
) {
    let mut before = held(store, keys).await;
    for limit in limits.iter().copied().chain([u32::MAX, u32::MAX]) {
        let due = before
            .values()
            .filter(|held| decide(held) != Change::Keep)
            .count();
        let expected = u64::try_from(due).unwrap().min(limit.into());
        assert_eq!(ask(limit).await, expected, "at most {limit} of {due}");
        let after = held(store, keys).await;
        let mut changed = 0;
        for (key, record) in &before {
            let found = after.get(key);
            if found == Some(record) {
                continue;
            }
            changed += 1;
            match decide(record) {
                Change::Keep => panic!("{record:?} became {found:?}"),
                Change::Put(next) => assert_eq!(found, Some(&next)),
                Change::Remove => assert_eq!(found, None),
            }
        }
        assert_eq!(changed, expected);
        before = after;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(ProptestConfig::default().cases / 8) })]

    #[test]
    fn a_few_at_a_time_are_what_the_rule_says(
        records in records(),
        limits in proptest::collection::vec(0u32..4, 0..6),
        tombstone in 1u64..9,
        pause in 0u64..12,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let clock = ManualClock::at(Timestamp::from_unix_seconds(1_000_000));
            let store = Sqlite::open_with(folder.path().join("store.sqlite"), clock.clone()).unwrap();
            for (key, made) in &records {
                make(&store, *key, made).await;
                clock.advance(Duration::from_secs(made.pause));
            }
            let keys: Vec<_> = records.iter().map(|(key, _)| *key).collect();
            let tombstone = Duration::from_secs(tombstone);
            for _ in 0..2 {
                clock.advance(Duration::from_secs(pause));
                let now = clock.now();
                pages_are_right(&store, &keys, now).await;
                // first some, then what has ended since, so that all phases stand side by side
                let ask = async |limit| store.collect(tombstone, limit).await.unwrap();
                goes_by_the_rule(&store, &keys, &limits, ask, |record| rule::collect(record, tombstone, now)).await;
                let ask = async |limit| store.sweep(limit).await.unwrap();
                goes_by_the_rule(&store, &keys, &limits, ask, |record| rule::sweep(record, now)).await;
                pages_are_right(&store, &keys, now).await;
            }
        });
    }
}
