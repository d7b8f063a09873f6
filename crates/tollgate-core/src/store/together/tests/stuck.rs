//! Behind a batch that does not end: patience, and what is taken back.

use super::*;

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
