//! Counters in the state they are found in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tollgate_core::store::Boxed;
use tollgate_core::store::velocity::{Admit, Admitted, VelocityKey, VelocityStore};
use tollgate_core::{Clock, ManualClock, Timestamp};
use tollgate_testkit::conformance::velocity as suite;
use tollgate_testkit::histories::{Histories, Plain};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    LeavesTheEventOut,
    RecordsRefusals,
    NeverSlides,
    CountsEvents,
    LetsTheFirstThrough,
    Wraps,
    OneCounter,
    CountsFirst,
}

const FLAWS: &[(Flaw, &[&str])] = &[
    (
        Flaw::LeavesTheEventOut,
        &["the_limit_holds_and_includes_the_event"],
    ),
    (Flaw::RecordsRefusals, &["a_refused_event_is_not_recorded"]),
    (Flaw::NeverSlides, &["the_window_slides"]),
    (Flaw::CountsEvents, &["weights_add_up"]),
    (
        Flaw::LetsTheFirstThrough,
        &["a_single_event_over_the_limit_is_refused"],
    ),
    (Flaw::Wraps, &["huge_weights_do_not_wrap"]),
    (Flaw::OneCounter, &["counters_do_not_touch_each_other"]),
    // seed F2
    (
        Flaw::CountsFirst,
        &["events_at_one_moment_never_exceed_the_limit"],
    ),
];

const UNSEEN: &[Flaw] = &[Flaw::CountsFirst];

fn walk(histories: &Histories, flaw: Flaw) {
    histories.velocity(async |clock| Plain(store(flaw, clock)));
}

tollgate_testkit::each_velocity_property!(proves_itself);

fn store(flaw: Flaw, clock: ManualClock) -> Flawed {
    Flawed {
        flaw,
        clock,
        events: Arc::default(),
    }
}

type Events = HashMap<VelocityKey, Vec<(Timestamp, u64)>>;

#[derive(Debug)]
struct Flawed {
    flaw: Flaw,
    clock: ManualClock,
    events: Arc<Mutex<Events>>,
}

impl VelocityStore for Flawed {
    type Future<T: Send + 'static> = Boxed<T>;

    fn admit(&self, asked: Admit) -> Boxed<Admitted> {
        let (flaw, now, events) = (self.flaw, self.clock.now(), Arc::clone(&self.events));
        let key = if flaw == Flaw::OneCounter {
            VelocityKey([0; 32])
        } else {
            asked.key
        };
        let weight = if flaw == Flaw::CountsEvents {
            1
        } else {
            asked.weight
        };
        Box::pin(async move {
            let before = {
                let mut events = events.lock().unwrap();
                let events = events.entry(key).or_default();
                let from = now.saturating_sub(asked.window);
                events.retain(|(at, _)| *at > from || flaw == Flaw::NeverSlides);
                let weights = events.iter().map(|(_, weight)| *weight);
                weights.fold(0, |sum: u64, weight| match flaw {
                    Flaw::Wraps => sum.wrapping_add(weight),
                    _ => sum.saturating_add(weight),
                })
            };
            if flaw == Flaw::CountsFirst {
                tokio::task::yield_now().await;
            }
            let total = match flaw {
                Flaw::Wraps => before.wrapping_add(weight),
                _ => before.saturating_add(weight),
            };
            let compared = if flaw == Flaw::LeavesTheEventOut {
                before
            } else {
                total
            };
            let within = compared <= asked.limit || (flaw == Flaw::LetsTheFirstThrough && before == 0);
            if within || flaw == Flaw::RecordsRefusals {
                events.lock().unwrap().entry(key).or_default().push((now, weight));
            }
            Ok(Admitted {
                within,
                total: if within { total } else { before },
            })
        })
    }
}
