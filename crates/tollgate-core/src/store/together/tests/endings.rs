//! Callers that go away, and batches that fail, panic or forget somebody.

use super::*;

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
