//! HTTP requests whose bodies come piece by piece, cut everywhere.

use super::stepping::{Polls, Stepping};
use super::{LEASE, every_cut, every_panic};
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;
use tollgate::idempotency::{
    Finding, GuardedHttp, IdempotencyConfig, IdempotencyLayer, WhileInFlight, resolve_open, stored_answer,
};
use tollgate_core::store::idempotency::IdempotencyStore;
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::{ManualClock, Secrets};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

type Answer = Result<Response<Body>, Infallible>;

/// What the cut request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meets {
    Nothing,
    AnAnswer,
    ARunningCall,
}

const EVERY: [Meets; 3] = [Meets::Nothing, Meets::AnAnswer, Meets::ARunningCall];

/// A body of three pieces, with a pause before each.
struct Pieces {
    left: Vec<Bytes>,
    paused: bool,
    polls: Polls,
}

impl Pieces {
    fn body(pieces: [&'static str; 3], polls: &Polls) -> Body {
        Body::new(Self {
            left: pieces.into_iter().rev().map(Bytes::from).collect(),
            paused: false,
            polls: polls.clone(),
        })
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.polls.count();
        self.paused = !self.paused;
        if self.paused {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.pop().map(|piece| Ok(Frame::data(piece))))
    }

    /// A body of unknown length would stream, and not be stored.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.iter().map(|piece| piece.len() as u64).sum())
    }
}

#[derive(Clone)]
struct Shop {
    clock: ManualClock,
    store: MemoryIdempotency,
    charged: Arc<AtomicU32>,
    layer: IdempotencyLayer<MemoryIdempotency, GuardedHttp>,
    server: BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>,
    polls: Polls,
}

impl Shop {
    fn new() -> Self {
        let clock = ManualClock::default();
        let store = MemoryIdempotency::with(6_400, clock.clone());
        let (charged, polls) = (Arc::<AtomicU32>::default(), Polls::default());
        let (counter, answering) = (Arc::clone(&charged), polls.clone());
        let handler = service_fn(move |_: Request<Body>| {
            let number = counter.fetch_add(1, SeqCst);
            let body = Pieces::body(["charge ", ["0", "1"][usize::from(number > 0)], "\n"], &answering);
            async move { Answer::Ok(Response::new(body)) }
        });
        let config = IdempotencyConfig::default()
            .lease(LEASE)
            .while_in_flight(WhileInFlight::Wait(Duration::from_secs(1)));
        let layer = IdempotencyLayer::dangerous_http(store.clone(), Secrets::ephemeral()).config(config);
        let server = layer.layer(Stepping::new(handler, polls.clone()));
        Self {
            clock,
            store,
            charged,
            layer,
            server: BoxCloneSyncService::new(server),
            polls,
        }
    }

    fn request() -> Request<Body> {
        Request::post("/charges")
            .header("idempotency-key", "order-1")
            // what a client sends is not the server's to count
            .body(Pieces::body(["12", ".", "00"], &Polls::default()))
            .unwrap()
    }

    async fn call(self, meets: Meets) -> Answer {
        match meets {
            Meets::Nothing => {}
            Meets::AnAnswer => drop(self.repeat().await),
            Meets::ARunningCall => drop(tokio::spawn(self.server.clone().oneshot(Self::request()))),
        }
        tokio::task::yield_now().await;
        self.repeat().await
    }

    async fn repeat(&self) -> Answer {
        self.server.clone().oneshot(Self::request()).await
    }

    /// What a repeat is told.
    async fn told(&self) -> (StatusCode, String) {
        let (head, body) = self.repeat().await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, String::from_utf8_lossy(&body).into_owned())
    }

    /// As for typed calls: one charge, and a repeat is answered for good. With `panicked`, there may be a doubt, which is listed, and the
    /// answer may be lost for good, which is said.
    async fn ends(&self, panicked: bool, after: &str) {
        let drained = self.layer.drain(Duration::from_secs(60)).await;
        assert_eq!(drained, Ok(()), "{after}");
        let mut told = self.told().await;
        if panicked && told.1.contains("outcome-unknown") {
            self.clock.advance(LEASE * 2);
            assert_eq!(self.store.unresolved(None, 10).await.unwrap().len(), 1, "{after}");
            let pass = resolve_open(&self.store, "test", |_| self.look()).await.unwrap();
            assert_eq!(pass.open, 0, "{after}");
            told = self.told().await;
        }
        assert_eq!(self.charged.load(SeqCst), 1, "{after}");
        let done_and_lost = told.0 == StatusCode::CONFLICT && told.1.contains("not-replayable");
        if !(panicked && done_and_lost) {
            assert_eq!(told, (StatusCode::OK, "charge 0\n".to_owned()), "{after}");
        }
        assert_eq!(self.store.unresolved(None, 10).await.unwrap(), [], "{after}");
    }

    async fn look(&self) -> Finding {
        if self.charged.load(SeqCst) == 0 {
            return Finding::Absent {
                reason: "not found".into(),
            };
        }
        let answer = Answer::Ok(Response::new(Body::from("charge 0\n")));
        let guarded = GuardedHttp::new();
        Finding::Settled {
            completion: stored_answer::<Request<Body>, _, _, _>(&guarded, answer).await,
            reason: "found".into(),
        }
    }
}

/// Dropped after any number of polls, also while the request's body still comes in.
#[tokio::test(start_paused = true)]
async fn dropped_at_every_await() {
    for meets in EVERY {
        let cuts = every_cut(
            Shop::new,
            |shop| shop.call(meets),
            async |shop, polls| {
                shop.ends(false, &format!("{meets:?}, dropped after {polls} polls"))
                    .await
            },
        )
        .await;
        println!("{meets:?}: dropped at {cuts} places");
        assert!(cuts > 5, "{meets:?}");
    }
}

/// The handler panics at any of its polls, or its answer's body does.
#[tokio::test(start_paused = true)]
async fn a_panic_at_every_poll() {
    for meets in EVERY {
        let panics = every_panic(
            Shop::new,
            |shop, poll| {
                shop.polls.panic_at(poll);
                tokio::spawn(shop.call(meets))
            },
            |shop| shop.polls.calm_down(),
            async |shop, poll| {
                shop.ends(true, &format!("{meets:?}, a panic at poll {poll}"))
                    .await
            },
        )
        .await;
        println!("{meets:?}: {panics} panics");
        assert!(panics > 10, "{meets:?}");
    }
}
