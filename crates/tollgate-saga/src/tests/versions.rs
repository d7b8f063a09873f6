//! A saga is continued by the definition that started it, or not at all.

use super::{Fault, LEASE, World, checkout, engine, shared};
use crate::{Definition, Sagas, Settled, SetupError, StartError, StepContext, Unrecoverable, step};
use std::time::Duration;
use tollgate_core::PaymentError;
use tollgate_core::store::saga::{Append, Fenced, SagaJournal, SagaState};

/// omicron #2318, dbos: a saga is only ever continued by the definition that started it.
#[tokio::test(start_paused = true)]
async fn another_version_is_left_alone_and_said_so() {
    let (clock, journal) = shared();
    let world = World::new();
    world.fails("reserve", Fault::HangsBefore, 1);
    let (old, new) = (checkout(&world, 1, true), checkout(&world, 2, true));
    let run = engine(journal.clone(), &old, clock.clone())
        .start(&old, "order-1", &7)
        .await
        .unwrap();
    journal.renew(run.id(), 1, Duration::ZERO).await.unwrap();

    let only_new = engine(journal.clone(), &new, clock.clone());
    let recovered = only_new.recover().await.unwrap();
    assert!(recovered.resumed.is_empty());
    let name = "checkout".to_owned();
    assert_eq!(
        recovered.refused,
        [(run.id(), Unrecoverable::UnknownVersion { name, version: 1 })]
    );
    // the same order again under the new version is not a second saga
    let again = only_new.start(&new, "order-1", &7).await.unwrap_err();
    assert!(
        matches!(again, StartError::OtherVersion { version: 1, .. }),
        "{again:?}"
    );

    tokio::time::sleep(LEASE * 2).await;
    let both = Sagas::on(journal)
        .register(&new)
        .register(&old)
        .clock(clock)
        .open()
        .unwrap();
    assert_eq!(both.recover().await.unwrap().resumed, [run.id()]);
    let settled = run.wait().await.unwrap();
    world.assert_right(&settled, "the old version, by an engine that has both");
    assert!(matches!(settled, Settled::Completed(_)));
}

#[tokio::test(start_paused = true)]
async fn a_changed_definition_needs_a_new_version() {
    let (clock, journal) = shared();
    let world = World::new();
    world.fails("reserve", Fault::HangsBefore, 1);
    let old = checkout(&world, 1, true);
    let run = engine(journal.clone(), &old, clock.clone())
        .start(&old, "order-1", &7)
        .await
        .unwrap();
    journal.renew(run.id(), 1, Duration::ZERO).await.unwrap();
    let changed = Definition::new("checkout", 1, (), |flow, order| {
        let (out, flow) = flow.pivot(
            step("everything", |_: StepContext<()>, order: u64| async move {
                Ok::<_, PaymentError>(order)
            }),
            order,
        );
        flow.finish(out)
    })
    .unwrap();
    let sagas = Sagas::on(journal.clone())
        .register(&changed)
        .clock(clock.clone())
        .open()
        .unwrap();
    let refused = sagas.recover().await.unwrap().refused;
    assert!(
        matches!(&refused[..], [(_, Unrecoverable::Changed { version: 1, .. })]),
        "{refused:?}"
    );
    let both = Sagas::on(journal)
        .register(&changed)
        .register(&old)
        .clock(clock)
        .open();
    assert!(matches!(both, Err(SetupError::Ambiguous { version: 1, .. })));
}

/// A journal that this build cannot read is left as it is, and said so; the others are taken up.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_left_alone() {
    let (clock, journal) = shared();
    let world = World::new();
    world.fails("reserve", Fault::HangsBefore, 2);
    let checkout = checkout(&world, 1, true);
    let dying = engine(journal.clone(), &checkout, clock.clone());
    let mut ids = Vec::new();
    for key in ["order-1", "order-2"] {
        let id = dying.start(&checkout, key, &7).await.unwrap().id();
        tokio::task::yield_now().await;
        ids.push(id);
    }
    let from_the_future = Append {
        id: ids[0],
        epoch: 1,
        seen: 2,
        records: vec![br#"{"kind":"teleported"}"#[..].into()],
        state: SagaState::Running,
        lease: Duration::ZERO,
    };
    assert_eq!(journal.append(from_the_future).await.unwrap(), Fenced::No);
    journal.renew(ids[1], 1, Duration::ZERO).await.unwrap();
    let recovered = engine(journal.clone(), &checkout, clock).recover().await.unwrap();
    assert_eq!(recovered.resumed, [ids[1]]);
    assert!(
        matches!(&recovered.refused[..], [(id, Unrecoverable::Unreadable(why))] if *id == ids[0] && why.at == 2)
    );
    assert_eq!(
        journal.load(ids[0]).await.unwrap().unwrap().state,
        SagaState::Running,
        "nothing was decided about it"
    );
}
