//! Passes over the store: in small batches, and never over what must be remembered.

use super::*;
use std::cell::RefCell;
use tokio::time::{Instant, sleep};
use tollgate_core::store::dedup::*;
use tollgate_testkit::fault::{Faulty, When, cancel_at_each_await};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn claim(number: u16) -> Claim {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&number.to_be_bytes());
    Claim {
        key: EventKey(key),
        digest: EventDigest([1; 32]),
        lease: Duration::from_secs(60),
    }
}

/// How an event stands, found out by a delivery: claimed for the so-manieth time if it may be processed.
async fn deliver(store: &impl DedupStore, number: u16) -> Claimed {
    store.claim(claim(number)).await.unwrap()
}

async fn claimed(store: &impl DedupStore, number: u16) -> Ticket {
    match deliver(store, number).await {
        Claimed::Acquired(ticket) => ticket,
        other => panic!("event {number} is {other:?}"),
    }
}

/// Brings events to be processed, one claim and one commit each.
async fn processed(store: &impl DedupStore, numbers: std::ops::Range<u16>, retention: Duration) {
    for number in numbers {
        let ticket = claimed(store, number).await;
        assert!(store.commit(ticket, retention).await.unwrap());
    }
}

fn store() -> (MemoryDedup, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
    (MemoryDedup::with(100_000, clock.clone()), clock)
}

/// A store in which the time of so many events is over, and that of ten more is not.
async fn due(number: u16) -> MemoryDedup {
    let (store, clock) = store();
    processed(&store, 0..number, HOUR).await;
    processed(&store, number..number + 10, DAY).await;
    clock.advance(HOUR);
    store
}

/// Those ten are remembered.
async fn remembers_the_rest(store: &impl DedupStore, number: u16) {
    for number in number..number + 10 {
        assert_eq!(deliver(store, number).await, Claimed::Done, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_forgotten_and_what_is_not_is_kept() {
    let (store, clock) = store();
    processed(&store, 0..5, HOUR).await;
    processed(&store, 5..10, HOUR * 2).await;
    for number in 10..15 {
        let ticket = claimed(&store, number).await; // its handler failed
        assert!(store.release(ticket).await.unwrap());
    }
    let pass = |forgotten| UpkeepPass { forgotten, all: true };
    let upkeep = Upkeep::default();
    assert_eq!(
        upkeep.pass(&store).await.unwrap(),
        pass(0),
        "too early for anything"
    );
    clock.advance(HOUR - Duration::from_micros(1));
    assert_eq!(
        upkeep.pass(&store).await.unwrap(),
        pass(0),
        "an instant too early"
    );
    clock.advance(Duration::from_micros(1));
    let running = claimed(&store, 15).await;
    assert_eq!(upkeep.pass(&store).await.unwrap(), pass(5));
    assert_eq!(
        upkeep.pass(&store).await.unwrap(),
        pass(0),
        "what one did the other finds done"
    );

    assert_eq!(deliver(&store, 5).await, Claimed::Done);
    assert!(matches!(deliver(&store, 15).await, Claimed::InProgress { .. }));
    assert!(store.commit(running, DAY * 35).await.unwrap());
    // a count that begins anew is a record that was gone; one that goes on was kept
    assert_eq!(claimed(&store, 0).await.fence, 1);
    assert_eq!(claimed(&store, 10).await.fence, 2);

    clock.advance(DAY * 2);
    assert_eq!(
        upkeep.pass(&store).await.unwrap(),
        pass(5 + 5 + 1),
        "the second hour's, and a day after their last claim those that nobody processed"
    );
    assert_eq!(deliver(&store, 15).await, Claimed::Done, "remembered for 35 days");
}

/// What the layer processed is a duplicate until its retention is over, upkeep or not; then its row goes.
#[tokio::test(start_paused = true)]
async fn an_event_of_the_layer_is_kept_for_its_retention() {
    let shop = shop(&[200]);
    assert_eq!(shop.deliver("msg_1").await, StatusCode::OK);
    let upkeep = Upkeep::default();
    for forgotten in [0, 0, 1, 0] {
        assert_eq!(upkeep.pass(&shop.store).await.unwrap().forgotten, forgotten);
        if forgotten == 0 {
            shop.clock.advance(DAY * 17 + HOUR * 12);
        }
    }
    assert_eq!(shop.deliver("msg_2").await, StatusCode::OK);
    upkeep.pass(&shop.store).await.unwrap();
    let again = shop.app.clone().oneshot(shop.delivery("msg_2")).await.unwrap();
    assert_eq!(again.headers()["webhook-duplicate"], "true");
    assert_eq!(shop.handled(), 2);
}

/// A thousand old events do not hold the store up: a batch at a time, with a pause after each.
#[tokio::test(start_paused = true)]
async fn a_pass_works_in_batches_with_pauses() {
    for (events, batch, asked, pauses) in [
        (1050, 100, 11, 10),
        (1000, 100, 11, 10), // the last one finds nothing
        (99, 100, 1, 0),
        (5, 0, 6, 5), // a batch of none would never end
    ] {
        let store = Faulty::new(due(events).await);
        let before = store.operations();
        let began = Instant::now();
        let pass = Upkeep::default().batch(batch).pass(&store).await.unwrap();
        let forgotten = u64::from(events);
        assert_eq!(pass, UpkeepPass { forgotten, all: true });
        assert_eq!(store.operations() - before, asked, "{events} by {batch}");
        assert_eq!(
            began.elapsed(),
            Duration::from_millis(50) * pauses,
            "{events} by {batch}"
        );
        remembers_the_rest(&store, events).await;
    }
}

/// A pass ends, however much there is, and the next one goes on where it ended.
#[tokio::test(start_paused = true)]
async fn a_pass_has_a_limit() {
    let store = due(1050).await;
    let upkeep = Upkeep::default().at_most(420);
    let pass = |forgotten, all| UpkeepPass { forgotten, all };
    assert_eq!(upkeep.pass(&store).await.unwrap(), pass(420, false));
    assert_eq!(
        upkeep.at_most(50).pass(&store).await.unwrap(),
        pass(50, false),
        "less than a batch"
    );
    assert_eq!(
        upkeep.at_most(0).pass(&store).await.unwrap(),
        pass(1, false),
        "at least one"
    );
    assert_eq!(upkeep.pass(&store).await.unwrap(), pass(420, false));
    assert_eq!(upkeep.pass(&store).await.unwrap(), pass(159, true));
    remembers_the_rest(&store, 1050).await;
}

/// It goes on over an outage, about once a minute and not on the minute, and ends when it is aborted.
#[tokio::test(start_paused = true)]
async fn it_runs_until_it_is_aborted_and_survives_an_outage() {
    for when in When::ALL {
        let (events, clock) = store();
        processed(&events, 0..3, HOUR).await;
        clock.advance(HOUR);
        let store = Faulty::new(events.clone());
        store.outage(When::Before);
        let task = tokio::spawn(Upkeep::default().run(store.clone()));
        sleep(Duration::from_secs(600)).await;
        let asked = store.operations();
        assert!((9..=12).contains(&asked), "{asked} in ten minutes");
        store.outage(when); // whether or not it was done, it is asked again
        sleep(Duration::from_secs(70)).await;
        store.outage(None);
        sleep(Duration::from_secs(70)).await;
        assert_eq!(claimed(&events, 0).await.fence, 1, "{when:?}: forgotten");

        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        let asked = store.operations();
        sleep(Duration::from_secs(600)).await;
        assert_eq!(store.operations(), asked, "{when:?}: nobody asks any more");
    }
}

/// Whichever batch fails, and at whichever moment: what was done before stays done, and the next pass does the rest.
#[tokio::test(start_paused = true)]
async fn a_pass_that_failed_is_gone_on_with() {
    for when in When::ALL {
        for at in 0..4 {
            let store = Faulty::new(due(35).await).failing(at, when);
            let upkeep = Upkeep::default().batch(10);
            upkeep.pass(&store).await.unwrap_err();
            let done = at * 10
                + if when == When::After {
                    10.min(35 - at * 10)
                } else {
                    0
                };
            let pass = upkeep.pass(&store).await.unwrap();
            assert_eq!(pass.forgotten, 35 - done, "{when:?} at {at}");
            remembers_the_rest(&store, 35).await;
        }
    }
}

/// A drop takes nothing with it that must be kept, and keeps nothing from the next pass.
#[tokio::test(start_paused = true)]
async fn a_pass_may_be_dropped_at_each_await() {
    let current = RefCell::new(None);
    let upkeep = Upkeep::default().batch(10);
    let start = || async {
        let store = due(35).await;
        current.replace(Some(store.clone()));
        upkeep.pass(&store).await.unwrap()
    };
    let check = async |polls: usize| {
        let Some(store) = current.take() else {
            return assert_eq!(polls, 0, "it began");
        };
        let left = upkeep.pass(&store).await.unwrap();
        assert_eq!(
            left.forgotten,
            35 - 10 * u64::try_from(polls.min(3)).unwrap(),
            "{polls}"
        );
        assert!(left.all);
        remembers_the_rest(&store, 35).await;
    };
    let (pass, dropped) = cancel_at_each_await(start, check).await;
    assert_eq!((pass.forgotten, dropped), (35, 4));
}

/// Settings survive being written down, and a misspelt one is refused.
#[test]
fn settings_deserialize() {
    let upkeep: Upkeep =
        serde_json::from_str(r#"{ "batch": 7, "at_most": 9, "every": { "secs": 1, "nanos": 0 } }"#).unwrap();
    let expected = Upkeep::default()
        .batch(7)
        .at_most(9)
        .every(Duration::from_secs(1));
    assert_eq!(upkeep, expected);
    assert_eq!(serde_json::from_str::<Upkeep>("{}").unwrap(), Upkeep::default());
    assert!(serde_json::from_str::<Upkeep>(r#"{ "bach": 7 }"#).is_err());
}
