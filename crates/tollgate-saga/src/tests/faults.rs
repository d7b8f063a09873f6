//! Every step meets every fault, once and for ever; every compensation fails every way, a little and for good.

use super::{Fault, World, checkout, engine, runtime_clock, settle};
use crate::{Direction, Settled};
use tollgate_core::store::memory::MemorySaga;

const STEPS: [&str; 4] = ["reserve", "authorize", "capture", "ship"];
const UNDOS: [&str; 3] = ["release", "void", "refund"];
const FOR_EVER: usize = usize::MAX;

fn plan(world: &World, operation: &'static str, fault: Fault, times: usize) {
    match times {
        FOR_EVER => world.always_fails(operation, fault),
        times => world.fails(operation, fault, times),
    };
}

#[tokio::test(start_paused = true)]
async fn without_faults_it_completes_and_every_step_is_asked_once() {
    let world = World::new();
    let checkout = checkout(&world, 1, true);
    let sagas = engine(MemorySaga::with(runtime_clock()), &checkout, runtime_clock());
    let (_, settled) = settle(&sagas, &checkout).await;
    assert_eq!(settled, Settled::Completed("ship order-1".to_owned()));
    world.assert_right(&settled, "no fault");
    assert!(STEPS.iter().all(|step| world.asked(step) == 1));
}

/// Not a fault among them may move money twice, leave it behind, or be told as something it is not. Covers S2: an authorization that timed
/// out after it was booked was never voided, and the saga called itself compensated.
#[tokio::test(start_paused = true)]
async fn every_fault_of_every_step() {
    for probes in [false, true] {
        for step in STEPS {
            for fault in Fault::ALL {
                for times in [1, 2, 3, 4, FOR_EVER] {
                    let told = format!("{step} {fault:?} x{times}, probes: {probes}");
                    let world = World::new();
                    plan(&world, step, fault, times);
                    let checkout = checkout(&world, 1, probes);
                    let clock = runtime_clock();
                    let sagas = engine(MemorySaga::with(clock.clone()), &checkout, clock);
                    let (_, settled) = settle(&sagas, &checkout).await;
                    world.assert_right(&settled, &told);
                    // a fault that goes away within the budget costs nothing but time
                    if times < 4 && fault != Fault::Refuses {
                        assert!(matches!(settled, Settled::Completed(_)), "{told}: {settled:?}");
                    }
                    if fault == Fault::Refuses {
                        assert!(matches!(settled, Settled::Compensated(_)), "{told}: {settled:?}");
                    }
                    // only the pivot without a probe can leave a person to decide
                    if let Settled::Parked(cases) = &settled {
                        assert!(step == "ship" && !probes, "{told}: {cases:?}");
                        assert_eq!((cases[0].step, cases[0].direction), ("ship", Direction::Forward));
                    }
                }
            }
        }
    }
}

/// Two steps in trouble at once: one for a while, one for good.
#[tokio::test(start_paused = true)]
async fn every_pair_of_faults() {
    for (first, second) in STEPS.into_iter().flat_map(|one| STEPS.map(|other| (one, other))) {
        for (passing, lasting) in Fault::ALL
            .into_iter()
            .flat_map(|one| Fault::ALL.map(|other| (one, other)))
        {
            for probes in [false, true] {
                let told =
                    format!("{first} {passing:?} once, then {second} {lasting:?} for ever, probes: {probes}");
                let world = World::new();
                world.fails(first, passing, 1).always_fails(second, lasting);
                let checkout = checkout(&world, 1, probes);
                let clock = runtime_clock();
                let sagas = engine(MemorySaga::with(clock.clone()), &checkout, clock);
                let (_, settled) = settle(&sagas, &checkout).await;
                world.assert_right(&settled, &told);
                if let Settled::Parked(cases) = &settled {
                    assert!(!probes && cases[0].step == "ship", "{told}: {cases:?}");
                }
            }
        }
    }
}

/// The later step fails for good, so everything is undone; each compensation fails in each way, n times.
#[tokio::test(start_paused = true)]
async fn every_fault_of_every_compensation() {
    for last in ["authorize", "capture", "ship"] {
        for end in [Fault::Refuses, Fault::AnswerLost, Fault::RequestLost] {
            for undo in UNDOS {
                for fault in Fault::ALL {
                    for times in [1, 2, 11, 12, FOR_EVER] {
                        let told = format!("{last} {end:?} for ever, {undo} {fault:?} x{times}");
                        let world = World::new();
                        world.always_fails(last, end);
                        plan(&world, undo, fault, times);
                        // no probes, so that doubt reaches the compensations
                        let checkout = checkout(&world, 1, false);
                        let clock = runtime_clock();
                        let sagas = engine(MemorySaga::with(clock.clone()), &checkout, clock);
                        let (_, settled) = settle(&sagas, &checkout).await;
                        world.assert_right(&settled, &told);
                        if last == "ship" && end != Fault::Refuses {
                            // the pivot is in doubt and cannot be undone: nothing may be touched
                            assert!(matches!(settled, Settled::Parked(_)), "{told}: {settled:?}");
                            assert!(UNDOS.iter().all(|undo| world.asked(undo) == 0), "{told}");
                        } else if let Settled::Parked(cases) = &settled {
                            assert!(times >= 12 || fault == Fault::Refuses, "{told}: {cases:?}");
                            assert_eq!(cases.len(), 1, "{told}: {cases:?}");
                            assert_eq!(cases[0].direction, Direction::Undo, "{told}");
                            // the others were undone all the same: seata #2633 blocks the whole unwind behind one
                            if undo != "release" && world.count("reserve") > 0 {
                                assert_eq!(world.count("release"), 1, "{told}");
                            }
                        } else {
                            assert!(matches!(settled, Settled::Compensated(_)), "{told}: {settled:?}");
                        }
                    }
                }
            }
        }
    }
}

/// The seed voids a captured payment, or calls it compensated while the customer stays charged.
#[tokio::test(start_paused = true)]
async fn a_refund_takes_the_place_of_the_void() {
    let world = World::new();
    world.always_fails("ship", Fault::Refuses);
    let checkout = checkout(&world, 1, true);
    let sagas = engine(MemorySaga::with(runtime_clock()), &checkout, runtime_clock());
    let (id, settled) = settle(&sagas, &checkout).await;
    let Settled::Compensated(cause) = &settled else {
        panic!("{settled:?}")
    };
    assert_eq!((cause.step, cause.why.as_str()), (Some("ship"), "no"));
    world.assert_right(&settled, "ship refused");
    assert_eq!(
        (world.asked("refund"), world.asked("void"), world.asked("release")),
        (1, 0, 1)
    );
    let report = sagas.inspect(id).await.unwrap().unwrap();
    assert_eq!(report.steps[1].superseded_by, Some("capture"));
}

/// A capture in doubt that turns out not to have happened leaves a hold, which must be voided.
#[tokio::test(start_paused = true)]
async fn a_refund_that_finds_nothing_leaves_the_void_to_be_made() {
    let world = World::new();
    world.always_fails("capture", Fault::RequestLost);
    let checkout = checkout(&world, 1, false);
    let sagas = engine(MemorySaga::with(runtime_clock()), &checkout, runtime_clock());
    let (_, settled) = settle(&sagas, &checkout).await;
    assert!(matches!(settled, Settled::Compensated(_)));
    world.assert_right(&settled, "capture lost");
    assert_eq!((world.asked("refund"), world.asked("void")), (0, 1));
}
