//! Whatever comes, in any order.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Move {
    Ask(u32),
    GoAway(usize),
    End,
    Fail,
    Panic,
    Pass(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (1..90_u32).prop_map(Move::Ask),
        1 => (1000..1090_u32).prop_map(Move::Ask),
        1 => any::<usize>().prop_map(Move::GoAway),
        3 => Just(Move::End),
        1 => Just(Move::Fail),
        1 => Just(Move::Panic),
        1 => (1..80_u64).prop_map(Move::Pass),
    ];
    proptest::collection::vec(one, 1..60)
}

proptest! {
    /// Whatever comes: each who stays is told, with an answer of its own or a doubt, and at the end nothing runs or waits.
    #[test]
    fn everybody_is_told(moves in moves(), at_once in 0..4_usize, steps in 0..5_usize, beside in 0..4_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let gates = Gates::default();
            let limits = Limits { at_once, beside, steps, ..LIMITS };
            let together = Together::new(gates.clone(), limits);
            let mut asked: Vec<(u32, Asked)> = Vec::new();
            for next in moves {
                match next {
                    Move::Ask(step) => asked.push((step, tokio::spawn(together.ask(step)))),
                    Move::GoAway(who) if !asked.is_empty() => {
                        let who = who % asked.len();
                        asked.remove(who).1.abort();
                    }
                    Move::Pass(millis) => tokio::time::advance(Duration::from_millis(millis)).await,
                    _ => {}
                }
                settle().await;
                // what went away alone left its gate
                gates.0.lock().unwrap().retain(|gate| !gate.end.is_closed());
                let some = !gates.0.lock().unwrap().is_empty();
                match next {
                    Move::End if some => gates.end(End::Answer).await,
                    Move::Fail if some => gates.end(End::Fail(StoreError::unavailable("no"))).await,
                    Move::Panic if some => gates.end(End::Panic).await,
                    _ => {}
                }
            }
            loop {
                settle().await;
                gates.0.lock().unwrap().retain(|gate| !gate.end.is_closed());
                if gates.running().is_empty() {
                    break;
                }
                gates.end(End::Answer).await;
            }
            prop_assert!(quiet(&together), "{together:?}");
            for (step, asked) in asked {
                prop_assert!(asked.is_finished(), "{step} was never told");
                match asked.await {
                    Ok(Ok(answer)) => prop_assert_eq!(answer, step + 1000),
                    Ok(Err(_)) => {}
                    Err(panicked) => prop_assert!(panicked.is_panic()),
                }
            }
            Ok(())
        })?;
    }
}
