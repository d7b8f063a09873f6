//! The conformance runner, on servers that should pass and on servers that must not.
//!
//! | file | holds |
//! |---|---|
//! | `shop.rs` | the endpoints and the counter, the same for all |
//! | `guarded.rs` | axum and bare hyper wearing the layer over SQLite |
//! | `broken.rs` | servers with one flaw each |

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod broken;
mod guarded;
mod shop;

use broken::Flaw;
use guarded::{Kind, Server};
use http::{HeaderName, HeaderValue, Method};
use std::time::Duration;
use tollgate::idempotency::GuardedHttp;
use tollgate_testkit::http_conformance::{
    Commands, Counter, Profile, Report, Target, Variant, Verdict, find_case, run,
};

const BODY: &str = r#"{"amount": 1999, "reference": "{unique}"}"#;

fn bearer(token: &str) -> (HeaderName, HeaderValue) {
    let value = format!("Bearer {token}");
    (http::header::AUTHORIZATION, value.parse().unwrap())
}

/// The shop, with everything that it can be asked.
fn target(url: &str) -> Target {
    let counter = Counter::Url {
        url: "/count".into(),
        pointer: String::new(),
    };
    let (name, token) = bearer("acme-1");
    let (same_name, same_token) = bearer("acme-2");
    let (other_name, other_token) = bearer("bolt");
    let mut target = Target::new(url, counter)
        .unwrap()
        .endpoint(Method::POST, "/charges", BODY)
        .header(name, token)
        .same_caller(same_name, same_token)
        .other_caller(other_name, other_token)
        .timeout(Duration::from_secs(20))
        .settle(Duration::from_millis(50)); // these servers count at once
    for variant in Variant::ALL {
        target = target.variant(variant, Some(format!("/{}", variant.as_str())), None);
    }
    target
}

async fn look_at(kind: Kind, profile: Profile) -> Report {
    let guarded = match profile {
        Profile::Stripe => GuardedHttp::stripe(),
        _ => GuardedHttp::ietf(),
    };
    let server = Server::start(kind, guarded).await;
    let commands = Commands {
        expire: Some(server.lever("expire")),
        restart: Some(server.lever("restart")),
        store_down: Some(server.lever("down")),
        store_up: Some(server.lever("up")),
    };
    let report = run(target(&server.url).commands(commands), &[]).await.unwrap();
    assert_eq!(report.profile, profile, "recognised by its words");
    assert_eq!(report.count(Verdict::Fail), 0, "{kind:?}\n{report}");
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn axum_passes_every_case_of_ietf() {
    let report = look_at(Kind::Axum, Profile::Ietf).await;
    assert_eq!(report.count(Verdict::Pass), 40, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn axum_passes_every_case_of_stripe() {
    let report = look_at(Kind::Axum, Profile::Stripe).await;
    let not_asked: Vec<_> = report.named(Verdict::NotApplicable).collect();
    assert_eq!(not_asked, ["quoted-is-bare", "in-flight-retry-after"], "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hyper_passes_every_case_of_ietf() {
    let report = look_at(Kind::Hyper, Profile::Ietf).await;
    assert_eq!(report.count(Verdict::Pass), 40, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hyper_passes_every_case_of_stripe() {
    let report = look_at(Kind::Hyper, Profile::Stripe).await;
    assert_eq!(report.count(Verdict::Pass), 38, "{report}");
}

/// The cases that a flaw is about fail, and no others, or the servers are broken elsewhere; less, or the cases are blind. `timing` names
/// cases that meet the flaw only if two requests meet.
async fn fails(flaw: Flaw, expected: &[&str], timing: &[&str]) {
    for name in expected.iter().chain(timing) {
        assert!(find_case(name).is_some(), "{name}");
    }
    let url = broken::start(flaw).await;
    let target = target(&url).profile(Profile::Ietf);
    let report = run(target, &[]).await.unwrap();
    let mut failed: Vec<_> = report.named(Verdict::Fail).collect();
    failed.retain(|name| !timing.contains(name));
    assert_eq!(failed, expected, "{flaw:?}\n{report}");
    // a map in memory has nothing to pull
    let not_asked: Vec<_> = report.named(Verdict::NotApplicable).collect();
    assert!(
        not_asked.ends_with(&["restart", "expired", "store-outage"]),
        "{report}"
    );
}

macro_rules! flaws {
    ($($test:ident: $flaw:ident fails $($case:literal)* $(, may fail $($timing:literal)+)?;)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            fails(Flaw::$flaw, &[$($case),*], &[$($($timing),+)?]).await;
        }
    )+};
}

flaws! {
    control_without_a_flaw: None fails;
    no_layer: NoLayer fails
        "missing-key" "empty-key" "malformed-key" "repeated-header" "bare-key" "quoted-key" "quoted-is-bare" "longest-keys" "overlong-keys"
        "replay" "replayed-headers" "created" "no-content" "declined" "failed-after-the-effect" "other-body" "other-query"
        "other-body-in-flight" "original-after-other-body" "in-flight" "after-in-flight" "race" "race-of-bodies"
        "cut-while-running" "slow-upload" "oversized-request" "large-answer" "streamed-answer" "refreshed-token", may fail "cut-answer";
    a_5xx_clears_the_key: ForgetsFailures fails "failed-after-the-effect";
    nothing_is_compared: ComparesNothing fails "other-body" "other-query" "other-body-in-flight", may fail "race-of-bodies";
    running_calls_are_not_seen: SeesNoRunningCall fails
        "other-body-in-flight" "in-flight" "after-in-flight" "race" "race-of-bodies" "cut-while-running", may fail "cut-answer";
    a_hang_up_frees_the_key: FreesOnHangUp fails "cut-while-running", may fail "cut-answer";
    keys_are_cut: CutsKeys fails "longest-keys";
    headers_are_lost: LosesHeaders fails "replayed-headers" "created";
    only_successes_are_kept: KeepsSuccessesOnly fails "declined" "failed-after-the-effect";
    keys_belong_to_everybody: SharesKeys fails "other-caller";
    a_replay_runs_again: RunsBehindTheReplay fails
        "bare-key" "quoted-key" "quoted-is-bare" "longest-keys" "replay" "no-content" "failed-after-the-effect"
        "original-after-other-body" "after-in-flight" "cut-answer" "cut-while-running" "slow-upload" "large-answer" "streamed-answer"
        "refreshed-token", may fail "race";
    a_hang_up_is_a_decline: DeclinesOnHangUp fails "cut-while-running", may fail "cut-answer";
}
