//! What becomes of a delivery: handled once, whatever happens on the way.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_acknowledged_and_not_processed() {
    let shop = shop(&[200]);
    for _ in 0..3 {
        assert_eq!(shop.deliver("msg_1").await, StatusCode::OK);
    }
    assert_eq!(shop.handled(), 1);
    assert_eq!(shop.deliver("msg_2").await, StatusCode::OK);
    assert_eq!(shop.handled(), 2);
}

/// seed W9: marked before it was processed; the handler failed, the redelivery was acknowledged, nobody ever processed it.
#[tokio::test(start_paused = true)]
async fn an_event_whose_handler_failed_is_processed_by_the_redelivery() {
    let shop = shop(&[500, 200]);
    assert_eq!(shop.deliver("msg_1").await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(shop.deliver("msg_1").await, StatusCode::OK);
    assert_eq!(shop.deliver("msg_1").await, StatusCode::OK);
    assert_eq!(shop.handled(), 2);
}

/// seed W10: a second delivery was acknowledged while the first still ran.
#[tokio::test(start_paused = true)]
async fn no_2xx_while_another_delivery_runs() {
    let shop = shop(&[200]);
    let first = tokio::spawn(shop.app.clone().oneshot(shop.delivery("msg_1")));
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    let second = shop.app.clone().oneshot(shop.delivery("msg_1")).await.unwrap();
    assert_eq!(second.status(), StatusCode::CONFLICT);
    assert!(second.headers().contains_key("retry-after"));
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(shop.handled(), 1);
}

/// A handler that panicked or a process that died leaves a claim; when its lease lapses the redelivery is processed.
#[tokio::test(start_paused = true)]
async fn a_lost_claim_is_taken_over() {
    let shop = shop(&[0, 200]);
    let died = tokio::spawn(shop.app.clone().oneshot(shop.delivery("msg_1"))).await;
    assert!(died.unwrap_err().is_panic());
    assert_eq!(shop.deliver("msg_1").await, StatusCode::CONFLICT);
    shop.clock.advance(Duration::from_secs(61));
    assert_eq!(shop.deliver("msg_1").await, StatusCode::OK);
    assert_eq!(shop.handled(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_up_does_not_cut_the_handler() {
    let shop = shop(&[200]);
    let cut = tokio::time::timeout(
        Duration::from_millis(10),
        shop.app.clone().oneshot(shop.delivery("msg_1")),
    )
    .await;
    assert!(cut.is_err());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let again = shop.app.clone().oneshot(shop.delivery("msg_1")).await.unwrap();
    assert_eq!(again.headers()["webhook-duplicate"], "true");
    assert_eq!(shop.handled(), 1);
}

#[tokio::test(start_paused = true)]
async fn tampered_stale_and_oversized_are_refused_before_the_handler() {
    let shop = shop(&[200]);
    let mut tampered = shop.delivery("msg_1");
    *tampered.body_mut() = Body::from("{}");
    let refused = shop.app.clone().oneshot(tampered).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["www-authenticate"], "Signature"); // RFC 9110: a 401 names its scheme
    let stale = shop.delivery("msg_1");
    shop.clock.advance(Duration::from_secs(301));
    assert_eq!(
        shop.app.clone().oneshot(stale).await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
    let mut large = shop.delivery("msg_1");
    *large.body_mut() = Body::from(vec![0; (1 << 20) + 1]);
    assert_eq!(
        shop.app.clone().oneshot(large).await.unwrap().status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let mut encoded = shop.delivery("msg_1");
    encoded
        .headers_mut()
        .insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(
        shop.app.clone().oneshot(encoded).await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(shop.handled(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_moment_has_nothing_processed_twice() {
    use tollgate_testkit::fault::{Faulty, When};
    for when in When::ALL {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
        let store = Faulty::new(MemoryDedup::with(100, clock.clone())).failing(1, when); // 0: the claim, 1: the commit
        let config = WebhookConfig::default();
        let layer = WebhookLayer::with(stripe(), store, config, clock.clone(), "");
        let handled = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&handled);
        let handler = move || async move { count.fetch_add(1, SeqCst).to_string() };
        let app: Router = Router::new().route("/", post(handler)).layer(layer);
        for _ in 0..2 {
            let mut delivery = Request::post("/").body(Body::from(BODY)).unwrap();
            let now = tollgate_core::Clock::now(&clock);
            delivery.headers_mut().extend(stripe().sign(now, BODY));
            assert_eq!(
                app.clone().oneshot(delivery).await.unwrap().status(),
                StatusCode::OK,
                "{when:?}"
            );
            clock.advance(Duration::from_secs(120));
        }
        assert_eq!(handled.load(SeqCst), 1, "{when:?}");
    }
}
