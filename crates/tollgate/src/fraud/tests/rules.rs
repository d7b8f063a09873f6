//! Each rule by itself.

use super::*;
use tollgate_core::gateway::{AvsResult, CvvResult};
use tollgate_core::id::InstrumentToken;

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
    let half = Facts::default().avs(AvsResult::Partial);
    let lenient = screen(rule().challenge_partial_address(false), half).await;
    assert_eq!(lenient.decision(), Decision::Approve);
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
