use super::rule;
use super::*;
use crate::clock::Timestamp;
use proptest::prelude::*;

fn quota(units: u32, burst: u32) -> Quota {
    Quota::per_second(NonZeroU32::new(units).unwrap()).burst(NonZeroU32::new(burst).unwrap())
}

proptest! {
    /// Exactly: in no span of time more than the burst plus what the rate allows, and it lets through when it said so.
    #[test]
    fn never_more_than_agreed_and_exactly_when_it_said(
        calls in proptest::collection::vec((0u64..400_000, 1u32..4), 1..200), units in 1u32..50, burst in 3u32..20
    ) {
        let quota = quota(units, burst);
        let (mut now, mut arrival, mut granted) = (Timestamp::EPOCH, None, Vec::new());
        for (step, cost) in calls {
            now = now.saturating_add(Duration::from_micros(step));
            match rule::take(arrival, &quota, cost, now) {
                Ok(next) => {
                    arrival = Some(next);
                    granted.push((now, cost));
                }
                Err(wait) => {
                    prop_assert!(wait > Duration::ZERO); // tower-governor #62: a wait of 0 makes clients hammer
                    prop_assert!(rule::take(arrival, &quota, cost, now.saturating_add(wait)).is_ok());
                    let sooner = wait - Duration::from_micros(1);
                    prop_assert!(rule::take(arrival, &quota, cost, now.saturating_add(sooner)).is_err());
                }
            }
        }
        for (index, (from, _)) in granted.iter().enumerate() {
            let mut used = 0u64;
            for (at, cost) in &granted[index..] {
                used += u64::from(*cost);
                let interval = quota.interval().as_micros();
                let allowed = u128::from(quota.at_once()) + at.since(*from).as_micros() / interval;
                prop_assert!(u128::from(used) <= allowed);
            }
        }
    }

    /// A clock that goes back gives nothing away, and makes a quota that was in use wait for as long, and no longer.
    #[test]
    fn a_clock_that_goes_back_costs_that_time(
        taken in 1u32..20, back in 0u64..10_000_000_000, cost in 1u32..20, units in 1u32..50
    ) {
        let quota = quota(units, 19);
        let then = Timestamp::from_unix_seconds(1_000_000);
        let back = Duration::from_micros(back);
        let now = then.saturating_sub(back);
        let arrival = rule::take(None, &quota, taken, then).unwrap();
        let wait = rule::take(Some(arrival), &quota, cost, now).err().unwrap_or_default();
        let still = rule::take(Some(arrival), &quota, cost, then).err().unwrap_or_default();
        prop_assert!(still <= wait && wait <= still + back, "{still:?} {wait:?}");
        prop_assert!(rule::take(Some(arrival), &quota, cost, now.saturating_add(wait)).is_ok());
    }

    #[test]
    fn what_is_given_back_can_be_taken_again(cost in 1u32..10) {
        let quota = quota(10, 10);
        let now = Timestamp::from_unix_seconds(1);
        let taken = rule::take(None, &quota, cost, now).unwrap();
        let back = rule::give_back(taken, &quota, cost, now);
        prop_assert_eq!(rule::left(back, &quota, now).0, 10);
        prop_assert!(rule::give_back(back, &quota, 99, now) >= now); // never more than was taken
    }
}

#[test]
fn all_or_nothing() {
    let key = |n| QuotaKey([n; 32]);
    let takes = [
        Take {
            key: key(1),
            quota: quota(10, 10),
            cost: 1,
        },
        Take {
            key: key(2),
            quota: quota(1, 1),
            cost: 1,
        },
        Take {
            key: key(2),
            quota: quota(1, 1),
            cost: 1,
        },
    ];
    let now = Timestamp::EPOCH;
    assert!(rule::take_all(&[None; 2], &takes[..2], now).is_ok());
    // the second take of one key sees the first
    let refused = rule::take_all(&[None; 3], &takes, now).unwrap_err();
    assert_eq!(
        refused,
        Taken::Refused {
            index: 2,
            retry_after: Duration::from_secs(1)
        }
    );
}

#[test]
fn a_cost_that_never_fits_says_so() {
    assert_eq!(
        rule::take(None, &quota(5, 5), 6, Timestamp::EPOCH),
        Err(Duration::MAX)
    );
}

#[test]
fn one_in_all_time_is_one() {
    let once = Quota::new(NonZeroU32::MIN, Duration::MAX);
    let arrival = rule::take(None, &once, 1, Timestamp::EPOCH).unwrap();
    let later = Timestamp::from_unix_seconds(1_000_000);
    assert_eq!(rule::take(Some(arrival), &once, 1, later), Err(Duration::MAX));
}
