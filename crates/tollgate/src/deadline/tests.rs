use super::*;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::gateway::{Call, GetPayment};
use tollgate_core::id::PaymentId;
use tollgate_core::{CallContext, Deadline, PaymentError};
use tower::{Layer, ServiceExt, service_fn};

fn get() -> Call<GetPayment> {
    Call::new(GetPayment {
        payment: PaymentId::new("pay_1").unwrap(),
    })
}

const TEN: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_ready_at_the_deadline_wins() {
    let service = service_fn(|_: Call<GetPayment>| async {
        tokio::time::sleep(TEN).await;
        Ok::<_, PaymentError>("captured")
    });
    assert_eq!(
        DeadlineLayer::gateway(TEN).layer(service).oneshot(get()).await,
        Ok("captured")
    );
}

#[tokio::test(start_paused = true)]
async fn the_earlier_deadline_stands_and_travels_inside() {
    let service = service_fn(|call: Call<GetPayment>| async move {
        let deadline = call.context.deadline.unwrap();
        Ok::<_, PaymentError>(deadline.remaining(Instant::now().into_std()))
    });
    let stack = DeadlineLayer::gateway(TEN * 3).layer(DeadlineLayer::gateway(TEN).layer(service));
    assert_eq!(stack.oneshot(get()).await, Ok(TEN));
    let mut call = get();
    call.context.deadline = Some(Deadline::at((Instant::now() + TEN / 2).into_std()));
    assert_eq!(stack.oneshot(call).await, Ok(TEN / 2));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_late_is_not_sent() {
    let service = service_fn(|_: Call<GetPayment>| async { panic!("sent") as Result<(), PaymentError> });
    let layer = DeadlineLayer::gateway(TEN).at_least(Duration::from_millis(100));
    let mut call = get();
    call.context.deadline = Some(Deadline::at(
        (Instant::now() + Duration::from_millis(99)).into_std(),
    ));
    let error = layer.layer(service).oneshot(call).await.unwrap_err();
    assert_eq!(error.code(), Some("deadline-before-send"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_shorten_and_never_extend() {
    use axum::body::Body;
    for (header, expected) in [
        (None, TEN),
        (Some("2500"), TEN / 4),
        (Some("999999"), TEN),
        (Some("soon"), TEN),
    ] {
        let service = service_fn(|request: http::Request<Body>| async move {
            let deadline = request
                .extensions()
                .get::<CallContext>()
                .unwrap()
                .deadline
                .unwrap();
            let left = deadline.remaining(Instant::now().into_std());
            Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(format!("{left:?}"))))
        });
        let mut request = http::Request::post("/").body(Body::empty()).unwrap();
        if let Some(header) = header {
            request
                .headers_mut()
                .insert(REQUEST_DEADLINE_MS, header.parse().unwrap());
        }
        let response = DeadlineLayer::http(TEN)
            .layer(service)
            .oneshot(request)
            .await
            .unwrap();
        let body = http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap()
            .to_bytes();
        assert_eq!(body, format!("{expected:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_server_answers_504() {
    use axum::body::Body;
    let hung = service_fn(|_: http::Request<Body>| {
        std::future::pending::<Result<http::Response<Body>, std::convert::Infallible>>()
    });
    let request = http::Request::post("/").body(Body::empty()).unwrap();
    let response = DeadlineLayer::http(TEN)
        .layer(hung)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(response.status(), 504);
}

#[tokio::test(start_paused = true)]
async fn huge_durations_do_not_overflow() {
    let service = service_fn(|_: Call<GetPayment>| async { Ok::<_, PaymentError>(()) });
    assert!(
        DeadlineLayer::gateway(Duration::MAX)
            .layer(service)
            .oneshot(get())
            .await
            .is_ok()
    );
}
