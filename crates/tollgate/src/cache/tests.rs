use super::table::{Found, Table};
use super::*;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{Instant, advance, sleep};
use tollgate_core::gateway::{Call, GetPayment, Refund};
use tollgate_core::id::{CallerId, PaymentId};
use tollgate_core::{IdempotencyKey, PaymentError};
use tower::{Layer, Service, ServiceExt, service_fn};

const TTL: Duration = Duration::from_secs(10);

fn get(id: &str) -> Call<GetPayment> {
    Call::new(GetPayment {
        payment: PaymentId::new(id).unwrap(),
    })
}

fn layer() -> CacheLayer<crate::Gateway, Call<GetPayment>> {
    CacheLayer::gateway(TTL, |call: &Call<GetPayment>| {
        let tenant = call.context.caller.clone()?;
        Some(CacheKey::of(&tenant, call.message.payment.as_str()))
    })
}

fn of(tenant: &str, id: &str) -> Call<GetPayment> {
    let mut call = get(id);
    call.context.caller = Some(CallerId::new(tenant).unwrap());
    call
}

/// A read that takes a second, counts, and answers with its number.
fn slow(
    calls: &Arc<AtomicUsize>,
) -> impl Service<Call<GetPayment>, Response = usize, Error = PaymentError, Future: Send> + Clone + use<> {
    let calls = Arc::clone(calls);
    service_fn(move |_: Call<GetPayment>| {
        let number = calls.fetch_add(1, Relaxed) + 1;
        async move {
            sleep(Duration::from_secs(1)).await;
            Ok(number)
        }
    })
}

/// Seed D12d: 20 of 20 callers went at once.
#[tokio::test(start_paused = true)]
async fn of_many_that_ask_at_once_one_goes() {
    let calls = Arc::default();
    let cache = layer().layer(slow(&calls));
    let asked: Vec<_> = (0..20)
        .map(|_| tokio::spawn(cache.clone().oneshot(of("a", "pay_1"))))
        .collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap().unwrap(), 1);
    }
    assert_eq!(calls.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_lives_as_long_as_said() {
    let calls = Arc::default();
    let cache = layer().layer(slow(&calls));
    let ask = || cache.clone().oneshot(of("a", "pay_1"));
    assert_eq!(ask().await.unwrap(), 1);
    advance(TTL - Duration::from_millis(1)).await;
    assert_eq!(ask().await.unwrap(), 1);
    advance(Duration::from_millis(1)).await;
    assert_eq!(ask().await.unwrap(), 2);
    cache.clear();
    assert_eq!(ask().await.unwrap(), 3);
}

/// Seed D12c: a key by its printed form returned another user's value.
#[tokio::test(start_paused = true)]
async fn tenants_and_questions_are_apart() {
    let calls = Arc::default();
    let cache = layer().layer(slow(&calls));
    let mut seen = std::collections::HashSet::new();
    for (tenant, id) in [("a", "b:c"), ("a:b", "c"), ("b", "b:c"), ("a", "b:C")] {
        assert!(seen.insert(cache.clone().oneshot(of(tenant, id)).await.unwrap()));
    }
    assert_ne!(
        CacheKey::shared("q"),
        CacheKey::of(&CallerId::new("q").unwrap(), "q")
    );
    // without a key nothing is kept
    assert!(seen.insert(cache.clone().oneshot(get("x")).await.unwrap()));
    assert!(seen.insert(cache.oneshot(get("x")).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn what_moves_money_is_never_answered_from_memory() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let cache = CacheLayer::gateway(TTL, |_: &Call<Refund>| Some(CacheKey::shared("careless"))).layer(
        service_fn(move |_: Call<Refund>| {
            counter.fetch_add(1, Relaxed);
            async { Ok::<_, PaymentError>(()) }
        }),
    );
    for _ in 0..2 {
        let refund = Refund {
            key: IdempotencyKey::new("k").unwrap(),
            payment: PaymentId::new("pay_1").unwrap(),
            amount: None,
            reason: None,
        };
        cache.clone().oneshot(Call::new(refund)).await.unwrap();
    }
    assert_eq!(calls.load(Relaxed), 2);
}

/// A read that fails the first `failures` times.
fn failing(
    calls: &Arc<AtomicUsize>,
    fails: fn(usize) -> bool,
) -> impl Service<Call<GetPayment>, Response = usize, Error = PaymentError, Future: Send> + Clone + use<> {
    let calls = Arc::clone(calls);
    service_fn(move |_: Call<GetPayment>| {
        let number = calls.fetch_add(1, Relaxed) + 1;
        async move {
            sleep(Duration::from_secs(1)).await;
            if fails(number) {
                Err(PaymentError::timeout("test"))
            } else {
                Ok(number)
            }
        }
    })
}

#[tokio::test(start_paused = true)]
async fn an_error_goes_to_those_who_waited_and_is_forgotten() {
    let calls = Arc::default();
    let cache = layer().layer(failing(&calls, |number| number == 1));
    let both = tokio::join!(
        cache.clone().oneshot(of("a", "pay_1")),
        cache.clone().oneshot(of("a", "pay_1"))
    );
    assert!(both.0.is_err() && both.1.is_err());
    assert_eq!(calls.load(Relaxed), 1);
    assert_eq!(cache.oneshot(of("a", "pay_1")).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_stands_in_only_where_that_was_said() {
    for (longer, expected) in [(Duration::ZERO, None), (TTL, Some(1))] {
        let calls = Arc::default();
        let cache = layer()
            .stale_if_error(longer)
            .layer(failing(&calls, |number| number > 1));
        assert_eq!(cache.clone().oneshot(of("a", "pay_1")).await.unwrap(), 1);
        advance(TTL).await;
        assert_eq!(cache.clone().oneshot(of("a", "pay_1")).await.ok(), expected);
        advance(TTL).await;
        assert_eq!(cache.oneshot(of("a", "pay_1")).await.ok(), None);
    }
}

/// uniflight's lesson: the one who goes must not take the others with it when it gives up.
#[tokio::test(start_paused = true)]
async fn a_leader_that_gives_up_does_not_cut_the_others() {
    let calls = Arc::default();
    let cache = layer().layer(slow(&calls));
    let leader = tokio::spawn(cache.clone().oneshot(of("a", "pay_1")));
    tokio::task::yield_now().await;
    let follower = tokio::spawn(cache.clone().oneshot(of("a", "pay_1")));
    tokio::task::yield_now().await;
    leader.abort();
    assert_eq!(follower.await.unwrap().unwrap(), 1);
    assert_eq!(calls.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_reaches_the_one_who_went_and_frees_the_others() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let cache = layer().layer(service_fn(move |_: Call<GetPayment>| {
        let number = counter.fetch_add(1, Relaxed);
        async move {
            sleep(Duration::from_secs(1)).await;
            assert!(number > 0, "the first one panics");
            Ok::<_, PaymentError>(number)
        }
    }));
    let first = tokio::spawn(cache.clone().oneshot(of("a", "pay_1")));
    tokio::task::yield_now().await;
    let second = tokio::spawn(cache.clone().oneshot(of("a", "pay_1")));
    assert!(first.await.unwrap_err().is_panic());
    assert_eq!(second.await.unwrap().unwrap(), 1);
    assert_eq!(cache.oneshot(of("a", "pay_1")).await.unwrap(), 2);
}

/// Seed D12b: the size limit was ignored.
#[tokio::test(start_paused = true)]
async fn entries_are_bounded_and_the_oldest_makes_room() {
    let mut table = Table::new(3, TTL, Duration::ZERO);
    for number in 0..10 {
        let key = CacheKey::shared(number.to_string());
        let Found::Go(_tell) = table.find(&key, Instant::now()) else {
            panic!("not there yet")
        };
        table.land(&key, Some(number), Instant::now());
        assert!(table.len() <= 3);
        advance(Duration::from_secs(1)).await;
    }
    for (number, there) in [(9, true), (8, true), (7, true), (6, false)] {
        let fresh = matches!(
            table.find(&CacheKey::shared(number.to_string()), Instant::now()),
            Found::Fresh(_)
        );
        assert_eq!(fresh, there, "{number}");
    }
}

/// A read that panicked never lands. Its entry stayed for ever: neither bound nor `clear` reached it, and keys are the client's to choose.
#[tokio::test(start_paused = true)]
async fn reads_that_never_landed_make_room_as_well() {
    let key = |number: u32| CacheKey::shared(number.to_string());
    let mut table = Table::new(3, TTL, TTL);
    for number in 0..10 {
        assert!(matches!(table.find(&key(number), Instant::now()), Found::Go(_))); // and it is gone
        assert!(table.len() <= 3, "{} after {number}", table.len());
    }
    // some that are kept, looked for anew once they were stale, and lost then
    for number in 10..13 {
        let Found::Go(_tell) = table.find(&key(number), Instant::now()) else {
            panic!("not there yet")
        };
        table.land(&key(number), Some(number), Instant::now());
    }
    advance(TTL).await;
    for number in 10..13 {
        assert!(matches!(table.find(&key(number), Instant::now()), Found::Go(_)));
    }
    // those that somebody waits for stay
    let waited_for: Vec<_> = (13..16)
        .map(|number| table.find(&key(number), Instant::now()))
        .collect();
    assert!(waited_for.iter().all(|found| matches!(found, Found::Go(_))));
    for number in 13..16 {
        let found = table.find(&key(number), Instant::now());
        assert!(matches!(found, Found::OnItsWay(_)), "{number}");
    }
    assert_eq!(table.len(), 3);
    table.clear();
    assert_eq!(table.len(), 3);
    drop(waited_for);
    table.clear();
    assert_eq!(table.len(), 0);
}

type Body = Full<Bytes>;

#[tokio::test(start_paused = true)]
async fn over_http_safe_and_public_answers_are_kept() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let cache = CacheLayer::http(TTL, |request: &Request<Body>| {
        Some(CacheKey::shared(request.uri().path()))
    })
    .largest_body(100)
    .layer(service_fn(move |request: Request<Body>| {
        let number = counter.fetch_add(1, Relaxed) + 1;
        let path = request.uri().path().to_owned();
        async move {
            let response = Response::builder().header("x-number", number);
            let response = match path.as_str() {
                "/private" => response.header("cache-control", "max-age=60, Private"),
                "/cookie" => response.header("set-cookie", "a=b"),
                "/gone" => response.status(404),
                _ => response,
            };
            let body = if path == "/large" {
                "x".repeat(101)
            } else {
                format!("{path} {number}")
            };
            Ok::<_, std::convert::Infallible>(response.body(Body::from(body)).unwrap())
        }
    }));
    let ask = async |method: &str, path: &str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::default())
            .unwrap();
        let response = cache.clone().oneshot(request).await.unwrap();
        let number: usize = response.headers()["x-number"].to_str().unwrap().parse().unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        if path != "/large" {
            assert_eq!(body, format!("{path} {number}"));
        }
        number
    };
    assert_eq!(ask("GET", "/rates").await, ask("GET", "/rates").await);
    for path in ["/private", "/cookie", "/gone", "/large"] {
        assert_ne!(ask("GET", path).await, ask("GET", path).await, "{path}");
    }
    assert_ne!(ask("POST", "/rates").await, ask("POST", "/rates").await);
}

/// A 304, a part, or a HEAD's empty body is no answer to somebody who asks for the whole.
#[tokio::test]
async fn a_partial_answer_is_not_given_to_others() {
    let serve = |request: Request<Full<Bytes>>| async move {
        let has = |name| request.headers().contains_key(name);
        let (status, body) = match request.method() {
            &http::Method::HEAD => (200, ""),
            _ if has("if-none-match") => (304, ""),
            _ if has("range") => (206, "wh"),
            _ => (200, "whole"),
        };
        let body = Full::new(Bytes::from(body));
        Ok::<_, PaymentError>(Response::builder().status(status).body(body).unwrap())
    };
    let ask = |method: &str, header: &'static str| {
        let request = Request::builder().method(method).uri("/p");
        request.header(header, "x").body(Full::new(Bytes::new())).unwrap()
    };
    for (method, header) in [("HEAD", "x-none"), ("GET", "if-none-match"), ("GET", "range")] {
        let layer = CacheLayer::http_client(TTL, |request: &Request<Full<Bytes>>| {
            Some(CacheKey::shared(request.uri().path()))
        });
        let service = layer.layer(service_fn(serve));
        service.clone().oneshot(ask(method, header)).await.unwrap();
        let whole = service.oneshot(ask("GET", "x-none")).await.unwrap();
        assert_eq!(whole.status(), 200, "{method} {header}");
        assert_eq!(
            whole.into_body().collect().await.unwrap().to_bytes(),
            "whole",
            "{method} {header}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_must_be_asked_for_again_is_not_kept() {
    for (name, value) in [
        ("vary", "*"),
        ("cache-control", "no-cache"),
        ("cache-control", "public, max-age=0"),
    ] {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let layer = CacheLayer::http_client(TTL, |_: &Request<Full<Bytes>>| Some(CacheKey::shared("q")));
        let service = layer.layer(service_fn(move |_| {
            count.fetch_add(1, Relaxed);
            let response = Response::builder()
                .header(name, value)
                .body(Full::new(Bytes::new()));
            async { Ok::<_, PaymentError>(response.unwrap()) }
        }));
        for _ in 0..2 {
            service
                .clone()
                .oneshot(Request::new(Full::new(Bytes::new())))
                .await
                .unwrap();
        }
        assert_eq!(calls.load(Relaxed), 2, "{name}: {value}");
    }
}
