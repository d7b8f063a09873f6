//! Limiters in the state they are found in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_core::store::Boxed;
use tollgate_core::store::quota::{QuotaKey, QuotaStore, Take, Taken, rule};
use tollgate_core::{Clock, ManualClock, Timestamp};
use tollgate_testkit::conformance::quota as suite;
use tollgate_testkit::histories::{Histories, Plain};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    KnowsNoLimit,
    NeverRefills,
    EarnsWithoutEnd,
    SaysNow,
    RefusalsCost,
    TakesFromSome,
    ForgetsTheFirst,
    SaysLater,
    GivesNothingBack,
    GivesCredit,
    OneQuota,
    Torn,
}

const FLAWS: &[(Flaw, &[&str])] = &[
    (
        Flaw::KnowsNoLimit,
        &["no_more_than_the_burst_at_once", "many_takers_share_one_quota"],
    ),
    (
        Flaw::NeverRefills,
        &["units_come_back_one_by_one", "a_refusal_says_when"],
    ),
    (Flaw::EarnsWithoutEnd, &["a_pause_earns_no_more_than_the_burst"]),
    (Flaw::SaysNow, &["a_refusal_says_when"]),
    (Flaw::RefusalsCost, &["a_refusal_takes_nothing"]),
    (Flaw::TakesFromSome, &["all_quotas_or_none"]),
    (Flaw::ForgetsTheFirst, &["two_takes_of_one_key_see_each_other"]),
    (Flaw::SaysLater, &["a_cost_that_never_fits_says_so"]),
    (Flaw::GivesNothingBack, &["what_is_given_back_can_be_taken_again"]),
    (Flaw::GivesCredit, &["no_more_is_given_back_than_was_taken"]),
    (Flaw::OneQuota, &["quotas_do_not_touch_each_other"]),
    (Flaw::Torn, &["many_takers_share_one_quota"]),
];

const UNSEEN: &[Flaw] = &[Flaw::Torn];

fn walk(histories: &Histories, flaw: Flaw) {
    histories.quota(async |clock| Plain(store(flaw, clock)));
}

tollgate_testkit::each_quota_property!(proves_itself);

fn store(flaw: Flaw, clock: ManualClock) -> Flawed {
    Flawed {
        flaw,
        clock,
        rows: Arc::default(),
    }
}

#[derive(Debug)]
struct Flawed {
    flaw: Flaw,
    clock: ManualClock,
    rows: Arc<Mutex<HashMap<QuotaKey, Timestamp>>>,
}

impl Flawed {
    fn key(&self, key: QuotaKey) -> QuotaKey {
        if self.flaw == Flaw::OneQuota {
            QuotaKey([0; 32])
        } else {
            key
        }
    }

    fn now(&self) -> Timestamp {
        if self.flaw == Flaw::NeverRefills {
            Timestamp::from_unix_seconds(1)
        } else {
            self.clock.now()
        }
    }
}

/// Without the step that forgets what a pause earned beyond the burst.
fn take_with_savings(arrival: Option<Timestamp>, take: &Take, now: Timestamp) -> Result<Timestamp, Duration> {
    let interval = take.quota.interval();
    let start = now.saturating_sub(interval * take.quota.at_once());
    let next = arrival.unwrap_or(now).saturating_add(interval * take.cost);
    let limit = start.saturating_add(interval * take.quota.at_once() * 2);
    if next <= limit {
        Ok(next)
    } else {
        Err(next.since(limit))
    }
}

fn take_all(
    flaw: Flaw,
    arrivals: &[Option<Timestamp>],
    takes: &[Take],
    now: Timestamp,
) -> Result<(Vec<Timestamp>, Taken), Taken> {
    let refusal = |index, retry_after| Taken::Refused { index, retry_after };
    let granted = Taken::Granted {
        remaining: 0,
        reset: Duration::ZERO,
    };
    match flaw {
        Flaw::KnowsNoLimit => Ok((vec![now; takes.len()], granted)),
        Flaw::EarnsWithoutEnd | Flaw::GivesCredit => {
            let next = takes
                .iter()
                .zip(arrivals)
                .map(|(take, arrival)| take_with_savings(*arrival, take, now));
            let next: Result<Vec<_>, _> = next.collect();
            next.map(|next| (next, granted)).map_err(|wait| refusal(0, wait))
        }
        Flaw::ForgetsTheFirst => {
            let mut next = Vec::new();
            let mut last = granted;
            for (arrival, take) in arrivals.iter().zip(takes) {
                let (one, taken) = rule::take_all(&[*arrival], &[*take], now)?;
                next.extend(one);
                last = taken;
            }
            Ok((next, last))
        }
        _ => match rule::take_all(arrivals, takes, now) {
            Err(Taken::Refused { index, .. }) if flaw == Flaw::SaysNow => Err(refusal(index, Duration::ZERO)),
            Err(Taken::Refused {
                index,
                retry_after: Duration::MAX,
            }) if flaw == Flaw::SaysLater => Err(refusal(index, Duration::from_secs(1))),
            answer => answer,
        },
    }
}

impl QuotaStore for Flawed {
    type Future<T: Send + 'static> = Boxed<T>;

    fn take(&self, takes: &[Take]) -> Boxed<Taken> {
        let takes: Vec<_> = takes
            .iter()
            .map(|take| Take {
                key: self.key(take.key),
                ..*take
            })
            .collect();
        let (flaw, now, rows) = (self.flaw, self.now(), Arc::clone(&self.rows));
        Box::pin(async move {
            let arrivals: Vec<_> = {
                let rows = rows.lock().unwrap();
                takes.iter().map(|take| rows.get(&take.key).copied()).collect()
            };
            if flaw == Flaw::Torn {
                tokio::task::yield_now().await;
            }
            let mut rows = rows.lock().unwrap();
            match take_all(flaw, &arrivals, &takes, now) {
                Ok((next, taken)) => {
                    rows.extend(takes.iter().map(|take| take.key).zip(next));
                    Ok(taken)
                }
                Err(refused) => {
                    let kept = match (flaw, refused) {
                        (Flaw::TakesFromSome, Taken::Refused { index, .. }) => &takes[..index],
                        (Flaw::RefusalsCost, _) => &takes[..],
                        _ => &[],
                    };
                    for take in kept {
                        let arrival = rows.get(&take.key).copied().unwrap_or(now);
                        rows.insert(
                            take.key,
                            arrival.saturating_add(take.quota.interval() * take.cost),
                        );
                    }
                    Ok(refused)
                }
            }
        })
    }

    fn give_back(&self, take: Take) -> Boxed<()> {
        let (flaw, now, key) = (self.flaw, self.now(), self.key(take.key));
        let mut rows = self.rows.lock().unwrap();
        let arrival = rows.get(&key).copied();
        let back = take.quota.interval() * take.cost;
        match (flaw, arrival) {
            (Flaw::GivesNothingBack, _) => {}
            (Flaw::GivesCredit, _) => {
                // a time in the past counts as credit, because taking does not look at now
                rows.insert(key, arrival.unwrap_or(now).saturating_sub(back * 5));
            }
            (_, Some(arrival)) => {
                rows.insert(key, rule::give_back(arrival, &take.quota, take.cost, now));
            }
            _ => {}
        }
        Box::pin(std::future::ready(Ok(())))
    }
}
