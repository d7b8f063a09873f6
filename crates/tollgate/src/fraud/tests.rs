use super::rules::{Later, RuleFailure};
use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_core::gateway::{AvsResult, Call, CvvResult, GetPayment, NewPayment, Sale};
use tollgate_core::id::{InstrumentToken, MerchantReference, PaymentId};
use tollgate_core::store::memory::MemoryVelocity;
use tollgate_core::store::velocity::{Admit, Admitted, VelocityStore};
use tollgate_core::store::{Boxed, StoreError};
use tollgate_core::{Effect, Fault, IdempotencyKey, ManualClock, PaymentError, Secrets, Timestamp};
use tower::{Layer, ServiceExt, service_fn};

async fn screen(rule: impl Rule, facts: Facts) -> Screening {
    Engine::builder().rule(rule).build().unwrap().screen(facts).await
}

fn says(name: &'static str, decision: Decision, score: u32) -> impl Rule {
    rule_fn(name, move |_: &Facts| Some(Finding::new(decision, score, "test")))
}

fn amount(text: &str) -> Facts {
    Facts::default().amount(text.parse().unwrap())
}

fn sale() -> Call<Sale> {
    Call::new(Sale {
        key: IdempotencyKey::new("k").unwrap(),
        payment: NewPayment::new(
            "10.00 EUR".parse().unwrap(),
            InstrumentToken::new("tok_1").unwrap(),
            MerchantReference::new("order-1").unwrap(),
        ),
    })
}

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

/// Seed F5: a threshold in dollars let a billion euros pass.
#[tokio::test]
async fn every_currency_is_covered() {
    let rule = || HighAmount::new(["2000.00 USD".parse().unwrap(), "300000 JPY".parse().unwrap()]);
    for (text, decision) in [
        ("1999.99 USD", Decision::Approve),
        ("2000.00 USD", Decision::Challenge),
        ("299999 JPY", Decision::Approve),
        ("300000 JPY", Decision::Challenge),
        ("1000000000.00 EUR", Decision::Review),
        ("0.01 EUR", Decision::Review),
    ] {
        assert_eq!(screen(rule(), amount(text)).await.decision(), decision, "{text}");
    }
    let blocks = rule().other_currencies(Decision::Block);
    assert_eq!(
        screen(blocks, amount("0.01 EUR")).await.decision(),
        Decision::Block
    );
}

/// Seed F10: a negative amount was approved.
#[tokio::test]
async fn an_amount_that_is_not_positive_is_blocked() {
    for text in ["0.00 EUR", "-5.00 EUR"] {
        let screening = Engine::builder().build().unwrap().screen(amount(text)).await;
        assert_eq!(screening.blocked_by(), Some("amount"), "{text}");
    }
}

/// Seed F6, F6b: capitals on the list, spaces and plus tags in the address got past it.
#[tokio::test]
async fn spelling_does_not_get_past_the_blocklist() {
    let list = || {
        Blocklist::default()
            .emails(["Eve@Example.COM "])
            .domains(["@Mailinator.com"])
            .networks([
                "203.0.113.0/24".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ])
            .instruments([InstrumentToken::new("tok_bad").unwrap()])
    };
    for address in [
        "eve@example.com",
        "EVE@EXAMPLE.COM",
        " eve+shop@example.com",
        "eve@example.com.",
        "x@a.mailinator.com",
    ] {
        let screening = screen(list(), Facts::default().email(address)).await;
        assert_eq!(screening.decision(), Decision::Block, "{address}");
    }
    for ip in ["203.0.113.9", "::ffff:203.0.113.9", "2001:db8:1::1"] {
        let screening = screen(list(), Facts::default().ip(ip.parse().unwrap())).await;
        assert_eq!(screening.decision(), Decision::Block, "{ip}");
    }
    for innocent in [
        Facts::default().email("steve@example.com"),
        Facts::default().email("eve@notmailinator.com"),
        Facts::default().ip("203.0.114.9".parse().unwrap()),
        Facts::default().instrument(InstrumentToken::new("tok_good").unwrap()),
    ] {
        assert_eq!(screen(list(), innocent).await.decision(), Decision::Approve);
    }
}

/// Seed F7: "us" and "US" asked for a challenge.
#[tokio::test]
async fn countries_are_compared_not_their_spelling() {
    let facts = |card: &str, bill: &str| {
        Facts::default()
            .card_country(card.parse().unwrap())
            .billing_country(bill.parse().unwrap())
    };
    let rule = CountryMismatch::default;
    assert_eq!(
        screen(rule(), facts("us", "US")).await.decision(),
        Decision::Approve
    );
    assert_eq!(
        screen(rule(), facts("US", "DE")).await.decision(),
        Decision::Challenge
    );
    assert_eq!("USA".parse::<Country>(), Err(NotACountry));
}

#[tokio::test]
async fn not_checked_is_no_mismatch() {
    let rule = CardChecks::default;
    for (cvv, avs, decision) in [
        (CvvResult::Match, AvsResult::Match, Decision::Approve),
        (CvvResult::Unavailable, AvsResult::Unavailable, Decision::Approve),
        (CvvResult::Mismatch, AvsResult::Match, Decision::Block),
        (CvvResult::Match, AvsResult::Mismatch, Decision::Block),
        (CvvResult::Match, AvsResult::Partial, Decision::Challenge),
    ] {
        let facts = Facts::default().cvv(cvv).avs(avs);
        assert_eq!(screen(rule(), facts).await.decision(), decision, "{cvv} {avs}");
    }
    assert_eq!(screen(rule(), Facts::default()).await, Screening::default());
}

fn by_mailbox(facts: &Facts) -> Option<String> {
    facts.mailbox.as_ref().map(|mailbox| mailbox.as_str().to_owned())
}

/// Seed F1: the rule never recorded anything. F3: two windows erased each other's history.
#[tokio::test]
async fn velocity_counts_by_itself_and_windows_are_independent() {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_000_000));
    let store = MemoryVelocity::with(100, clock.clone());
    let secrets = Secrets::ephemeral();
    let minute = Velocity::new(
        "minute",
        store.clone(),
        &secrets,
        2,
        Duration::from_secs(60),
        by_mailbox,
    );
    let hour = Velocity::new("hour", store, &secrets, 5, Duration::from_secs(3600), by_mailbox);
    let engine = Engine::builder().rule(minute).rule(hour).build().unwrap();
    let facts = Facts::default().email("a@example.com");
    let mut blocked = Vec::new();
    for _ in 0..8 {
        blocked.push(engine.screen(facts.clone()).await.blocked_by());
        clock.advance(Duration::from_secs(31));
    }
    // one in 31 s never exceeds two a minute; the sixth in the hour is one too many
    assert_eq!(
        blocked,
        [
            None,
            None,
            None,
            None,
            None,
            Some("hour"),
            Some("hour"),
            Some("hour")
        ]
    );
    assert_eq!(
        engine
            .screen(Facts::default().email("b@example.com"))
            .await
            .blocked_by(),
        None
    );
    clock.advance(Duration::from_secs(3600));
    assert_eq!(engine.screen(facts).await.blocked_by(), None);
}

/// Seed F2: 50 of 50 at once passed a limit of five.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_do_not_all_pass_a_limit_of_five() {
    let rule = Velocity::new(
        "v",
        MemoryVelocity::new(),
        &Secrets::ephemeral(),
        5,
        Duration::from_secs(60),
        by_mailbox,
    );
    let engine = Engine::builder().rule(rule).build().unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.screen(Facts::default().email("a@example.com")).await })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += usize::from(task.await.unwrap().decision() == Decision::Approve);
    }
    assert_eq!(passed, 5);
}

struct Down;

impl VelocityStore for Down {
    type Future<T: Send + 'static> = Boxed<T>;

    fn admit(&self, _: Admit) -> Self::Future<Admitted> {
        Box::pin(async { Err(StoreError::unavailable("down")) })
    }
}

struct Asks(fn() -> Later);

impl Rule for Asks {
    fn name(&self) -> &'static str {
        "asks"
    }

    fn check(&self, _: &Facts) -> Check {
        Check::Later((self.0)())
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

fn counting(
    calls: Arc<AtomicUsize>,
) -> impl tower::Service<Call<Sale>, Response = (), Error = PaymentError, Future: Send> + Clone {
    service_fn(move |_: Call<Sale>| {
        calls.fetch_add(1, Relaxed);
        async { Ok(()) }
    })
}

#[tokio::test]
async fn what_is_refused_is_not_sent() {
    for (decision, code) in [
        (Decision::Approve, None),
        (Decision::Review, Some("review-required")),
        (Decision::Challenge, Some("challenge-required")),
        (Decision::Block, Some("fraud-blocked")),
    ] {
        let calls = Arc::new(AtomicUsize::new(0));
        let engine = Engine::builder().rule(says("r", decision, 0)).build().unwrap();
        let answer = FraudLayer::sales(engine)
            .layer(counting(Arc::clone(&calls)))
            .oneshot(sale())
            .await;
        assert_eq!(calls.load(Relaxed), usize::from(code.is_none()));
        match answer {
            Ok(()) => assert_eq!(code, None),
            Err(error) => {
                assert_eq!(error.code(), code);
                assert_eq!(error.verdict().effect, Effect::NotSent);
                assert!(
                    !error.to_string().contains("test"),
                    "the rule's reason stays here"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_review_can_let_authorizations_through() {
    let calls = Arc::new(AtomicUsize::new(0));
    let engine = Engine::builder()
        .rule(says("r", Decision::Review, 0))
        .build()
        .unwrap();
    let layer = FraudLayer::sales(engine).on_review(OnReview::LetThrough);
    assert!(
        layer
            .layer(counting(Arc::clone(&calls)))
            .oneshot(sale())
            .await
            .is_ok()
    );
    assert_eq!(calls.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn dropped_while_a_rule_waits_nothing_is_sent() {
    let calls = Arc::new(AtomicUsize::new(0));
    let engine = Engine::builder()
        .rule(Asks(|| Box::pin(std::future::pending())))
        .build()
        .unwrap();
    let call = FraudLayer::sales(engine)
        .layer(counting(Arc::clone(&calls)))
        .oneshot(sale());
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    assert_eq!(calls.load(Relaxed), 0);
}

#[tokio::test]
async fn reads_pass_and_http_answers_with_a_problem() {
    let asked = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&asked);
    let engine = Engine::builder()
        .rule(rule_fn("r", move |_: &Facts| {
            *counter.lock().unwrap() += 1;
            Some(Finding::new(Decision::Block, 100, "test"))
        }))
        .build()
        .unwrap();
    let read = FraudLayer::gateway(engine.clone(), |_: &Call<GetPayment>| Facts::default()).layer(
        service_fn(|_: Call<GetPayment>| async { Ok::<_, PaymentError>(()) }),
    );
    let get = Call::new(GetPayment {
        payment: PaymentId::new("pay_1").unwrap(),
    });
    assert!(read.oneshot(get).await.is_ok());
    assert_eq!(*asked.lock().unwrap(), 0);

    type Body = http_body_util::Full<bytes::Bytes>;
    let http = FraudLayer::http(engine, |request: &http::Request<Body>| {
        match request
            .headers()
            .get("x-email")
            .and_then(|value| value.to_str().ok())
        {
            Some(address) => Facts::default().email(address),
            None => Facts::default(),
        }
    })
    .layer(service_fn(|_: http::Request<Body>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::default()))
    }));
    let post = http::Request::post("/charges").body(Body::default()).unwrap();
    let answer = http.oneshot(post).await.unwrap();
    assert_eq!(answer.status(), 402);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[test]
fn dressed_up_addresses_are_one_mailbox() {
    for address in [
        "Eve <eve@example.com>",
        "\"eve\"@example.com",
        "mailto:eve@example.com",
        "eve\u{200b}@example.com",
        "eve @ example.com,",
    ] {
        assert_eq!(
            Mailbox::of(address),
            Mailbox::of("eve@example.com"),
            "{address:?}"
        );
    }
    assert_ne!(
        Mailbox::of("ann <eve@example.com>"),
        Mailbox::of("ann@example.com")
    );
}
