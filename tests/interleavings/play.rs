//! One play: callers of one key, gates that are opened in a chosen order, and a judgement at the end.

use super::gates::{Flaw, GatedStore, Gates, How, Place};
use super::gateway::{Answer, Counting, booked_payment};
use super::schedule::Choices;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tollgate::Gateway;
use tollgate::idempotency::{
    ArmPolicy, Finding, IdempotencyConfig, IdempotencyLayer, WhileInFlight, resolve_open, stored_answer,
};
use tollgate_core::gateway::{Call, Sale};
use tollgate_core::store::idempotency::{IdempotencyStore, Phase};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::{ManualClock, PaymentErrorKind, Secrets};
use tollgate_testkit::samples::sale;
use tower::{Layer, ServiceExt};

/// What a play begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) callers: usize,
    pub(crate) arm: ArmPolicy,
    /// How often a repeat looks again before it gives up; each look is 50 ms after the last.
    pub(crate) looks: u32,
    /// How many callers hang up.
    pub(crate) hang_ups: u32,
    /// How many steps of store and gateway go wrong.
    pub(crate) faults: u32,
    /// Whether the lease may lapse, once.
    pub(crate) lapses: bool,
    /// What is wrong with the store.
    pub(crate) flaw: Option<Flaw>,
}

const LEASE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// What can happen next.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "the place is told when a play fails")]
enum Event {
    Opens(usize, Place, How),
    /// It is opened, and its caller hangs up before it hears of it.
    OpensUnheard(usize, Place, usize),
    HangsUp(usize),
    Lapses,
    /// A moment passes: whoever waits for the first call looks again, whoever could not settle tries again.
    Passes,
}

struct Caller {
    call: Option<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    woken: Arc<Woken>,
    answer: Option<Answer>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

struct Play {
    plan: Plan,
    clock: ManualClock,
    store: GatedStore,
    gateway: Counting,
    layer: IdempotencyLayer<GatedStore, Gateway>,
    callers: Vec<Caller>,
    happened: Vec<Event>,
    /// How often time may pass while somebody stands at a gate.
    moments: u32,
}

/// Plays the plan with these choices.
pub(crate) async fn play(plan: Plan, choices: &mut Choices) {
    let clock = ManualClock::default();
    let gates = Gates::default();
    let store = GatedStore {
        inner: MemoryIdempotency::with(6_400, clock.clone()),
        gates: gates.clone(),
        flaw: plan.flaw,
    };
    let wait = match plan.looks {
        0 => WhileInFlight::Refuse,
        looks => WhileInFlight::Wait(LOOK * looks),
    };
    let config = IdempotencyConfig::default()
        .lease(LEASE)
        .arm(plan.arm)
        .while_in_flight(wait);
    let layer = IdempotencyLayer::dangerous_gateway(store.clone(), Secrets::ephemeral()).config(config);
    let mut play = Play {
        plan,
        clock,
        store,
        gateway: Counting::new(gates),
        layer,
        callers: Vec::new(),
        happened: Vec::new(),
        moments: plan.looks,
    };
    play.start().await;
    while let Some(event) = play.choose(choices) {
        play.happen(event).await;
        assert!(play.gateway.booked() <= 1, "two charges: {:?}", play.happened);
    }
    play.judge().await;
}

impl Play {
    /// Every caller comes to its first gate. In which order they arrive there means nothing; in which order they pass does.
    async fn start(&mut self) {
        for _ in 0..self.plan.callers {
            self.callers.push(Caller {
                call: Some(Box::pin(
                    self.layer.layer(self.gateway.clone()).oneshot(sale("order-1")),
                )),
                woken: Arc::new(Woken(AtomicBool::new(true))),
                answer: None,
            });
        }
        self.settle_down().await;
    }

    /// All that can happen next, or `None` at the end.
    fn choose(&mut self, choices: &mut Choices) -> Option<Event> {
        let places = self.store.gates.places();
        let alive: Vec<usize> = (0..self.callers.len())
            .filter(|caller| self.callers[*caller].call.is_some())
            .collect();
        let mut events = Vec::new();
        for (number, place) in places.iter().copied().enumerate() {
            events.push(Event::Opens(number, place, How::Well));
            if self.plan.faults > 0 {
                events.extend(place.faults().iter().map(|how| Event::Opens(number, place, *how)));
            }
            if self.plan.hang_ups > 0 {
                events.extend(
                    alive
                        .iter()
                        .map(|caller| Event::OpensUnheard(number, place, *caller)),
                );
            }
        }
        if places.is_empty() {
            // only somebody who sleeps goes on by itself
            if alive.is_empty() && self.layer.running() == 0 {
                return None;
            }
            events.push(Event::Passes);
        } else if self.moments > 0 {
            events.push(Event::Passes);
        }
        if self.plan.hang_ups > 0 {
            events.extend(alive.iter().map(|caller| Event::HangsUp(*caller)));
        }
        if self.plan.lapses && !places.is_empty() {
            events.push(Event::Lapses);
        }
        let event = events[choices.among(events.len())];
        self.happened.push(event);
        Some(event)
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Opens(number, place, how) => {
                self.plan.faults -= u32::from(how != How::Well);
                self.moments += u32::from(how != How::Well && place == Place::Settle);
                self.store.gates.open(number, how);
            }
            Event::OpensUnheard(number, _, caller) => {
                self.store.gates.open(number, How::Well);
                self.hang_up(caller);
            }
            Event::HangsUp(caller) => self.hang_up(caller),
            Event::Lapses => {
                self.plan.lapses = false;
                self.clock.advance(LEASE * 2);
                tokio::time::advance(LEASE * 2).await;
            }
            Event::Passes => {
                self.moments = self.moments.saturating_sub(1);
                tokio::time::advance(LOOK).await;
            }
        }
        self.settle_down().await;
    }

    fn hang_up(&mut self, caller: usize) {
        self.plan.hang_ups -= 1;
        self.callers[caller].call = None;
    }

    /// Polls whoever was woken, and lets spawned tasks run, until all stand at gates or sleep.
    async fn settle_down(&mut self) {
        let (mut before, mut quiet) = (None, 0);
        while quiet < 2 {
            for caller in &mut self.callers {
                while caller.call.is_some() && caller.woken.0.swap(false, SeqCst) {
                    let waker = Waker::from(Arc::clone(&caller.woken));
                    let mut cx = Context::from_waker(&waker);
                    if let Some(call) = &mut caller.call
                        && let Poll::Ready(answer) = call.as_mut().poll(&mut cx)
                    {
                        caller.answer = Some(answer);
                        caller.call = None;
                    }
                }
            }
            tokio::task::yield_now().await;
            let now = Some((self.store.gates.arrived(), self.layer.running()));
            quiet = if before == now { quiet + 1 } else { 0 };
            before = now;
        }
    }

    /// Whatever happened: one charge at most, everybody who was told of it was told the same, and a repeat ends for good.
    async fn judge(&mut self) {
        let happened = format!("{:?}: {:?}", self.plan, self.happened);
        for answer in self.callers.iter().filter_map(|caller| caller.answer.as_ref()) {
            match answer {
                Ok(payment) => {
                    assert_eq!(payment.id.as_str(), "pay_0", "{happened}");
                    assert_eq!(
                        self.gateway.booked(),
                        1,
                        "told of a charge that is not there: {happened}"
                    );
                }
                Err(error) => assert_ne!(error.kind(), PaymentErrorKind::Declined, "{happened}"),
            }
        }
        assert_eq!(self.layer.running(), 0, "{happened}");
        self.store.gates.open_for_all();
        let doubtful = self.happened.iter().any(|event| match event {
            Event::Opens(_, _, how) => *how != How::Well,
            Event::Lapses => true,
            _ => false,
        });
        let repeated = self.repeat().await;
        assert!(
            self.gateway.booked() <= 1,
            "two charges after a repeat: {happened}"
        );
        match repeated {
            Ok(payment) => assert_eq!(payment.id.as_str(), "pay_0", "{happened}"),
            Err(error) => {
                // nobody who hangs up leaves a doubt behind: only what went wrong does
                assert!(doubtful, "{error:?} after {happened}");
                self.end_the_doubt(&happened).await;
            }
        }
        assert_eq!(self.gateway.booked(), 1, "{happened}");
    }

    async fn repeat(&self) -> Answer {
        self.layer
            .layer(self.gateway.clone())
            .oneshot(sale("order-1"))
            .await
    }

    /// Free once its lease has lapsed, or known to be unknown: it is listed, a look at the gateway ends it, and a repeat has its
    /// answer.
    async fn end_the_doubt(&self, happened: &str) {
        self.clock.advance(LEASE * 2);
        let unknown = match self.repeat().await {
            // it was never armed: taken over
            Ok(payment) => return assert_eq!(payment.id.as_str(), "pay_0", "{happened}"),
            Err(error) => error,
        };
        assert_eq!(unknown.kind(), PaymentErrorKind::UnknownOutcome, "{happened}");
        let open = self.store.unresolved(None, 10).await.unwrap();
        assert_eq!(open.len(), 1, "{happened}");
        assert_eq!(open[0].phase, Phase::Unknown, "{happened}");
        let pass = resolve_open(&self.store, "test", |_| self.look()).await.unwrap();
        assert_eq!((pass.open, pass.settled + pass.released), (0, 1), "{happened}");
        let answer = self.repeat().await;
        assert_eq!(answer.unwrap().id.as_str(), "pay_0", "{happened}");
    }

    async fn look(&self) -> Finding {
        match booked_payment(&self.gateway) {
            Some(payment) => Finding::Settled {
                completion: stored_answer::<Call<Sale>, _, _, _>(&Gateway, Answer::Ok(payment)).await,
                reason: "found".into(),
            },
            None => Finding::Absent {
                reason: "not found".into(),
            },
        }
    }
}
