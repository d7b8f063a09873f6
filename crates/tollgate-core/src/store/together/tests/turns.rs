//! Who goes, when, and with whom.

use super::*;

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
