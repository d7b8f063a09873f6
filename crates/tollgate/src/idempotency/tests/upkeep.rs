//! Passes over the store: in small batches, and never over what is open.

use super::*;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tollgate_core::store::idempotency::*;
use tollgate_testkit::fault::{Faulty, When};
use tollgate_testkit::samples;

fn begin(number: u16) -> Begin {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&number.to_be_bytes());
    key[8] = key[1]; // spreads them in the memory store
    samples::begin(RecordKey::new(key), 1)
}

/// Brings keys into a state, one each.
async fn settled(
    store: &impl IdempotencyStore,
    numbers: std::ops::Range<u16>,
    settlement: Option<Settlement>,
) {
    for number in numbers {
        let token = samples::claim(store, begin(number)).await;
        if let Some(settlement) = &settlement {
            assert_eq!(store.settle(token, settlement).await.unwrap(), Settled::Applied);
        }
    }
}

fn done() -> Option<Settlement> {
    Some(Settlement::Completed(Completion {
        executed: true,
        envelope: None,
    }))
}

async fn phase(store: &impl IdempotencyStore, number: u16) -> Option<Phase> {
    let record = store.get(begin(number).key).await.unwrap();
    record.map(|record| record.phase)
}

#[tokio::test(start_paused = true)]
async fn lost_owners_are_marked_old_answers_forgotten_and_open_outcomes_counted() {
    let (store, clock) = store();
    settled(&store, 0..10, done()).await;
    settled(&store, 10..20, None).await; // owners that are lost
    settled(&store, 20..25, Some(Settlement::Unknown(Doubt::Panicked))).await;
    settled(&store, 25..30, Some(Settlement::Released)).await;
    let upkeep = Upkeep::default().tombstone(Duration::from_secs(7200));
    assert_eq!(
        upkeep.pass(&store).await.unwrap(),
        UpkeepPass {
            backlog: Backlog {
                open: 5,
                oldest: Duration::ZERO
            },
            ..UpkeepPass::default()
        },
        "too early for anything"
    );
    clock.advance(Duration::from_secs(3601));
    settled(&store, 30..31, None).await; // an owner that is alive
    let pass = upkeep.pass(&store).await.unwrap();
    assert_eq!((pass.lost, pass.collected, pass.backlog.open), (10, 15, 15));
    assert_eq!(pass.backlog.oldest, Duration::from_secs(3601));
    for (number, expected) in [
        (0, Some(Phase::Expired)),
        (10, Some(Phase::Unknown)),
        (20, Some(Phase::Unknown)),
        (25, None),
        (30, Some(Phase::Armed)),
    ] {
        assert_eq!(phase(&store, number).await, expected, "{number}");
    }
    assert_eq!(
        store.begin(begin(0)).await.unwrap(),
        Begun::Expired,
        "a spent key stays spent"
    );
    clock.advance(Duration::from_secs(7201));
    let pass = upkeep.pass(&store).await.unwrap();
    assert_eq!(
        (pass.lost, pass.collected, pass.backlog.open),
        (1, 10, 16),
        "tombstones go, and what is open stays for ever"
    );
}

/// Ten thousand old answers do not hold the store up: a batch at a time, with a pause after each.
#[tokio::test(start_paused = true)]
async fn a_pass_works_in_batches_with_pauses() {
    let (records, clock) = store();
    settled(&records, 0..1050, done()).await;
    clock.advance(Duration::from_secs(3601));
    let store = Faulty::new(records);
    let began = Instant::now();
    let pass = Upkeep::default().batch(100).pass(&store).await.unwrap();
    assert_eq!(pass.collected, 1050);
    // one sweep, ten full batches and the last, one look at the clock and for open keys
    assert_eq!(store.operations(), 1 + 11 + 2);
    assert_eq!(began.elapsed(), Duration::from_millis(50) * 10);
    let zero = Upkeep::default().batch(0).pass(&store).await.unwrap();
    assert_eq!(zero.collected, 0, "a batch of none would never end");
}

/// It goes on over an outage, about once a minute and not on the minute.
#[tokio::test(start_paused = true)]
async fn it_runs_for_ever_and_out_of_step() {
    let (records, clock) = store();
    settled(&records, 0..3, None).await;
    let store = Faulty::new(records.clone());
    store.outage(When::Before);
    let task = tokio::spawn(Upkeep::default().run(store.clone()));
    clock.advance(Duration::from_secs(61));
    sleep(Duration::from_secs(600)).await;
    let asked = store.operations();
    assert!((9..=12).contains(&asked), "{asked} in ten minutes");
    assert_eq!(phase(&records, 0).await, Some(Phase::Armed));
    store.outage(None);
    sleep(Duration::from_secs(70)).await;
    assert_eq!(phase(&records, 0).await, Some(Phase::Unknown));
    task.abort();

    let spread = crate::spread::Spread::default();
    let minute = Duration::from_secs(60);
    let waits: std::collections::BTreeSet<_> = (0..1000).map(|_| spread.around(minute)).collect();
    assert!(waits.len() > 100, "{} different waits", waits.len());
    assert!(*waits.first().unwrap() >= minute * 9 / 10 && *waits.last().unwrap() <= minute * 11 / 10);
    assert_eq!(spread.around(Duration::MAX), Duration::MAX);
}

#[tokio::test]
async fn open_keys_come_in_pages_with_their_ages() {
    let (records, clock) = store();
    for number in 0..25 {
        settled(
            &records,
            number..number + 1,
            Some(Settlement::Unknown(Doubt::Abandoned)),
        )
        .await;
        clock.advance(Duration::from_secs(1));
    }
    // the second page fails once: the same page is asked for again
    let store = Faulty::new(records).failing(3, When::Before);
    let mut keys = OpenKeys::new(&store).page(10);
    let (mut ages, mut failures) = (Vec::new(), 0);
    loop {
        match keys.next().await {
            Ok(Some(open)) => ages.push(open.age.as_secs()),
            Ok(None) => break,
            Err(_) => failures += 1,
        }
    }
    assert_eq!(ages, (1..=25).rev().collect::<Vec<_>>());
    assert_eq!(failures, 1);
}

/// Settings survive being written down, and a misspelt one is refused.
#[test]
fn settings_deserialize() {
    let upkeep: Upkeep =
        serde_json::from_str(r#"{ "batch": 7, "pause": { "secs": 1, "nanos": 0 } }"#).unwrap();
    assert_eq!(upkeep, Upkeep::default().batch(7).pause(Duration::from_secs(1)));
    assert!(serde_json::from_str::<Upkeep>(r#"{ "bach": 7 }"#).is_err());
    for (written, cap) in [("1000", Some(1_000)), ("null", None)] {
        let config: IdempotencyConfig =
            serde_json::from_str(&format!(r#"{{ "max_unresolved": {written} }}"#)).unwrap();
        assert_eq!(config, IdempotencyConfig::default().max_unresolved(cap));
    }
}
