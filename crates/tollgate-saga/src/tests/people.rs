//! What people do to a parked saga.

use super::{Fault, RuntimeClock, World, checkout, engine, settle};
use crate::{Cancelled, Misplaced, OperateError, Operator, Settled, Stage, Undone, Verb};
use std::time::Duration;
use tollgate_core::store::memory::MemorySaga;
use tollgate_core::store::saga::{SagaJournal, SagaState};

fn person() -> Operator {
    Operator::new("ops@shop.example", "ticket 991")
}

fn shared() -> (RuntimeClock, MemorySaga) {
    let clock = RuntimeClock::new();
    (clock.clone(), MemorySaga::with(clock))
}

/// The pivot in doubt, without a probe: only a person can say.
#[tokio::test(start_paused = true)]
async fn it_happened() {
    let (clock, journal) = shared();
    let world = World::new();
    world.always_fails("ship", Fault::AnswerLost);
    let checkout = checkout(&world, 1, false);
    let sagas = engine(journal.clone(), &checkout, clock);
    let (id, settled) = settle(&sagas, &checkout).await;
    let Settled::Parked(cases) = settled else {
        panic!("{settled:?}")
    };
    assert_eq!(cases[0].step, "ship");
    assert_eq!(sagas.parked(None, 10).await.unwrap(), [id]);
    let report = sagas.inspect(id).await.unwrap().unwrap();
    assert_eq!(
        (report.state, report.steps[3].stage),
        (SagaState::Parked, Stage::InDoubt)
    );

    let output = serde_json::json!("ship by hand");
    let happened = Verb::Happened {
        step: "ship".into(),
        output,
    };
    sagas.operate(id, &person(), happened).await.unwrap();
    let (_, settled) = settle(&sagas, &checkout).await;
    assert_eq!(settled, Settled::Completed("ship by hand".to_owned()));
    let journal = journal.load(id).await.unwrap().unwrap();
    let told = |word: &str| {
        journal
            .records
            .iter()
            .any(|record| String::from_utf8_lossy(record).contains(word))
    };
    assert!(told("ops@shop.example") && told("ticket 991"));
}

#[tokio::test(start_paused = true)]
async fn it_did_not_happen() {
    let (clock, journal) = shared();
    let world = World::new();
    world.always_fails("ship", Fault::RequestLost);
    let checkout = checkout(&world, 1, false);
    let sagas = engine(journal, &checkout, clock);
    let (id, _) = settle(&sagas, &checkout).await;
    sagas
        .operate(id, &person(), Verb::DidNotHappen { step: "ship".into() })
        .await
        .unwrap();
    let (_, settled) = settle(&sagas, &checkout).await;
    assert!(matches!(settled, Settled::Compensated(_)));
    world.assert_right(&settled, "a person said no");
}

#[tokio::test(start_paused = true)]
async fn try_again() {
    let (clock, journal) = shared();
    let world = World::new();
    world
        .always_fails("ship", Fault::Refuses)
        .always_fails("refund", Fault::RequestLost);
    let checkout = checkout(&world, 1, true);
    let sagas = engine(journal, &checkout, clock);
    let (id, settled) = settle(&sagas, &checkout).await;
    assert!(
        matches!(&settled, Settled::Parked(cases) if cases[0].step == "capture"),
        "{settled:?}"
    );
    assert_eq!(world.asked("refund"), 12, "a budget of its own");
    assert_eq!(world.count("release"), 1, "the rest is undone all the same");
    world.mends("refund");
    sagas.operate(id, &person(), Verb::Retry).await.unwrap();
    let (_, settled) = settle(&sagas, &checkout).await;
    assert!(matches!(settled, Settled::Compensated(_)), "{settled:?}");
    world.assert_right(&settled, "tried again");
    assert_eq!(world.asked("void"), 0);
}

#[tokio::test(start_paused = true)]
async fn it_was_undone_by_hand() {
    for (how, voids) in [(Undone::Reverted, 0), (Undone::NothingThere, 1)] {
        let (clock, journal) = shared();
        let world = World::new();
        world
            .always_fails("ship", Fault::Refuses)
            .always_fails("refund", Fault::Refuses);
        let checkout = checkout(&world, 1, true);
        let sagas = engine(journal, &checkout, clock);
        let (id, _) = settle(&sagas, &checkout).await;
        let verb = Verb::WasUndone {
            step: "capture".into(),
            how,
        };
        sagas.operate(id, &person(), verb).await.unwrap();
        let (_, settled) = settle(&sagas, &checkout).await;
        // a hold whose capture was "nothing there" is voided in its own way; here the peer refuses that, and it parks again
        assert_eq!(
            matches!(settled, Settled::Compensated(_)),
            voids == 0,
            "{settled:?}"
        );
        assert_eq!(world.asked("void"), voids);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_for_a_peer_that_replays_its_failure() {
    let (clock, journal) = shared();
    let world = World::new();
    world.always_fails("ship", Fault::RequestLost);
    let checkout = checkout(&world, 1, false);
    let sagas = engine(journal, &checkout, clock);
    let (id, _) = settle(&sagas, &checkout).await;
    world.mends("ship");
    sagas
        .operate(id, &person(), Verb::RetryWithNewKey { step: "ship".into() })
        .await
        .unwrap();
    let (_, settled) = settle(&sagas, &checkout).await;
    assert!(matches!(settled, Settled::Completed(_)), "{settled:?}");
    world.assert_right(&settled, "a new key");
}

#[tokio::test(start_paused = true)]
async fn abandoned_is_closed_for_good() {
    let (clock, journal) = shared();
    let world = World::new();
    world.always_fails("ship", Fault::RequestLost);
    let checkout = checkout(&world, 1, false);
    let sagas = engine(journal, &checkout, clock);
    let (id, _) = settle(&sagas, &checkout).await;
    sagas.operate(id, &person(), Verb::Abandon).await.unwrap();
    let (_, settled) = settle(&sagas, &checkout).await;
    assert_eq!(settled, Settled::Abandoned);
    assert!(world.asked("refund") + world.asked("release") == 0, "as it was");
    let again = sagas.operate(id, &person(), Verb::Retry).await.unwrap_err();
    assert!(
        matches!(
            again,
            OperateError::Misplaced(Misplaced::NotParked { state: "abandoned" })
        ),
        "{again:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn words_that_do_not_fit_change_nothing() {
    let (clock, journal) = shared();
    let world = World::new();
    world.always_fails("ship", Fault::RequestLost);
    let checkout = checkout(&world, 1, false);
    let sagas = engine(journal.clone(), &checkout, clock);
    let (id, _) = settle(&sagas, &checkout).await;
    let before = journal.load(id).await.unwrap();
    let step = |name: &str| name.to_owned();
    for verb in [
        Verb::WasUndone {
            step: step("ship"),
            how: Undone::Reverted,
        },
        Verb::DidNotHappen {
            step: step("capture"),
        },
        Verb::RetryWithNewKey {
            step: step("reserve"),
        },
        Verb::DidNotHappen {
            step: step("nonsense"),
        },
    ] {
        let refused = sagas.operate(id, &person(), verb).await.unwrap_err();
        assert!(matches!(refused, OperateError::Misplaced(_)), "{refused:?}");
    }
    let nobody = sagas
        .operate(id, &Operator::new(" ", "why"), Verb::Retry)
        .await
        .unwrap_err();
    assert!(matches!(nobody, OperateError::Anonymous));
    assert_eq!(journal.load(id).await.unwrap(), before);
}

/// temporal sdk-java #305: compensations run in the cancelled scope, so a cancel skips them.
#[tokio::test(start_paused = true)]
async fn a_cancel_turns_back_and_undoes() {
    let (clock, journal) = shared();
    let world = World::new();
    world.fails("capture", Fault::AnswerLost, 3);
    let checkout = checkout(&world, 1, true);
    let sagas = engine(journal, &checkout, clock);
    let run = sagas.start(&checkout, "order-1", &7).await.unwrap();
    while world.asked("capture") == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(sagas.cancel(run.id(), &person()), Cancelled::Asked);
    let settled = run.wait().await.unwrap();
    let Settled::Compensated(cause) = &settled else {
        panic!("{settled:?}")
    };
    assert_eq!(
        (cause.step, cause.why.as_str()),
        (None, "cancelled by ops@shop.example: ticket 991")
    );
    world.assert_right(&settled, "cancelled");
    assert_eq!(
        (world.count("capture"), world.count("refund")),
        (1, 1),
        "known first, then undone"
    );
    assert_eq!(sagas.cancel(run.id(), &person()), Cancelled::NotHere);
}

/// A name with a card number in it does not bring it into the journal.
#[test]
fn operators_are_masked() {
    let told = format!(
        "{:?}",
        Operator::new("ops", "card 4111 1111 1111 1111 complained")
    );
    assert!(!told.contains("4111 1111 1111 1111"), "{told}");
}

/// A wait that is given up and begun again.
#[tokio::test(start_paused = true)]
async fn waiting_again() {
    let (clock, journal) = shared();
    let world = World::new();
    world.fails("authorize", Fault::HangsAfter, 1);
    let checkout = checkout(&world, 1, true);
    let sagas = engine(journal, &checkout, clock);
    let run = sagas.start(&checkout, "order-1", &7).await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(10), run.wait())
            .await
            .is_err()
    );
    assert!(matches!(run.wait().await.unwrap(), Settled::Completed(_)));
}
