//! What the tests of signatures, of deliveries and of the upkeep share.

mod deliveries;
mod signatures;
mod upkeep;

use super::*;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::post;
use axum::{Extension, Router};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tollgate_core::store::memory::MemoryDedup;
use tollgate_core::{ManualClock, RejectionKind, Secret, Timestamp};
use tower::ServiceExt;

const BODY: &[u8] = br#"{"type":"payment.captured"}"#;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect()
}

fn stripe() -> Stripe {
    Stripe::new(&[secret("whsec_test_secret")]).unwrap()
}

fn kind(result: Result<Signed, tollgate_core::Rejection>) -> RejectionKind {
    result.unwrap_err().kind()
}

/// A receiver of events, and what it has handled.
struct Shop {
    app: Router,
    clock: ManualClock,
    store: MemoryDedup,
    scheme: StandardWebhooks,
    handled: Arc<AtomicU32>,
}

/// The handler answers the statuses in turn, the last one for good.
fn shop(statuses: &'static [u16]) -> Shop {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
    let scheme = StandardWebhooks::new(&[secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]).unwrap();
    let store = MemoryDedup::with(1000, clock.clone());
    let layer = WebhookLayer::with(
        scheme.clone(),
        store.clone(),
        WebhookConfig::default(),
        clock.clone(),
        "acct_1",
    );
    let handled = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&handled);
    let handler = move |Extension(event): Extension<VerifiedEvent>, body: bytes::Bytes| {
        let number = count.fetch_add(1, SeqCst) as usize;
        async move {
            assert_eq!(event.scheme, "standard-webhooks");
            assert_eq!(body, BODY);
            tokio::time::sleep(Duration::from_secs(1)).await;
            match statuses[number.min(statuses.len() - 1)] {
                0 => panic!("scripted"),
                status => StatusCode::from_u16(status).unwrap(),
            }
        }
    };
    Shop {
        app: Router::new().route("/", post(handler)).layer(layer),
        clock,
        store,
        scheme,
        handled,
    }
}

impl Shop {
    fn delivery(&self, id: &str) -> Request<Body> {
        let mut request = Request::post("/").body(Body::from(BODY)).unwrap();
        let now = tollgate_core::Clock::now(&self.clock);
        request.headers_mut().extend(self.scheme.sign(id, now, BODY));
        request
    }

    async fn deliver(&self, id: &str) -> StatusCode {
        self.app
            .clone()
            .oneshot(self.delivery(id))
            .await
            .unwrap()
            .status()
    }

    fn handled(&self) -> u32 {
        self.handled.load(SeqCst)
    }
}
