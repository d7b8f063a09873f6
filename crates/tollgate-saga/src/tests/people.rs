//! What people do to a parked saga.

use super::{Fault, Shop};
use crate::{Cancelled, Misplaced, OperateError, Operator, Settled, Stage, Undone, Verb};
use std::time::Duration;
use tollgate_core::store::saga::{SagaJournal, SagaState};

fn person() -> Operator {
    Operator::new("ops@shop.example", "ticket 991")
}

/// The pivot in doubt, without a probe: only a person can say.
#[tokio::test(start_paused = true)]
async fn it_happened() {
    let shop = Shop::new(false);
    shop.world.always_fails("ship", Fault::AnswerLost);
    let (id, settled) = shop.settle().await;
    let Settled::Parked(cases) = settled else {
        panic!("{settled:?}")
    };
    assert_eq!(cases[0].step, "ship");
    assert_eq!(shop.sagas.parked(None, 10).await.unwrap(), [id]);
    let report = shop.sagas.inspect(id).await.unwrap().unwrap();
    assert_eq!(
        (report.state, report.steps[3].stage),
        (SagaState::Parked, Stage::InDoubt)
    );

    let output = serde_json::json!("ship by hand");
    let happened = Verb::Happened {
        step: "ship".into(),
        output,
    };
    shop.sagas.operate(id, &person(), happened).await.unwrap();
    let (_, settled) = shop.settle().await;
    assert_eq!(settled, Settled::Completed("ship by hand".to_owned()));
    let journal = shop.journal.load(id).await.unwrap().unwrap();
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
    let shop = Shop::new(false);
    shop.world.always_fails("ship", Fault::RequestLost);
    let (id, _) = shop.settle().await;
    shop.sagas
        .operate(id, &person(), Verb::DidNotHappen { step: "ship".into() })
        .await
        .unwrap();
    let (_, settled) = shop.settle().await;
    assert!(matches!(settled, Settled::Compensated(_)));
    shop.world.assert_right(&settled, "a person said no");
}

#[tokio::test(start_paused = true)]
async fn try_again() {
    let shop = Shop::new(true);
    shop.world
        .always_fails("ship", Fault::Refuses)
        .always_fails("refund", Fault::RequestLost);
    let (id, settled) = shop.settle().await;
    assert!(
        matches!(&settled, Settled::Parked(cases) if cases[0].step == "capture"),
        "{settled:?}"
    );
    assert_eq!(shop.world.asked("refund"), 12, "a budget of its own");
    assert_eq!(shop.world.count("release"), 1, "the rest is undone all the same");
    shop.world.mends("refund");
    shop.sagas.operate(id, &person(), Verb::Retry).await.unwrap();
    let (_, settled) = shop.settle().await;
    assert!(matches!(settled, Settled::Compensated(_)), "{settled:?}");
    shop.world.assert_right(&settled, "tried again");
    assert_eq!(shop.world.asked("void"), 0);
}

#[tokio::test(start_paused = true)]
async fn it_was_undone_by_hand() {
    for (how, voids) in [(Undone::Reverted, 0), (Undone::NothingThere, 1)] {
        let shop = Shop::new(true);
        shop.world
            .always_fails("ship", Fault::Refuses)
            .always_fails("refund", Fault::Refuses);
        let (id, _) = shop.settle().await;
        let verb = Verb::WasUndone {
            step: "capture".into(),
            how,
        };
        shop.sagas.operate(id, &person(), verb).await.unwrap();
        let (_, settled) = shop.settle().await;
        // a hold whose capture was "nothing there" is voided in its own way; here the peer refuses that, and it parks again
        assert_eq!(
            matches!(settled, Settled::Compensated(_)),
            voids == 0,
            "{settled:?}"
        );
        assert_eq!(shop.world.asked("void"), voids);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_for_a_peer_that_replays_its_failure() {
    let shop = Shop::new(false);
    shop.world.always_fails("ship", Fault::RequestLost);
    let (id, _) = shop.settle().await;
    shop.world.mends("ship");
    shop.sagas
        .operate(id, &person(), Verb::RetryWithNewKey { step: "ship".into() })
        .await
        .unwrap();
    let (_, settled) = shop.settle().await;
    assert!(matches!(settled, Settled::Completed(_)), "{settled:?}");
    shop.world.assert_right(&settled, "a new key");
}

#[tokio::test(start_paused = true)]
async fn abandoned_is_closed_for_good() {
    let shop = Shop::new(false);
    shop.world.always_fails("ship", Fault::RequestLost);
    let (id, _) = shop.settle().await;
    shop.sagas.operate(id, &person(), Verb::Abandon).await.unwrap();
    let (_, settled) = shop.settle().await;
    assert_eq!(settled, Settled::Abandoned);
    assert!(
        shop.world.asked("refund") + shop.world.asked("release") == 0,
        "as it was"
    );
    let again = shop.sagas.operate(id, &person(), Verb::Retry).await.unwrap_err();
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
    let shop = Shop::new(false);
    shop.world.always_fails("ship", Fault::RequestLost);
    let (id, _) = shop.settle().await;
    let before = shop.journal.load(id).await.unwrap();
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
        let refused = shop.sagas.operate(id, &person(), verb).await.unwrap_err();
        assert!(matches!(refused, OperateError::Misplaced(_)), "{refused:?}");
    }
    let nobody = shop
        .sagas
        .operate(id, &Operator::new(" ", "why"), Verb::Retry)
        .await
        .unwrap_err();
    assert!(matches!(nobody, OperateError::Anonymous));
    assert_eq!(shop.journal.load(id).await.unwrap(), before);
}

/// temporal sdk-java #305: compensations run in the cancelled scope, so a cancel skips them.
#[tokio::test(start_paused = true)]
async fn a_cancel_turns_back_and_undoes() {
    let shop = Shop::new(true);
    shop.world.fails("capture", Fault::AnswerLost, 3);
    let run = shop.sagas.start(&shop.checkout, "order-1", &7).await.unwrap();
    while shop.world.asked("capture") == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shop.sagas.cancel(run.id(), &person()), Cancelled::Asked);
    let settled = run.wait().await.unwrap();
    let Settled::Compensated(cause) = &settled else {
        panic!("{settled:?}")
    };
    assert_eq!(
        (cause.step, cause.why.as_str()),
        (None, "cancelled by ops@shop.example: ticket 991")
    );
    shop.world.assert_right(&settled, "cancelled");
    assert_eq!(
        (shop.world.count("capture"), shop.world.count("refund")),
        (1, 1),
        "known first, then undone"
    );
    assert_eq!(shop.sagas.cancel(run.id(), &person()), Cancelled::NotHere);
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
    let shop = Shop::new(true);
    shop.world.fails("authorize", Fault::HangsAfter, 1);
    let run = shop.sagas.start(&shop.checkout, "order-1", &7).await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(10), run.wait())
            .await
            .is_err()
    );
    assert!(matches!(run.wait().await.unwrap(), Settled::Completed(_)));
}
