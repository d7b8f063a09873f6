//! The same crashes, on a file.

use super::crash::{Cut, EVERY};
use super::{Fault, LEASE, World, checkout, engine, manual};
use crate::Settled;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::ManualClock;
use tollgate_sqlite::Sqlite;

/// Waits, and lets one more lease lapse when that takes long; more than one would be a saga that nobody takes up.
async fn within_one_more_lease<T>(clock: &ManualClock, told: &str, ended: impl Future<Output = T>) -> T {
    const LONG: Duration = Duration::from_secs(20);
    let mut ended = std::pin::pin!(ended);
    if let Ok(ended) = tokio::time::timeout(LONG, &mut ended).await {
        return ended;
    }
    println!("{told}: not taken up within a lease");
    clock.advance(LEASE);
    match tokio::time::timeout(LONG, ended).await {
        Ok(ended) => ended,
        Err(_) => panic!("{told}: not taken up within two leases"),
    }
}

/// Time is real here, for the writer is a thread; the leases follow a clock that only the test moves.
#[tokio::test]
async fn at_every_write_on_a_file() {
    for weather in [None, Some(("ship", Fault::Refuses))] {
        for at in EVERY {
            let mut reached_end = false;
            for write in 0..20 {
                let told = format!("{weather:?}, {at:?} at write {write}");
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("saga.sqlite");
                let clock = manual();
                let world = World::new();
                if let Some((step, fault)) = weather {
                    world.always_fails(step, fault);
                }
                let checkout = checkout(&world, 1, true);
                let journal = Sqlite::open_with(&path, clock.clone()).unwrap();
                let cut = Cut::new(&journal, write, at);
                let first = engine(Arc::clone(&cut), &checkout, clock.clone());
                if let Ok(run) = first.start(&checkout, "order-1", &7).await {
                    tokio::select! {
                        ended = run.wait() => drop(ended),
                        () = death(&cut) => {}
                    }
                }
                drop((first, journal));
                clock.advance(LEASE);
                // another process would open the file again, and so do we
                let second = engine(
                    Sqlite::open_with(&path, clock.clone()).unwrap(),
                    &checkout,
                    clock.clone(),
                );
                // on a busy machine it sometimes does not end, not even after a second lease (refused shipment, dies after write 5): open
                let ended = async {
                    second.recover().await.unwrap();
                    let run = second.start(&checkout, "order-1", &7).await.unwrap();
                    run.wait().await.unwrap()
                };
                let settled = within_one_more_lease(&clock, &told, ended).await;
                world.assert_right(&settled, &told);
                assert!(!matches!(settled, Settled::Parked(_)), "{told}: {settled:?}");
                if !cut.was_reached() {
                    reached_end = true;
                    break;
                }
            }
            assert!(reached_end, "{weather:?}, {at:?}: more than 20 writes");
        }
    }
}

async fn death(cut: &Cut<Sqlite>) {
    while !cut.is_dead() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Two engines with a handle each on one file, as two processes have.
#[tokio::test]
async fn two_engines_on_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saga.sqlite");
    let clock = manual();
    let world = World::new();
    let checkout = checkout(&world, 1, true);
    let open = || {
        engine(
            Sqlite::open_with(&path, clock.clone()).unwrap(),
            &checkout,
            clock.clone(),
        )
    };
    let engines = [open(), open()];
    let mut tasks = Vec::new();
    for at in 0..20 {
        let (sagas, checkout) = (engines[at % 2].clone(), checkout.clone());
        tasks.push(tokio::spawn(
            async move { super::settle(&sagas, &checkout).await },
        ));
    }
    for task in tasks {
        let (_, settled) = task.await.unwrap();
        assert!(matches!(settled, Settled::Completed(_)));
        world.assert_right(&settled, "two engines on one file");
    }
    assert_eq!(world.asked("capture"), 1);
}
