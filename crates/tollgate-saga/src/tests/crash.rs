//! The engine dies at every write and at every turn of the scheduler; the next one continues on what is left.

use super::{Fault, LEASE, World, checkout, engine, manual, runtime_clock};
use crate::Settled;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::runtime::Builder;
use tollgate_core::store::memory::MemorySaga;
use tollgate_core::store::saga::{Append, Created, Fenced, Journal, NewSaga, SagaId, SagaJournal, SagaState};
use tollgate_core::store::{Boxed, StoreError};

/// What happens at the chosen write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// The engine is cut off before it is written.
    DiesBefore,
    /// The engine is cut off after it was written.
    DiesAfter,
    /// Written, and the answer is lost; the engine lives.
    AnswerLost,
    /// Not written, and the engine hears so.
    Refused,
    /// Not written, and the engine cannot know.
    Doubtful,
    /// Written, and answered when the lease is over.
    Late,
}

pub(super) const EVERY: [At; 5] = [
    At::DiesBefore,
    At::DiesAfter,
    At::AnswerLost,
    At::Refused,
    At::Doubtful,
];

/// One engine's way to a journal that others share.
#[derive(Debug)]
pub(super) struct Cut<J> {
    journal: J,
    write: usize,
    at: At,
    writes: AtomicUsize,
    /// Nothing gets through any more.
    dead: AtomicBool,
    /// Its last write, too, has come to its end.
    buried: Arc<AtomicBool>,
}

/// A journal that answers its first write when the lease is over.
pub(super) fn late(journal: &MemorySaga) -> Arc<Cut<MemorySaga>> {
    Cut::new(journal, 0, At::Late)
}

/// A journal that takes this many writes, and then nothing more.
pub(super) fn dead(journal: &MemorySaga, writes: usize) -> Arc<Cut<MemorySaga>> {
    Cut::new(journal, writes, At::DiesBefore)
}

impl<J: SagaJournal + Clone> Cut<J> {
    pub(super) fn new(journal: &J, write: usize, at: At) -> Arc<Self> {
        Arc::new(Self {
            journal: journal.clone(),
            write,
            at,
            writes: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
            buried: Arc::default(),
        })
    }

    /// Dead, and what it wrote last stands in the journal or never will: only then may a test move the clock that leases follow.
    pub(super) fn is_buried(&self) -> bool {
        self.buried.load(SeqCst)
    }

    pub(super) fn was_reached(&self) -> bool {
        self.writes.load(SeqCst) > self.write
    }

    fn write<T: Send + 'static>(&self, write: impl FnOnce() -> J::Future<T>) -> Boxed<T> {
        if self.dead.load(SeqCst) {
            return gone();
        }
        if self.writes.fetch_add(1, SeqCst) != self.write {
            return Box::pin(write());
        }
        match self.at {
            At::DiesBefore => {
                self.dead.store(true, SeqCst);
                self.buried.store(true, SeqCst);
                gone()
            }
            At::DiesAfter | At::AnswerLost => {
                let dies = self.at == At::DiesAfter;
                self.dead.store(dies, SeqCst);
                let (written, buried) = (write(), Arc::clone(&self.buried));
                Box::pin(async move {
                    let answer = written.await;
                    buried.store(dies, SeqCst);
                    answer?;
                    gone().await
                })
            }
            At::Refused => Box::pin(async { Err(StoreError::unavailable("full")) }),
            At::Doubtful => gone(),
            At::Late => {
                let written = write();
                Box::pin(async move {
                    let answer = written.await;
                    tokio::time::sleep(LEASE * 2).await;
                    answer
                })
            }
        }
    }

    fn read<T: Send + 'static>(&self, read: impl FnOnce() -> J::Future<T>) -> Boxed<T> {
        if self.dead.load(SeqCst) {
            gone()
        } else {
            Box::pin(read())
        }
    }
}

fn gone<T: Send + 'static>() -> Boxed<T> {
    Box::pin(async { Err(StoreError::unavailable("no answer").possibly_applied()) })
}

impl<J: SagaJournal + Clone> SagaJournal for Cut<J> {
    type Future<T: Send + 'static> = Boxed<T>;

    fn create(&self, saga: NewSaga) -> Boxed<Created> {
        self.write(|| self.journal.create(saga))
    }
    fn append(&self, append: Append) -> Boxed<Fenced> {
        self.write(|| self.journal.append(append))
    }
    fn claim(&self, names: &[Arc<str>], lease: Duration, limit: u32) -> Boxed<Vec<Journal>> {
        self.read(|| self.journal.claim(names, lease, limit))
    }
    fn claim_one(&self, id: SagaId, lease: Duration) -> Boxed<Option<Journal>> {
        self.read(|| self.journal.claim_one(id, lease))
    }
    fn renew(&self, id: SagaId, epoch: u64, lease: Duration) -> Boxed<Fenced> {
        self.read(|| self.journal.renew(id, epoch, lease))
    }
    fn load(&self, id: SagaId) -> Boxed<Option<Journal>> {
        self.read(|| self.journal.load(id))
    }
    fn list(&self, state: SagaState, after: Option<SagaId>, limit: u32) -> Boxed<Vec<SagaId>> {
        self.read(|| self.journal.list(state, after, limit))
    }
}

/// What may go wrong besides the crash.
const WEATHER: [Option<(&str, Fault)>; 6] = [
    None,
    Some(("authorize", Fault::AnswerLost)),
    Some(("authorize", Fault::Refuses)),
    Some(("capture", Fault::RequestLost)),
    Some(("ship", Fault::Refuses)),
    Some(("ship", Fault::AnswerLost)),
];

/// How many writes a saga makes at most in these tests; the test says so if that is too few.
const WRITES: usize = 40;

#[tokio::test(start_paused = true)]
async fn at_every_write_in_every_way() {
    for weather in WEATHER {
        for at in EVERY {
            let mut reached_end = false;
            for write in 0..WRITES {
                let told = format!("{weather:?}, {at:?} at write {write}");
                let world = World::new();
                if let Some((step, fault)) = weather {
                    world.always_fails(step, fault);
                }
                let checkout = checkout(&world, 1, true);
                let clock = runtime_clock();
                let journal = MemorySaga::with(clock.clone());
                let cut = Cut::new(&journal, write, at);
                let first = engine(Arc::clone(&cut), &checkout, clock.clone());
                let started = first.start(&checkout, "order-1", &7).await;
                // whoever got no answer starts again with the same key, as they are told to
                tokio::time::sleep(LEASE * 20).await;
                let second = engine(journal.clone(), &checkout, clock);
                second.recover().await.unwrap();
                let run = second.start(&checkout, "order-1", &7).await.unwrap();
                let settled = run.wait().await.unwrap();
                world.assert_right(&settled, &told);
                assert!(!matches!(settled, Settled::Parked(_)), "{told}: {settled:?}");
                // a lost answer to the creation is looked for: the saga runs here
                assert!(started.is_ok() || at != At::AnswerLost, "{told}: {started:?}");
                if let Ok(first) = started {
                    assert_eq!(first.id(), run.id(), "{told}: one saga per key");
                }
                if !cut.was_reached() {
                    reached_end = true;
                    break;
                }
            }
            assert!(reached_end, "{weather:?}, {at:?}: more than {WRITES} writes");
        }
    }
}

/// The process is gone after n turns of the scheduler: in the middle of a request too.
#[test]
fn at_every_turn_of_the_scheduler() {
    let mut completed_at_once = false;
    for turns in 0..80 {
        for weather in WEATHER {
            let told = format!("{weather:?}, after {turns} turns");
            let world = World::new();
            if let Some((step, fault)) = weather {
                world.fails(step, fault, 1);
            }
            let checkout = checkout(&world, 1, true);
            let clock = manual();
            let journal = MemorySaga::with(clock.clone());
            let runtime = || {
                Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build()
                    .unwrap()
            };
            let first = runtime();
            first.block_on(async {
                let sagas = engine(journal.clone(), &checkout, clock.clone());
                let starting =
                    tokio::spawn(
                        async move { sagas.start(&checkout, "order-1", &7).await.map(|run| run.id()) },
                    );
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                drop(starting);
            });
            drop(first);
            completed_at_once |= weather.is_none() && world.count("ship") == 1;
            clock.advance(LEASE);
            let again = super::checkout(&world, 1, true);
            let settled = runtime().block_on(async {
                let sagas = engine(journal.clone(), &again, clock.clone());
                sagas.recover().await.unwrap();
                let run = sagas.start(&again, "order-1", &7).await.unwrap();
                run.wait().await.unwrap()
            });
            world.assert_right(&settled, &told);
            assert!(!matches!(settled, Settled::Parked(_)), "{told}: {settled:?}");
        }
    }
    assert!(completed_at_once, "80 turns do not reach the end");
}
