mod runtimes;

use super::{Batch, Limits, Together};
use crate::store::{Boxed, StoreError};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};

const LIMITS: Limits = Limits {
    at_once: 1,
    beside: 1,
    steps: 3,
    bytes: 100,
    patience: Duration::from_millis(50),
};

/// A batch that stands still until it is told how to end.
struct Gate {
    steps: Vec<u32>,
    end: oneshot::Sender<End>,
}

enum End {
    Answer,
    AnswerSome(usize),
    Fail(StoreError),
    Panic,
}

/// The batches that run, in the order in which they began.
#[derive(Clone, Default)]
struct Gates(Arc<Mutex<Vec<Gate>>>);

impl Batch for Gates {
    type Step = u32;
    type Answer = u32;

    fn run(&self, steps: Vec<u32>) -> Boxed<Vec<Result<u32, StoreError>>> {
        let gates = self.clone();
        Box::pin(async move {
            let (end, ended) = oneshot::channel();
            gates.0.lock().unwrap().push(Gate {
                steps: steps.clone(),
                end,
            });
            let answers = steps.into_iter().map(|step| Ok(step + 1000));
            match ended.await.expect("a gate is opened") {
                End::Answer => Ok(answers.collect()),
                End::AnswerSome(some) => Ok(answers.take(some).collect()),
                End::Fail(error) => Err(error),
                End::Panic => panic!("planted"),
            }
        })
    }

    fn size(&self, step: &u32) -> usize {
        usize::try_from(*step).unwrap()
    }

    /// From a thousand on, steps of the same thousand.
    fn goes_with(&self, first: &u32, step: &u32) -> bool {
        first / 1000 == step / 1000
    }
}

impl Gates {
    fn running(&self) -> Vec<Vec<u32>> {
        let gates = self.0.lock().unwrap();
        gates.iter().map(|gate| gate.steps.clone()).collect()
    }

    /// Ends what has run for longest.
    async fn end(&self, end: End) {
        let gate = self.0.lock().unwrap().remove(0);
        assert!(gate.end.send(end).is_ok());
        settle().await;
    }
}

/// Lets every task get as far as it can.
async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

/// A queue before such a batch.
fn queue(limits: Limits) -> (Gates, Together<Gates>) {
    let gates = Gates::default();
    (gates.clone(), Together::new(gates, limits))
}

type Asked = JoinHandle<Result<u32, StoreError>>;

async fn ask(together: &Together<Gates>, steps: &[u32]) -> Vec<Asked> {
    let asked = steps
        .iter()
        .map(|step| tokio::spawn(together.ask(*step)))
        .collect();
    settle().await;
    asked
}

fn quiet(together: &Together<Gates>) -> bool {
    format!("{together:?}").contains("running: 0, waiting: 0")
}

async fn answers(asked: Vec<Asked>) -> Vec<Result<u32, bool>> {
    let mut answers = Vec::new();
    for asked in asked {
        let answer = asked.await.expect("a caller does not panic");
        answers.push(answer.map_err(|error| error.may_have_happened()));
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn who_comes_alone_goes_alone_and_what_waits_goes_together() {
    let (gates, together) = queue(LIMITS);
    let asked = ask(&together, &[1, 2, 3]).await;
    assert_eq!(gates.running(), [vec![1]]);
    gates.end(End::Answer).await;
    assert_eq!(gates.running(), [vec![2, 3]]);
    gates.end(End::Answer).await;
    assert_eq!(answers(asked).await, [Ok(1001), Ok(1002), Ok(1003)]);
    assert!(quiet(&together));
}

#[tokio::test(start_paused = true)]
async fn as_many_run_as_may() {
    let (gates, together) = queue(Limits { at_once: 2, ..LIMITS });
    let asked = ask(&together, &[1, 2, 3, 4]).await;
    assert_eq!(gates.running(), [vec![1], vec![2]]);
    gates.end(End::Answer).await;
    assert_eq!(gates.running(), [vec![2], vec![3, 4]]);
    gates.end(End::Answer).await;
    gates.end(End::Answer).await;
    assert_eq!(answers(asked).await.len(), 4);
    assert!(quiet(&together));
}

#[tokio::test(start_paused = true)]
async fn what_runs_beside_others_is_no_small_batch() {
    let limits = Limits {
        at_once: 2,
        beside: 2,
        ..LIMITS
    };
    let (gates, together) = queue(limits);
    let mut asked = ask(&together, &[1, 2]).await;
    assert_eq!(gates.running(), [vec![1]]);
    asked.extend(ask(&together, &[3]).await);
    assert_eq!(gates.running(), [vec![1], vec![2, 3]]);
    asked.extend(ask(&together, &[4, 5, 6]).await);
    assert_eq!(gates.running(), [vec![1], vec![2, 3]], "as many run as may");
    gates.end(End::Answer).await;
    assert_eq!(gates.running(), [vec![2, 3], vec![4, 5, 6]]);
    asked.extend(ask(&together, &[7]).await);
    gates.end(End::Answer).await;
    assert_eq!(gates.running(), [vec![4, 5, 6]], "one is too few");
    gates.end(End::Answer).await;
    assert_eq!(gates.running(), [vec![7]], "and enough where nothing runs");
    gates.end(End::Answer).await;
    assert_eq!(answers(asked).await.len(), 7);
    assert!(quiet(&together));
}

/// Each kind goes in the order in which it came, and the one that came first goes first.
#[tokio::test(start_paused = true)]
async fn what_does_not_go_together_waits_for_the_next() {
    let limits = Limits {
        bytes: usize::MAX,
        ..LIMITS
    };
    let (gates, together) = queue(limits);
    let asked = ask(&together, &[1, 1001, 2, 1002, 3, 4, 2001, 1003, 5]).await;
    let mut batches = Vec::new();
    while !gates.running().is_empty() {
        batches.extend(gates.running());
        gates.end(End::Answer).await;
    }
    assert_eq!(
        batches,
        [
            vec![1],
            vec![1001, 1002, 1003],
            vec![2, 3, 4],
            vec![2001],
            vec![5]
        ]
    );
    assert!(answers(asked).await.iter().all(Result::is_ok));
}

/// Callers that were answered together come back together: the one that waited meanwhile goes with them, not before them.
#[tokio::test(start_paused = true)]
async fn who_comes_back_at_once_is_in_the_next_batch() {
    let (gates, together) = queue(LIMITS);
    let twice = |step| {
        let together = together.clone();
        tokio::spawn(async move {
            together.ask(step).await?;
            together.ask(step + 10).await
        })
    };
    let mut asked = ask(&together, &[1]).await;
    asked.extend([twice(2), twice(3)]);
    settle().await;
    gates.end(End::Answer).await;
    assert_eq!(gates.running(), [vec![2, 3]]);
    asked.extend(ask(&together, &[4]).await);
    gates.end(End::Answer).await;
    assert_eq!(gates.running(), [vec![4, 12, 13]]);
    gates.end(End::Answer).await;
    assert_eq!(answers(asked).await, [Ok(1001), Ok(1012), Ok(1013), Ok(1004)]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_no_more_steps_and_bytes_than_it_may() {
    let (gates, together) = queue(LIMITS);
    let asked = ask(&together, &[1, 2, 3, 4, 5, 60, 41, 300, 7]).await;
    let mut batches = Vec::new();
    while !gates.running().is_empty() {
        batches.extend(gates.running());
        gates.end(End::Answer).await;
    }
    // three steps; 5 + 60 bytes, with 41 it would be 106; 41; 300 is too much for any and goes all the same, alone
    assert_eq!(
        batches,
        [vec![1], vec![2, 3, 4], vec![5, 60], vec![41], vec![300], vec![7]]
    );
    assert!(answers(asked).await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_takes_back_what_was_not_sent_and_harms_nobody() {
    let (gates, together) = queue(LIMITS);
    let mut asked = ask(&together, &[1, 2, 3, 4]).await;
    asked.remove(1).abort(); // waits
    settle().await;
    asked.remove(0).abort(); // runs, alone, in its own future
    settle().await;
    // the gate of the first stands in nobody's way any more: its turn was passed on
    assert_eq!(gates.running(), [vec![1], vec![3, 4]]);
    asked.remove(0).abort(); // runs with another
    settle().await;
    gates.0.lock().unwrap().remove(0);
    gates.end(End::Answer).await;
    assert_eq!(answers(asked).await, [Ok(1004)]);
    assert!(quiet(&together));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_fails_each_of_its_steps() {
    let (gates, together) = queue(LIMITS);
    let asked = ask(&together, &[1, 2, 3]).await;
    gates.end(End::Fail(StoreError::unavailable("no"))).await;
    gates
        .end(End::Fail(StoreError::unavailable("lost").possibly_applied()))
        .await;
    assert_eq!(answers(asked).await, [Err(false), Err(true), Err(true)]);
    assert!(quiet(&together));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_panics_is_doubt_and_stops_nobody() {
    let (gates, together) = queue(LIMITS);
    let asked = ask(&together, &[1, 2, 3, 4, 5]).await;
    gates.end(End::Answer).await;
    assert_eq!(gates.running(), [vec![2, 3, 4]]);
    gates.end(End::Panic).await;
    assert_eq!(gates.running(), [vec![5]]);
    gates.end(End::Answer).await;
    assert_eq!(
        answers(asked).await,
        [Ok(1001), Err(true), Err(true), Err(true), Ok(1005)]
    );
    assert!(quiet(&together));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_who_goes_alone_is_its_own() {
    let (gates, together) = queue(LIMITS);
    let mut asked = ask(&together, &[1, 2]).await;
    gates.end(End::Panic).await;
    assert!(asked.remove(0).await.unwrap_err().is_panic());
    gates.end(End::Answer).await;
    assert_eq!(answers(asked).await, [Ok(1002)]);
    assert!(quiet(&together));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_the_batch_forgot_is_doubt() {
    let (gates, together) = queue(LIMITS);
    let asked = ask(&together, &[1, 2, 3]).await;
    gates.end(End::AnswerSome(0)).await;
    gates.end(End::AnswerSome(1)).await;
    assert_eq!(answers(asked).await, [Err(true), Ok(1002), Err(true)]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_long_behind_what_is_stuck() {
    let (gates, together) = queue(LIMITS);
    let asked = ask(&together, &[1, 2, 3, 4, 5]).await;
    tokio::time::advance(LIMITS.patience - Duration::from_millis(1)).await;
    settle().await;
    assert_eq!(gates.running(), [vec![1]]);
    tokio::time::advance(Duration::from_millis(2)).await;
    settle().await;
    // the second's patience took the third and fourth along; the fifth's own took the fifth
    assert_eq!(gates.running(), [vec![1], vec![2, 3, 4], vec![5]]);
    // who comes now finds more running than may, and waits until fewer do
    let late = ask(&together, &[6]).await;
    gates.end(End::Answer).await;
    gates.end(End::Answer).await;
    assert_eq!(gates.running(), [vec![5]]);
    gates.end(End::Answer).await;
    assert_eq!(gates.running(), [vec![6]]);
    gates.end(End::Answer).await;
    assert_eq!(answers(asked).await.len(), 5);
    assert_eq!(answers(late).await, [Ok(1006)]);
    assert!(quiet(&together));
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_does_not_pile_up_behind_what_is_stuck() {
    let (gates, together) = queue(LIMITS);
    let stuck = ask(&together, &[1, 2]).await;
    gates.end(End::Answer).await;
    assert_eq!(gates.running(), [vec![2]]);
    for step in 0..1000 {
        let mut gives_up = together.ask(step);
        assert!(poll(&mut gives_up).is_pending());
    }
    let most = format!("{together:?}");
    assert!(most.contains("waiting: 1 "), "{most}");
    gates.end(End::Answer).await;
    assert_eq!(answers(stuck).await.len(), 2);
    assert!(quiet(&together));
}

/// However late the first of them looks at the time: a task that is overdue takes along those before it, and does not wait once more.
#[tokio::test(start_paused = true)]
async fn nobody_waits_twice_for_those_before() {
    let (gates, together) = queue(Limits { steps: 1, ..LIMITS });
    let mut asked: Vec<_> = (1..10).map(|step| together.ask(step)).collect();
    for asked in &mut asked {
        assert!(poll(asked).is_pending());
    }
    tokio::time::advance(LIMITS.patience + Duration::from_millis(1)).await;
    for asked in asked.iter_mut().rev() {
        assert!(poll(asked).is_pending());
    }
    settle().await;
    assert_eq!(gates.running().len(), 9);
}

fn poll(asked: &mut Boxed<u32>) -> Poll<Result<u32, StoreError>> {
    asked.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

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
