//! Waiters that leave, engines that meet, engines that fall silent, engines that close.

use super::{Fault, LEASE, World, checkout, engine, settle, shared};
use crate::{Definition, Effected, Policy, Sagas, Settled, StartError, StepContext, Undone, step};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tollgate_core::PaymentError;
use tollgate_core::store::memory::MemorySaga;
use tollgate_core::store::saga::{Append, Fenced, SagaJournal, SagaState};

/// dbos-transact-java #491: a recovery in the same instant adopted a saga that had just been started.
#[tokio::test(start_paused = true)]
async fn a_recovery_leaves_a_running_saga_alone() {
    let (clock, journal) = shared();
    let world = World::new();
    world.fails("authorize", Fault::HangsAfter, 2);
    let checkout = checkout(&world, 1, true);
    let one = engine(journal.clone(), &checkout, clock.clone());
    let two = engine(journal, &checkout, clock);
    let run = one.start(&checkout, "order-1", &7).await.unwrap();
    for _ in 0..20 {
        assert!(two.recover().await.unwrap().resumed.is_empty());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let settled = run.wait().await.unwrap();
    assert!(matches!(settled, Settled::Completed(_)));
    world.assert_right(&settled, "two engines");
}

/// A journal that takes longer to answer than the lease lasts: another engine has the saga by then, and this one sends nothing.
#[tokio::test(start_paused = true)]
async fn who_hears_too_late_sends_nothing() {
    let (clock, journal) = shared();
    let world = World::new();
    let checkout = checkout(&world, 1, true);
    let slow = engine(super::crash::late(&journal), &checkout, clock.clone());
    let quick = engine(journal, &checkout, clock);
    let starting = tokio::spawn({
        let checkout = checkout.clone();
        async move { settle(&slow, &checkout).await }
    });
    tokio::time::sleep(LEASE * 3 / 2).await;
    assert_eq!(quick.recover().await.unwrap().resumed.len(), 1);
    let (_, settled) = starting.await.unwrap();
    assert!(matches!(settled, Settled::Completed(_)));
    assert_eq!(world.asked("reserve"), 1);
}

/// A recovery that is given up in the middle of its first write leaves no waiter behind.
#[tokio::test(start_paused = true)]
async fn a_recovery_that_is_dropped_holds_nobody() {
    let (clock, journal) = shared();
    let world = World::new();
    world.fails("reserve", Fault::HangsBefore, 1);
    let checkout = checkout(&world, 1, true);
    let dying = engine(journal.clone(), &checkout, clock.clone());
    let id = dying.start(&checkout, "order-1", &7).await.unwrap().id();
    journal.renew(id, 1, Duration::ZERO).await.unwrap();
    let slow = engine(super::crash::late(&journal), &checkout, clock.clone());
    assert!(
        tokio::time::timeout(Duration::from_secs(1), slow.recover())
            .await
            .is_err()
    );
    let waiting = tokio::spawn({
        let checkout = checkout.clone();
        async move { settle(&slow, &checkout).await }
    });
    tokio::time::sleep(LEASE * 2).await;
    assert_eq!(
        engine(journal, &checkout, clock).recover().await.unwrap().resumed,
        [id]
    );
    let (_, settled) = tokio::time::timeout(LEASE, waiting).await.unwrap().unwrap();
    assert!(matches!(settled, Settled::Completed(_)));
}

/// An attempt longer than the lease: the heartbeat keeps the saga here.
#[tokio::test(start_paused = true)]
async fn a_long_step_keeps_its_lease() {
    let (clock, journal) = shared();
    let slow = Definition::new("slow", 1, (), |flow, number| {
        let (out, flow) = flow.pivot(
            step("sleep", |_: StepContext<()>, number: u64| async move {
                tokio::time::sleep(LEASE * 10).await;
                Ok::<_, PaymentError>(number)
            })
            .policy(Policy::default().timeout(LEASE * 20)),
            number,
        );
        flow.finish(out)
    })
    .unwrap();
    let open = || {
        Sagas::on(journal.clone())
            .register(&slow)
            .lease(LEASE)
            .clock(clock.clone())
            .open()
            .unwrap()
    };
    let run = open().start(&slow, "a", &5).await.unwrap();
    let other = open();
    for _ in 0..9 {
        tokio::time::sleep(LEASE).await;
        assert!(other.recover().await.unwrap().resumed.is_empty());
    }
    assert_eq!(run.wait().await.unwrap(), Settled::Completed(5));
}

#[tokio::test(start_paused = true)]
async fn many_recoverers_take_up_one_saga_once() {
    let (clock, journal) = shared();
    let world = World::new();
    let checkout = checkout(&world, 1, true);
    // an engine that dies after the first intent
    let dying = engine(journal.clone(), &checkout, clock.clone());
    world.fails("reserve", Fault::HangsBefore, 1);
    let id = dying.start(&checkout, "order-1", &7).await.unwrap().id();
    journal.renew(id, 1, Duration::ZERO).await.unwrap();
    let engines: Vec<_> = (0..8)
        .map(|_| engine(journal.clone(), &checkout, clock.clone()))
        .collect();
    let mut resumed = 0;
    for recovered in futures_of(&engines).await {
        resumed += recovered;
    }
    assert_eq!(resumed, 1);
    let settled = engines[0]
        .start(&checkout, "order-1", &7)
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert!(matches!(settled, Settled::Completed(_)));
    world.assert_right(&settled, "eight recoverers");
}

async fn futures_of(engines: &[Sagas<MemorySaga>]) -> Vec<usize> {
    let tasks: Vec<_> = engines
        .iter()
        .map(|engine| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.recover().await.unwrap().resumed.len() })
        })
        .collect();
    let mut counts = Vec::new();
    for task in tasks {
        counts.push(task.await.unwrap());
    }
    counts
}

/// A pauses past its lease, B takes over and finishes, A wakes and sends: the peer sees one key, the journal fences A.
#[tokio::test(start_paused = true)]
async fn a_zombie_is_fenced_and_sends_the_same_key() {
    let (clock, journal) = shared();
    let world = World::new();
    let checkout = checkout(&world, 1, true);
    let one = engine(journal.clone(), &checkout, clock.clone());
    // its first request comes to nothing, and it would send a second
    world.fails("reserve", Fault::NotSent, 1);
    let run = one.start(&checkout, "order-1", &7).await.unwrap();
    // stolen while its first request is on its way
    let two = engine(journal.clone(), &checkout, clock);
    journal.renew(run.id(), 1, Duration::ZERO).await.unwrap();
    assert_eq!(two.recover().await.unwrap().resumed, [run.id()]);
    let settled = run.wait().await.unwrap();
    assert!(matches!(settled, Settled::Completed(_)));
    world.assert_right(&settled, "a zombie");
    tokio::time::sleep(LEASE * 2).await;
    // what it heard could not be written, so it began nothing more
    assert_eq!(
        (
            world.asked("reserve"),
            world.asked("authorize"),
            world.asked("capture")
        ),
        (2, 1, 1)
    );
    assert_eq!(
        (one.running(), two.running()),
        (0, 0),
        "the fenced engine has stopped"
    );
    let late = Append {
        id: run.id(),
        epoch: 1,
        seen: 99,
        records: Vec::new(),
        state: SagaState::Running,
        lease: LEASE,
    };
    assert_eq!(journal.append(late).await.unwrap(), Fenced::Yes);
}

#[tokio::test(start_paused = true)]
async fn fifty_starts_with_one_key_are_one_saga() {
    let (clock, journal) = shared();
    let world = World::new();
    let checkout = checkout(&world, 1, true);
    let engines = [
        engine(journal.clone(), &checkout, clock.clone()),
        engine(journal, &checkout, clock),
    ];
    let mut tasks = Vec::new();
    for at in 0..50 {
        let (sagas, checkout) = (engines[at % 2].clone(), checkout.clone());
        tasks.push(tokio::spawn(async move { settle(&sagas, &checkout).await }));
    }
    let mut ids = Vec::new();
    for task in tasks {
        let (id, settled) = task.await.unwrap();
        assert_eq!(settled, Settled::Completed("ship order-1".to_owned()));
        ids.push(id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(world.asked("capture"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_stands_for_one_input() {
    let (clock, journal) = shared();
    let checkout = checkout(&World::new(), 1, true);
    let sagas = engine(journal, &checkout, clock);
    let (id, _) = settle(&sagas, &checkout).await;
    let other = sagas.start(&checkout, "order-1", &8).await.unwrap_err();
    assert!(
        matches!(other, StartError::KeyReused { id: found } if found == id),
        "{other:?}"
    );
    for bad in ["", "a\nb", &"k".repeat(256)] {
        assert!(matches!(
            sagas.start(&checkout, bad, &8).await,
            Err(StartError::Key)
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_drains_what_runs_and_frees_what_waits() {
    let (clock, journal) = shared();
    let world = World::new();
    // the first saga's only trouble is that it is slow; the second waits between its attempts
    world.fails("reserve", Fault::HangsAfter, 1);
    let checkout = checkout(&world, 1, true);
    let sagas = engine(journal.clone(), &checkout, clock.clone());
    let first = sagas.start(&checkout, "order-1", &7).await.unwrap();
    assert_eq!(
        sagas.shutdown(Duration::from_millis(500)).await.running,
        1,
        "it is in the middle of a request"
    );
    assert!(matches!(
        sagas.start(&checkout, "order-2", &7).await,
        Err(StartError::Closing)
    ));
    assert_eq!(sagas.shutdown(Duration::from_secs(60)).await.running, 0);
    // it was given free at once: the next engine need not wait for the lease
    let next = engine(journal, &checkout, clock);
    assert_eq!(next.recover().await.unwrap().resumed, [first.id()]);
    assert!(matches!(first.wait().await.unwrap(), Settled::Completed(_)));
    assert_eq!(world.count("reserve"), 1);
}

/// A saga whose step kills its process is not taken up for ever.
#[test]
fn what_kills_its_engines_is_parked() {
    let clock = super::manual();
    let journal = MemorySaga::with(clock.clone());
    let killed = Arc::new(AtomicU32::new(0));
    let deadly = |killed: &Arc<AtomicU32>| {
        Definition::new("deadly", 1, Arc::clone(killed), |mut flow, order| {
            let undone = |_: StepContext<Arc<AtomicU32>>, _, _: Effected<u64>| async {
                Ok::<_, PaymentError>(Undone::Reverted)
            };
            let run = |cx: StepContext<Arc<AtomicU32>>, _: u64| async move {
                cx.deps().fetch_add(1, SeqCst);
                // stands for what takes the whole process with it
                std::future::pending::<Result<u64, PaymentError>>().await
            };
            let out = flow.step(step("kill", run).undo(undone), order);
            flow.finish(out)
        })
        .unwrap()
    };
    let definition = deadly(&killed);
    let mut id = None;
    for life in 0..12 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let sagas = Sagas::on(journal.clone())
                .register(&definition)
                .lease(LEASE)
                .clock(clock.clone())
                .open()
                .unwrap();
            if life == 0 {
                id = Some(sagas.start(&definition, "a", &1).await.unwrap().id());
            } else {
                sagas.recover().await.unwrap();
            }
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        });
        drop(runtime);
        clock.advance(LEASE);
    }
    assert_eq!(killed.load(SeqCst), 6, "once, and five times taken up");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let parked = runtime.block_on(journal.load(id.unwrap())).unwrap().unwrap();
    assert_eq!(parked.state, SagaState::Parked);
}

/// A waiter in another process than the engine's.
#[tokio::test(start_paused = true)]
async fn a_waiter_elsewhere_hears_of_the_end() {
    let (clock, journal) = shared();
    let world = World::new();
    world.fails("capture", Fault::HangsAfter, 1);
    let checkout = checkout(&world, 1, true);
    let here = engine(journal.clone(), &checkout, clock.clone());
    let there = engine(journal, &checkout, clock);
    let _ = here.start(&checkout, "order-1", &7).await.unwrap();
    let (_, settled) = settle(&there, &checkout).await;
    assert!(matches!(settled, Settled::Completed(_)));
    assert_eq!(there.running(), 0, "it did not run there");
}

/// Intent before effect, results and next intents in one write: n steps cost n + 1 commits.
#[tokio::test(start_paused = true)]
async fn four_steps_cost_five_commits() {
    let (clock, journal) = shared();
    let checkout = checkout(&World::new(), 1, true);
    let sagas = engine(journal.clone(), &checkout, clock);
    let (id, _) = settle(&sagas, &checkout).await;
    let records = journal.load(id).await.unwrap().unwrap().records;
    let kinds: Vec<String> = records
        .iter()
        .map(|bytes| {
            serde_json::from_slice::<serde_json::Value>(bytes).unwrap()["kind"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let expected = "created intended done intended done intended done intended done ended";
    assert_eq!(kinds.join(" "), expected);
}

#[tokio::test(start_paused = true)]
async fn recovering_goes_on_until_the_engine_closes() {
    let (clock, journal) = shared();
    let world = World::new();
    let checkout = checkout(&world, 1, true);
    let sagas = engine(journal.clone(), &checkout, clock.clone());
    let keeper = tokio::spawn(sagas.clone().keep_recovering(Duration::from_secs(5)));
    // another process starts a saga and is gone
    let dying = engine(super::crash::dead(&journal, 2), &checkout, clock);
    let run = dying.start(&checkout, "order-1", &7).await.unwrap();
    tokio::time::sleep(LEASE * 3).await;
    assert_eq!(
        journal.load(run.id()).await.unwrap().unwrap().state,
        SagaState::Completed
    );
    world.assert_right(&Settled::Completed(String::new()), "taken up in passing");
    assert_eq!(sagas.shutdown(LEASE).await.running, 0);
    keeper.await.unwrap();
}
