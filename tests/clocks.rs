//! The store's clock jumps while the time of the processes goes on as it should. What the guide says of that (`stores`, "Time") is shown
//! here, the limit too.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate::idempotency::{Finding, IdempotencyLayer, Resolution, resolve_open};
use tollgate_core::gateway::{Call, Payment, Sale};
use tollgate_core::id::DownstreamKey;
use tollgate_core::store::audit::{AuditStore, Receipt, chain};
use tollgate_core::store::idempotency::{Begin, Begun, IdempotencyStore, Phase, Settled, Settlement};
use tollgate_core::store::memory::{MemoryAudit, MemoryIdempotency};
use tollgate_core::{ManualClock, PaymentError, Secrets, Timestamp};
use tollgate_testkit::samples::{begin, claim, completion, key, payment, sale};
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A request takes so long to arrive at the gateway. Shorter than a third of the lease, as it should be.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

type Client = BoxCloneSyncService<Call<Sale>, Payment, PaymentError>;

/// What the gateway has charged: the keys that it saw, and how often.
#[derive(Clone, Default)]
struct Books(Arc<Mutex<(HashSet<DownstreamKey>, u32)>>);

impl Books {
    fn charged(&self) -> u32 {
        self.0.lock().unwrap().1
    }

    /// Charges, unless it knows the key and heeds it.
    fn charge(&self, key: DownstreamKey, heeds_keys: bool) {
        let mut books = self.0.lock().unwrap();
        if books.0.insert(key) || !heeds_keys {
            books.1 += 1;
        }
    }
}

struct World {
    clock: ManualClock,
    store: MemoryIdempotency,
    books: Books,
    client: Client,
}

impl World {
    fn new(heeds_keys: bool) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
        let store = MemoryIdempotency::with(1_000, clock.clone());
        let books = Books::default();
        let gateway = {
            let books = books.clone();
            service_fn(move |call: Call<Sale>| {
                let books = books.clone();
                async move {
                    let key = call.context.key.unwrap().downstream_key("acme");
                    tokio::time::sleep(ON_ITS_WAY).await;
                    books.charge(key, heeds_keys);
                    Ok(payment(1, call.message.payment))
                }
            })
        };
        let guard = IdempotencyLayer::dangerous_gateway(store.clone(), Secrets::ephemeral());
        let client = BoxCloneSyncService::new(ServiceBuilder::new().layer(guard).service(gateway));
        Self {
            clock,
            store,
            books,
            client,
        }
    }

    /// A call that is on its way when this returns.
    async fn under_way(&self) -> tokio::task::JoinHandle<Result<Payment, PaymentError>> {
        let call = tokio::spawn(self.client.clone().oneshot(sale("order-1")));
        self.pass(SECOND).await;
        call
    }

    /// Time passes, for everybody.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
        self.clock.advance(time);
    }

    /// Somebody looks at the gateway and says this of whatever is open.
    async fn look(&self, finding: Finding) -> Resolution {
        let look = |_| std::future::ready(finding.clone());
        resolve_open(&self.store, "test", look).await.unwrap()
    }
}

fn absent() -> Finding {
    Finding::Absent {
        reason: "not there".into(),
    }
}

/// Forward, past the lease of a call that runs: it is in doubt for others, nobody else sends, and its own word ends the doubt.
#[tokio::test(start_paused = true)]
async fn a_jump_forward_makes_a_running_call_doubtful_until_it_ends() {
    for swept in [false, true] {
        let world = World::new(false);
        let call = world.under_way().await;
        world.clock.advance(HOUR);
        if swept {
            assert_eq!(world.store.sweep(10).await.unwrap(), 1);
        }
        let repeat = world.client.clone().oneshot(sale("order-1")).await.unwrap_err();
        assert_eq!(repeat.code(), Some("outcome-unknown"));
        let payment = call.await.unwrap().unwrap();
        assert_eq!(
            world.client.clone().oneshot(sale("order-1")).await.unwrap(),
            payment
        );
        assert_eq!(world.books.charged(), 1);
    }
}

/// Whether a look that finds nothing during the jump leads to a second charge is up to the gateway, and to whoever looks: a lease, which
/// keeps such a look from counting while the request may be on its way, is over by the store's clock and not in truth.
#[tokio::test(start_paused = true)]
async fn a_jump_forward_lets_absence_be_declared_of_a_running_call() {
    for (heeds_keys, finding, charged) in [
        // as `operations` says: absence may end a doubt at a gateway that knows the key again
        (true, absent(), 1),
        // and proves nothing at one that does not
        (false, Finding::StillOpen, 1),
        // the limit: two charges
        (false, absent(), 2),
    ] {
        let world = World::new(heeds_keys);
        let call = world.under_way().await;
        world.clock.advance(HOUR);
        let released = world.look(finding.clone()).await.released;
        assert_eq!(released, u64::from(finding != Finding::StillOpen));
        let repeat = tokio::spawn(world.client.clone().oneshot(sale("order-1")));
        assert!(call.await.unwrap().is_ok());
        let _ = repeat.await.unwrap();
        assert_eq!(world.books.charged(), charged, "{heeds_keys} {finding:?}");
    }
}

/// The clock is set right before the look is over: then it was too early, whatever it found.
#[tokio::test(start_paused = true)]
async fn a_look_that_began_in_a_jump_is_judged_by_the_clock_set_right() {
    let world = World::new(false);
    let call = world.under_way().await;
    world.clock.advance(HOUR);
    let look = |_| {
        let right = tollgate_core::Clock::now(&world.clock).saturating_sub(HOUR);
        world.clock.set(right);
        std::future::ready(absent())
    };
    let pass = resolve_open(&world.store, "test", look).await.unwrap();
    assert_eq!((pass.released, pass.open), (0, 1));
    assert!(call.await.unwrap().is_ok());
    assert_eq!(world.books.charged(), 1);
}

/// Back: an owner that is lost is found out as much later, and a claim that never began is taken over as much later.
#[tokio::test]
async fn a_jump_back_makes_leases_longer() {
    for arm in [false, true] {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
        let store = MemoryIdempotency::with(10, clock.clone());
        let first = Begin {
            arm,
            ..begin(key(1), 1)
        };
        claim(&store, first).await;
        clock.set(Timestamp::from_unix_seconds(1_700_000_000).saturating_sub(HOUR));
        clock.advance(HOUR);
        assert_eq!(store.sweep(10).await.unwrap(), 0);
        assert_eq!(store.unresolved(None, 10).await.unwrap(), []);
        let begun = store.begin(begin(key(1), 2)).await.unwrap();
        assert!(matches!(begun, Begun::InFlight { .. }), "{begun:?}");
        clock.advance(SECOND * 61);
        match store.begin(begin(key(1), 2)).await.unwrap() {
            Begun::Unknown { .. } => assert!(arm),
            Begun::Acquired(token) => assert!(!arm && token.epoch == 2),
            other => panic!("{other:?}"),
        }
    }
}

/// Forward, past the retention: the answer is forgotten, and the key stays spent, also once the clock is set right: its tombstone counts
/// from when the answer was forgotten.
#[tokio::test]
async fn a_jump_forward_costs_answers_and_frees_no_key() {
    let start = Timestamp::from_unix_seconds(1_700_000_000);
    let clock = ManualClock::at(start);
    let store = MemoryIdempotency::with(10, clock.clone());
    let token = claim(&store, begin(key(1), 1)).await;
    let done = Settlement::Completed(completion(b"charged"));
    assert_eq!(store.settle(token, &done).await.unwrap(), Settled::Applied);
    clock.advance(DAY * 365);
    for _ in 0..3 {
        store.collect(DAY, 10).await.unwrap();
    }
    for time in [start.saturating_add(DAY * 365), start] {
        clock.set(time);
        store.collect(DAY, 10).await.unwrap();
        assert_eq!(store.begin(begin(key(1), 2)).await.unwrap(), Begun::Expired);
        assert_eq!(store.get(token.key).await.unwrap().unwrap().phase, Phase::Expired);
    }
}

/// Entries of a chain follow each other by number and hash, whatever their times are.
#[tokio::test]
async fn an_audit_chain_needs_no_clock() {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
    let store = MemoryAudit::with(clock.clone());
    for seconds in [1_700_000_000, 1_600_000_000, 1_800_000_000, -5] {
        clock.set(Timestamp::from_unix_seconds(seconds));
        store.append("c", b"entry"[..].into()).await.unwrap();
    }
    let entries = store.read("c", 0, 10).await.unwrap();
    let head = store.head("c").await.unwrap();
    assert_eq!(chain::verify("c", Receipt::START, &entries, Some(head)), Ok(head));
}
