//! Crate `axum-idempotent`, with the cookie and session layers that it needs: without a session it stores nothing.

use crate::charge::{Expected, bare, batch, charge, fresh, fresh_requests, request, same_request};
use crate::harness::{Batch, Row, start, stop};
use axum::RequestExt;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header::SET_COOKIE};
use axum::response::Response;
use axum_idempotent::{IdempotentLayer, IdempotentOptions};
use ruts::store::Ttl;
use ruts::store::moka::MokaStore;
use ruts::{CookieOptions, Session, SessionLayer};
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tower::{Service, ServiceBuilder, service_fn};
use tower_cookies::CookieManagerLayer;

const OF: &str = "axum-idempotent 0.6.0";
const MARK: &str = "idempotency-replayed";

type Store = Arc<MokaStore>;

pub(crate) fn rows(runtime: &'static Runtime) -> Vec<Row> {
    let _inside = runtime.enter();
    let store: Store = Arc::new(MokaStore::builder().max_capacity(1_000_000).build());
    vec![
        Row::new(
            OF,
            "HTTP, new key",
            in_a_fresh_session(runtime, &store),
            bare(runtime, fresh_requests()),
        )
        .fixed(32, 100)
        .note("with its cookie and session layers; a session holds 32 keys at most here"),
        Row::new(
            OF,
            "HTTP, replay",
            replay(runtime, &store),
            bare(runtime, same_request),
        )
        .note("no claim: two concurrent twins both run"),
    ]
}

fn sessions(store: &Store) -> SessionLayer<MokaStore> {
    let cookie = CookieOptions::build().name("session").max_age(3600).path("/");
    SessionLayer::new(Arc::clone(store)).with_cookie_options(cookie)
}

fn stack(store: &Store) -> impl Service<Request, Response = Response, Error = Infallible> + 'static + use<> {
    let options = IdempotentOptions::default()
        .expire_after(3600)
        .use_idempotency_key_header(Some("idempotency-key"), true);
    ServiceBuilder::new()
        .layer(CookieManagerLayer::new())
        .layer(sessions(store))
        .layer(IdempotentLayer::<MokaStore>::new(options))
        .service(service_fn(charge))
}

/// The cookie of a session that exists.
fn log_in(runtime: &'static Runtime, store: &Store) -> HeaderValue {
    let mut service = ServiceBuilder::new()
        .layer(CookieManagerLayer::new())
        .layer(sessions(store))
        .service(service_fn(|mut req: Request| async move {
            let session: Session<MokaStore> = req.extract_parts().await.unwrap();
            session
                .set("user", &String::from("ada"), Ttl::new(3600).unwrap(), None)
                .await
                .unwrap();
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }));
    let response = runtime.block_on(async { service.call(request("login", None)).await.unwrap() });
    let cookie = response
        .headers()
        .get(SET_COOKIE)
        .expect("no session cookie")
        .to_str()
        .unwrap();
    HeaderValue::from_str(cookie.split(';').next().unwrap()).unwrap()
}

/// Each batch has a session of its own, made off the clock: a write walks every key of its session, so the batch and not its history
/// must set the size.
fn in_a_fresh_session(runtime: &'static Runtime, store: &Store) -> Batch {
    let (store, mut service, mut key) = (Arc::clone(store), stack(store), fresh("new"));
    Box::new(move |calls| {
        let cookie = log_in(runtime, &store);
        runtime.block_on(tokio::task::unconstrained(async {
            let started = start();
            for _ in 0..calls {
                poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
                let response = service.call(request(&key(), Some(&cookie))).await.unwrap();
                assert!(response.status().is_success());
                assert!(!response.headers().contains_key(MARK));
            }
            stop(started)
        }))
    })
}

fn replay(runtime: &'static Runtime, store: &Store) -> Batch {
    let (cookie, mut service) = (log_in(runtime, store), stack(store));
    runtime.block_on(async { service.call(request("same", Some(&cookie))).await.unwrap() });
    let expected = Expected {
        status: 200,
        mark: (MARK, true),
    };
    batch(runtime, service, expected, move || request("same", Some(&cookie)))
}
