//! The engine against a shop whose peers fail in every way, and whose own books count what really happened.

mod crash;
mod engines;
mod explore;
mod faults;
mod people;
mod rules;
mod seed;
mod seed_values;
mod sqlite;
mod steps;
mod versions;

use crate::{
    Definition, Effected, Outcome, Policy, Probed, Refusal, Run, Sagas, Settled, StepContext, Undone, step,
};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_core::store::memory::MemorySaga;
use tollgate_core::store::saga::{SagaId, SagaJournal};
use tollgate_core::{Clock, ManualClock, PaymentError, Timestamp};
use tollgate_testkit::RuntimeClock;

pub(super) const LEASE: Duration = Duration::from_secs(30);

/// Follows the runtime's clock, paused or not.
pub(super) fn runtime_clock() -> RuntimeClock {
    RuntimeClock::at(Timestamp::from_unix_seconds(1_700_000_000))
}

/// A clock that follows the runtime's, and a journal on it.
pub(super) fn shared() -> (RuntimeClock, MemorySaga) {
    let clock = runtime_clock();
    (clock.clone(), MemorySaga::with(clock))
}

pub(super) fn manual() -> ManualClock {
    ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000))
}

/// What a peer does with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// Says no, for good.
    Refuses,
    /// Is not reached.
    NotSent,
    /// Does it, and the answer is lost.
    AnswerLost,
    /// Does not do it, and nobody can tell.
    RequestLost,
    /// Does it, and our own code panics over the answer.
    PanicsAfter,
    /// Our own code panics before it is sent.
    PanicsBefore,
    /// Does it and never answers.
    HangsAfter,
    /// Does nothing and never answers.
    HangsBefore,
}

impl Fault {
    pub(super) const ALL: [Self; 8] = [
        Self::Refuses,
        Self::NotSent,
        Self::AnswerLost,
        Self::RequestLost,
        Self::PanicsAfter,
        Self::PanicsBefore,
        Self::HangsAfter,
        Self::HangsBefore,
    ];
}

/// The books of all peers.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Operation and key: how often it was asked for; what is here has happened, once.
    happened: BTreeMap<(&'static str, String), u32>,
    /// How often a peer was asked, whatever came of it.
    pub(super) asked: HashMap<&'static str, u32>,
    /// Something that must never happen.
    pub(super) wrongs: Vec<String>,
}

impl Books {
    pub(super) fn count(&self, operation: &str) -> usize {
        self.happened
            .keys()
            .filter(|(name, _)| *name == operation)
            .count()
    }

    fn has(&self, operation: &'static str, key: &str) -> bool {
        self.happened.contains_key(&(operation, key.to_owned()))
    }
}

/// The peers, and what they will do next.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) books: Mutex<Books>,
    /// Per operation: faults to come, in order; the last of `always` stays.
    next: Mutex<HashMap<&'static str, VecDeque<Fault>>>,
    always: Mutex<HashMap<&'static str, Fault>>,
}

impl World {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn fails(&self, operation: &'static str, fault: Fault, times: usize) -> &Self {
        self.next
            .lock()
            .unwrap()
            .entry(operation)
            .or_default()
            .extend(vec![fault; times]);
        self
    }

    pub(super) fn always_fails(&self, operation: &'static str, fault: Fault) -> &Self {
        self.always.lock().unwrap().insert(operation, fault);
        self
    }

    pub(super) fn mends(&self, operation: &'static str) {
        self.always.lock().unwrap().remove(operation);
    }

    pub(super) fn count(&self, operation: &str) -> usize {
        self.books.lock().unwrap().count(operation)
    }

    pub(super) fn asked(&self, operation: &str) -> u32 {
        self.books
            .lock()
            .unwrap()
            .asked
            .get(operation)
            .copied()
            .unwrap_or(0)
    }

    fn fault(&self, operation: &'static str) -> Option<Fault> {
        let coming = self
            .next
            .lock()
            .unwrap()
            .get_mut(operation)
            .and_then(VecDeque::pop_front);
        coming.or_else(|| self.always.lock().unwrap().get(operation).copied())
    }

    /// A peer that deduplicates on the key, and refuses what makes no sense.
    async fn peer(&self, operation: &'static str, key: String, forbids: Option<&'static str>) -> Outcome<()> {
        *self.books.lock().unwrap().asked.entry(operation).or_default() += 1;
        let fault = self.fault(operation);
        let book = || -> Result<(), Refusal> {
            let mut books = self.books.lock().unwrap();
            if let Some(other) = forbids
                && books.count(other) > 0
                && !books.has(operation, &key)
            {
                books.wrongs.push(format!("{operation} after {other}"));
                return Err(Refusal::new(format!("{operation} after {other}")));
            }
            *books.happened.entry((operation, key.clone())).or_default() += 1;
            Ok(())
        };
        tokio::task::yield_now().await;
        let known = self.books.lock().unwrap().has(operation, &key);
        match fault {
            // a peer that has done it under this key says so, it does not refuse it
            Some(Fault::Refuses) if !known => return Outcome::Refused(Refusal::new("no")),
            Some(Fault::NotSent) => return Err(PaymentError::not_connected("no route")).into_outcome_(),
            Some(Fault::RequestLost) => return Err(PaymentError::timeout("lost")).into_outcome_(),
            Some(Fault::PanicsBefore) => panic!("before"),
            Some(Fault::HangsBefore) => std::future::pending::<()>().await,
            _ => {}
        }
        if let Err(refusal) = book() {
            return Outcome::Refused(refusal);
        }
        tokio::task::yield_now().await;
        match fault {
            Some(Fault::AnswerLost) => Err(PaymentError::timeout("lost")).into_outcome_(),
            Some(Fault::PanicsAfter) => panic!("after"),
            Some(Fault::HangsAfter) => {
                std::future::pending::<()>().await;
                Outcome::Done(())
            }
            _ => Outcome::Done(()),
        }
    }

    /// What must hold whenever a saga rests.
    pub(super) fn assert_right(&self, settled: &Settled<String>, told: &str) {
        let books = self.books.lock().unwrap();
        let count = |operation| books.count(operation);
        assert_eq!(books.wrongs, Vec::<String>::new(), "{told}");
        // one effect per step, whatever was sent how often
        for operation in [
            "reserve",
            "authorize",
            "capture",
            "ship",
            "release",
            "void",
            "refund",
        ] {
            assert!(
                count(operation) <= 1,
                "{operation} happened {} times: {told}",
                count(operation)
            );
        }
        let open_stock = count("reserve") - count("release");
        let open_hold = count("authorize") - count("void").max(count("capture"));
        let open_money = count("capture") - count("refund");
        match settled {
            Settled::Completed(_) => {
                assert_eq!(
                    (open_stock, open_hold, open_money, count("ship")),
                    (1, 0, 1, 1),
                    "{told}"
                );
            }
            Settled::Compensated(_) => {
                assert_eq!(
                    (open_stock, open_hold, open_money, count("ship")),
                    (0, 0, 0, 0),
                    "{told}"
                );
            }
            Settled::Parked(cases) => assert!(!cases.is_empty(), "{told}"),
            Settled::Abandoned => panic!("nobody abandoned it: {told}"),
        }
    }
}

trait IntoOutcomeShort {
    fn into_outcome_(self) -> Outcome<()>;
}

impl IntoOutcomeShort for Result<(), PaymentError> {
    fn into_outcome_(self) -> Outcome<()> {
        crate::IntoOutcome::into_outcome(self)
    }
}

type Cx = StepContext<Arc<World>>;

async fn forward(cx: Cx, operation: &'static str) -> Outcome<String> {
    let key = cx.key("peer").to_string();
    let done = cx.deps().peer(operation, key.clone(), None).await;
    done.map(|()| format!("{operation} {}", cx.business_key()))
}

async fn undo(
    cx: Cx,
    what: &'static str,
    how: &'static str,
    forbids: Option<&'static str>,
    effect: Effected<String>,
) -> Outcome<Undone> {
    let forward_key = cx.forward_key("peer").to_string();
    let there = cx.deps().books.lock().unwrap().has(what, &forward_key);
    if let Effected::Known(output) = &effect {
        assert!(there, "{what} is said to have happened");
        assert_eq!(*output, format!("{what} {}", cx.business_key()));
    }
    let key = cx.key("peer").to_string();
    if !there {
        return Outcome::Done(Undone::NothingThere);
    }
    cx.deps().peer(how, key, forbids).await.map(|()| Undone::Reverted)
}

async fn probe(cx: Cx, operation: &'static str) -> Outcome<Probed<String>> {
    let key = cx.forward_key("peer").to_string();
    let found = cx.deps().books.lock().unwrap().has(operation, &key);
    Outcome::Done(match found {
        true => Probed::Found(format!("{operation} {}", cx.business_key())),
        false => Probed::NotFound,
    })
}

pub(super) type Checkout = Definition<u64, String>;

/// Reserve, authorize, capture, ship: the last is the pivot.
pub(super) fn checkout(world: &Arc<World>, version: u32, probes: bool) -> Checkout {
    let quick = Policy::default().timeout(Duration::from_secs(1));
    Definition::new("checkout", version, Arc::clone(world), |mut flow, order| {
        let mut reserve = step("reserve", |cx: Cx, _: u64| forward(cx, "reserve"))
            .undo(|cx, _, effect| undo(cx, "reserve", "release", None, effect))
            .policy(quick);
        if probes {
            reserve = reserve.probe(|cx, _| probe(cx, "reserve"));
        }
        let stock = flow.step(reserve, order);
        let mut authorize = step("authorize", |cx: Cx, _: (u64, String)| forward(cx, "authorize"))
            .undo(|cx, _, effect| undo(cx, "authorize", "void", Some("capture"), effect))
            .policy(quick);
        if probes {
            authorize = authorize.probe(|cx, _| probe(cx, "authorize"));
        }
        let hold = flow.step(authorize, (order, stock));
        let mut capture = step("capture", |cx: Cx, _: String| forward(cx, "capture"))
            .undo(|cx, _, effect| undo(cx, "capture", "refund", None, effect))
            .supersedes(hold)
            .policy(quick);
        if probes {
            capture = capture.probe(|cx, _| probe(cx, "capture"));
        }
        let receipt = flow.step(capture, hold);
        let mut ship = step("ship", |cx: Cx, _: (String, String)| forward(cx, "ship")).policy(quick);
        if probes {
            ship = ship.probe(|cx, _| probe(cx, "ship"));
        }
        let (parcel, flow) = flow.pivot(ship, (stock, receipt));
        flow.finish(parcel)
    })
    .unwrap()
}

pub(super) fn engine<J: SagaJournal>(journal: J, checkout: &Checkout, clock: impl Clock) -> Sagas<J> {
    Sagas::on(journal)
        .register(checkout)
        .lease(LEASE)
        .clock(clock)
        .open()
        .unwrap()
}

/// One saga from start to rest.
pub(super) async fn settle<J: SagaJournal>(
    sagas: &Sagas<J>,
    checkout: &Checkout,
) -> (SagaId, Settled<String>) {
    let run: Run<J, String> = sagas.start(checkout, "order-1", &7).await.unwrap();
    (run.id(), run.wait().await.unwrap())
}

/// A shop with one engine on a journal of its own.
pub(super) struct Shop {
    pub(super) world: Arc<World>,
    pub(super) journal: MemorySaga,
    pub(super) checkout: Checkout,
    pub(super) sagas: Sagas<MemorySaga>,
}

impl Shop {
    /// Whose steps can, or cannot, be probed. What its peers will do wrong is said afterwards.
    pub(super) fn new(probes: bool) -> Self {
        let (clock, journal) = shared();
        let world = World::new();
        let checkout = checkout(&world, 1, probes);
        let sagas = engine(journal.clone(), &checkout, clock);
        Self {
            world,
            journal,
            checkout,
            sagas,
        }
    }

    /// One order, from start to rest.
    pub(super) async fn settle(&self) -> (SagaId, Settled<String>) {
        settle(&self.sagas, &self.checkout).await
    }
}

/// One saga of this definition, from start to rest, on an engine that knows no other.
pub(super) async fn alone<T>(
    definition: &Definition<u64, T>,
    journal: MemorySaga,
    clock: RuntimeClock,
) -> Settled<T> {
    let sagas = Sagas::on(journal)
        .register(definition)
        .clock(clock)
        .open()
        .unwrap();
    let run = sagas.start(definition, "a", &1).await.unwrap();
    run.wait().await.unwrap()
}
