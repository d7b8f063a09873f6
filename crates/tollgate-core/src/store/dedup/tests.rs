use super::rule::{self, Change};
use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Claim(u8),
    Commit(usize),
    Release(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..2).prop_map(Step::Claim),
        (0usize..6).prop_map(Step::Commit),
        (0usize..6).prop_map(Step::Release),
        (0u64..40).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever the deliveries do: at most one holds a live claim, and nothing is claimed again once it is done.
    #[test]
    fn one_claim_at_a_time_and_none_after_done(steps in proptest::collection::vec(step(), 0..60)) {
        let (mut record, mut now) = (None::<EventRecord>, Timestamp::EPOCH);
        let (mut tickets, mut done) = (Vec::<Ticket>::new(), None::<Timestamp>);
        for step in steps {
            let change = match step {
                Step::Wait(seconds) => {
                    now = now.saturating_add(Duration::from_secs(seconds));
                    Change::Keep
                }
                Step::Claim(body) => {
                    let claim = Claim {
                        key: EventKey([1; 32]), digest: EventDigest([body; 32]), lease: Duration::from_secs(10),
                    };
                    let live = record.is_some_and(|r: EventRecord| !r.done && r.until > now);
                    let (change, answer) = rule::claim(record.as_ref(), &claim, now);
                    if let Claimed::Acquired(ticket) = answer {
                        prop_assert!(!live, "two live claims");
                        prop_assert!(done.is_none_or(|until| until <= now), "claimed after it was done");
                        tickets.push(ticket);
                        done = None;
                    }
                    change
                }
                Step::Commit(at) => match tickets.get(at) {
                    Some(ticket) => {
                        let (change, ok) = rule::commit(record.as_ref(), ticket, Duration::from_secs(100), now);
                        prop_assert_eq!(ok, Some(ticket) == tickets.last());
                        if let Change::Put(r) = change { done = Some(r.until) }
                        change
                    }
                    None => Change::Keep,
                },
                Step::Release(at) => match tickets.get(at) {
                    Some(ticket) => rule::release(record.as_ref(), ticket, now).0,
                    None => Change::Keep,
                },
            };
            if let Change::Put(next) = change { record = Some(next) }
        }
    }
}

#[test]
fn the_same_id_with_other_bytes_is_not_the_same_event() {
    let claim = |body| Claim {
        key: EventKey([1; 32]),
        digest: EventDigest([body; 32]),
        lease: Duration::from_secs(10),
    };
    let (Change::Put(record), _) = rule::claim(None, &claim(1), Timestamp::EPOCH) else {
        panic!()
    };
    assert_eq!(
        rule::claim(Some(&record), &claim(2), Timestamp::EPOCH).1,
        Claimed::Conflict
    );
}
