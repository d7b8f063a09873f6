//! The same crashes, on a file.

use super::crash::{Cut, EVERY};
use super::{Fault, LEASE, World, checkout, engine, manual};
use crate::Settled;
use std::sync::Arc;
use std::time::Duration;
use tollgate_sqlite::Sqlite;

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
                let taken_up = second.recover().await.unwrap();
                let run = second.start(&checkout, "order-1", &7).await.unwrap();
                let settled = run.wait().await.unwrap();
                assert!(taken_up.refused.is_empty(), "{told}: {taken_up:?}");
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

/// When nothing of the first engine can reach the file any more.
async fn death(cut: &Cut<Sqlite>) {
    while !cut.is_buried() {
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
