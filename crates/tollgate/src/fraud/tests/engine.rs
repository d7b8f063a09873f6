//! What becomes of several findings, and of rules that fail.

use super::*;
use crate::fraud::rules::RuleFailure;
use proptest::prelude::*;
use tollgate_core::store::velocity::{Admit, Admitted, VelocityStore};
use tollgate_core::store::{Boxed, StoreError};

/// Seed F4: a review was ignored and the payment approved. Seed F8: a challenge hid the review at any score.
#[tokio::test]
async fn a_review_counts_and_a_challenge_does_not_swallow_it() {
    let review = screen(says("r", Decision::Review, 0), Facts::default()).await;
    assert_eq!(review.decision(), Decision::Review);

    let both = Engine::builder()
        .rule(says("challenge", Decision::Challenge, 0))
        .rule(says("review", Decision::Review, 0))
        .build()
        .unwrap();
    let first = both.screen(Facts::default()).await;
    assert_eq!(
        (first.decision(), first.review_waits()),
        (Decision::Challenge, true)
    );
    let passed = both.screen(Facts::default().authenticated(true)).await;
    assert_eq!(
        (passed.decision(), passed.review_waits()),
        (Decision::Review, false)
    );

    let score = Engine::builder()
        .rule(says("a", Decision::Challenge, 30))
        .rule(says("b", Decision::Approve, 20))
        .build()
        .unwrap();
    let screening = score.screen(Facts::default().authenticated(true)).await;
    assert_eq!((screening.decision(), screening.score()), (Decision::Review, 50));
}

struct Down;

impl VelocityStore for Down {
    type Future<T: Send + 'static> = Boxed<T>;

    fn admit(&self, _: Admit) -> Self::Future<Admitted> {
        Box::pin(async { Err(StoreError::unavailable("down")) })
    }
}

/// Seed F9: a rule that raised aborted the whole evaluation. F12: a rule that waits crashed it.
#[tokio::test(start_paused = true)]
async fn a_failing_rule_holds_the_payment() {
    let down = || {
        Velocity::new(
            "v",
            Down,
            &Secrets::ephemeral(),
            5,
            Duration::from_secs(60),
            by_mailbox,
        )
    };
    let facts = || Facts::default().email("a@example.com");
    let held = screen(down(), facts()).await;
    assert_eq!(held.decision(), Decision::Review);
    assert!(held.verdicts()[0].failed);
    let open = screen(down().when_store_is_down(Decision::Approve), facts()).await;
    assert_eq!(open.decision(), Decision::Approve);
    let closed = screen(down().when_store_is_down(Decision::Block), facts()).await;
    assert_eq!(closed.decision(), Decision::Block);

    let panics = screen(rule_fn("p", |_: &Facts| panic!("a bug")), Facts::default()).await;
    assert_eq!(panics.decision(), Decision::Review);
    let panics_later = screen(Asks(|| Box::pin(async { panic!("a bug") })), Facts::default()).await;
    assert_eq!(panics_later.decision(), Decision::Review);
    let errs = screen(
        Asks(|| Box::pin(async { Err::<_, RuleFailure>("no answer".into()) })),
        Facts::default(),
    );
    assert_eq!(errs.await.decision(), Decision::Review);
    let waits = screen(
        Asks(|| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(Some(Finding::new(Decision::Block, 100, "said the model")))
            })
        }),
        Facts::default(),
    );
    assert_eq!(waits.await.blocked_by(), Some("asks"));
}

#[tokio::test]
async fn a_shadow_is_told_and_decides_nothing() {
    let engine = Engine::builder()
        .shadow(says("shadow", Decision::Block, 1000))
        .rule(says("real", Decision::Approve, 1))
        .build()
        .unwrap();
    let screening = engine.screen(Facts::default()).await;
    assert_eq!((screening.decision(), screening.score()), (Decision::Approve, 1));
    assert_eq!(screening.verdicts().len(), 2);
    assert_eq!(screening.blocked_by(), None);
}

/// Seed F3: two rules under one default name.
#[test]
fn names_are_unique() {
    let twice = Engine::builder()
        .rule(CardChecks::default())
        .rule(CardChecks::default());
    assert_eq!(twice.build().unwrap_err(), DuplicateRule("card_checks"));
}

proptest! {
    /// The order of rules never makes a decision milder, and without a block it does not matter at all.
    #[test]
    fn the_most_severe_decides(findings in prop::collection::vec((0u8..4, 0u32..40), 0..6), authenticated: bool) {
        let names = ["a", "b", "c", "d", "e", "f"];
        let decide = |order: &[(u8, u32)]| {
            let mut builder = Engine::builder();
            for ((decision, score), name) in order.iter().zip(names) {
                let decision = [Decision::Approve, Decision::Review, Decision::Challenge, Decision::Block][usize::from(*decision)];
                builder = builder.rule(says(name, decision, *score));
            }
            let mut screen = builder.build().unwrap().screen(Facts::default().authenticated(authenticated));
            screen.advance().unwrap()
        };
        let forward = decide(&findings);
        let backward = decide(&findings.iter().rev().copied().collect::<Vec<_>>());
        prop_assert_eq!(forward.decision(), backward.decision());
        for (decision, _) in &findings {
            match decision {
                1 => prop_assert!(forward.decision() >= Decision::Review),
                2 if !authenticated => prop_assert!(forward.decision() >= Decision::Challenge),
                3 => prop_assert_eq!(forward.decision(), Decision::Block),
                _ => {}
            }
        }
    }
}
