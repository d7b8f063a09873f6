//! Ours: typed calls, and HTTP over the peers' own handler with the peers' own request.

use crate::charge::{Expected, bare, batch, charge, fresh, fresh_requests, same_request};
use crate::harness::{Batch, Row, start, stop};
use axum::extract::Request;
use axum::http::Uri;
use axum::response::Response;
use std::convert::Infallible;
use std::future::{Ready, pending, poll_fn, ready};
use std::hint::black_box;
use std::task::{Context, Waker};
use tokio::runtime::Runtime;
use tollgate::Gateway;
use tollgate::idempotency::{GuardedHttp, IdempotencyLayer};
use tollgate_core::gateway::{Call, NewPayment, Payment, Sale};
use tollgate_core::id::{IdempotencyKey, InstrumentToken, MerchantReference, PaymentId};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::{Currency, Money, PaymentError, RejectionKind, Secrets};
use tower::{Layer, Service, service_fn};

const OF: &str = "tollgate";

pub(crate) fn rows(runtime: &'static Runtime) -> Vec<Row> {
    let _inside = runtime.enter();
    let mut rows = typed_rows(runtime);
    rows.extend(http_rows(runtime));
    rows
}

fn typed_layer() -> IdempotencyLayer<MemoryIdempotency, Gateway> {
    IdempotencyLayer::dangerous_gateway(MemoryIdempotency::new(), Secrets::ephemeral())
}

type Paid = Result<Payment, PaymentError>;

/// Books at once.
fn book(call: Call<Sale>) -> Ready<Paid> {
    let id = PaymentId::new("pay_1").expect("an id");
    ready(Ok(Payment::captured(id, call.message.payment)))
}

fn sale(key: &str, minor: i64) -> Call<Sale> {
    Call::new(Sale {
        key: IdempotencyKey::new(key).expect("a key"),
        payment: NewPayment::new(
            Money::from_minor(minor, Currency::EUR),
            InstrumentToken::new("tok_visa").expect("a token"),
            MerchantReference::new("order-1").expect("a reference"),
        ),
    })
}

fn same_sale() -> Call<Sale> {
    sale("same-0000000000000000", 1099)
}

fn other_sale() -> Call<Sale> {
    sale("same-0000000000000000", 900)
}

fn fresh_sales() -> impl FnMut() -> Call<Sale> + 'static {
    let mut key = fresh("new");
    move || sale(&key(), 1099)
}

fn typed_rows(runtime: &'static Runtime) -> Vec<Row> {
    let bare = service_fn(book);
    let guarded = || typed_layer().layer(bare);
    let paid = |paid: &Paid| paid.is_ok();
    let in_flight = |paid: &Paid| refused(paid) == Some(RejectionKind::KeyInFlight);
    let reused = |paid: &Paid| refused(paid) == Some(RejectionKind::KeyReused);

    let mut known = guarded();
    runtime.block_on(async { known.call(same_sale()).await.expect("a payment") });
    let layer = typed_layer();
    hold(
        layer
            .layer(service_fn(|_: Call<Sale>| pending::<Paid>()))
            .call(same_sale()),
    );

    let fresh = typed(runtime, guarded(), paid, fresh_sales());
    let replay = typed(runtime, known.clone(), paid, same_sale);
    let running = typed(runtime, layer.layer(bare), in_flight, same_sale);
    let mismatch = typed(runtime, known, reused, other_sale);
    let base = |next: fn() -> Call<Sale>| typed(runtime, bare, paid, next);
    vec![
        Row::new(
            OF,
            "typed, new key",
            fresh,
            typed(runtime, bare, paid, fresh_sales()),
        )
        .fixed(100, 50),
        Row::new(OF, "typed, replay", replay, base(same_sale)),
        Row::new(OF, "typed, in flight", running, base(same_sale)),
        Row::new(OF, "typed, mismatch", mismatch, base(other_sale)),
        Row::new(
            OF,
            "no guard, the two keyed hashes alone",
            typed(runtime, service_fn(hashed()), paid, same_sale),
            base(same_sale),
        )
        .note("what a typed call cannot be faster than while stores see neither keys nor payloads"),
        Row::new(
            OF,
            "no guard, keyed BLAKE3 in their place",
            typed(runtime, service_fn(hashed_otherwise()), paid, same_sale),
            base(same_sale),
        )
        .note("what another hash would save"),
    ]
}

/// As many bytes as a sale's fingerprint is made of.
const FIELDS: [u8; 45] = [7; 45];

/// Hashes what a guarded call hashes, as much of it, and books.
fn hashed() -> impl FnMut(Call<Sale>) -> Ready<Paid> + Clone {
    let secrets = Secrets::ephemeral();
    move |call| {
        black_box(secrets.record_key("", call.message.key.as_str()));
        black_box(secrets.fingerprint(&[black_box(&FIELDS)]));
        book(call)
    }
}

/// As [`hashed`], with the fastest keyed hash there is a library of.
fn hashed_otherwise() -> impl FnMut(Call<Sale>) -> Ready<Paid> + Clone {
    let hasher = blake3::Hasher::new_keyed(&[7; 32]);
    let hash = move |scope: u64, bytes: &[u8]| {
        let mut hasher = hasher.clone();
        hasher.update(&scope.to_be_bytes()).update(bytes).finalize()
    };
    move |call| {
        black_box(hash(0, call.message.key.as_str().as_bytes()));
        black_box(hash(1, black_box(&FIELDS)));
        book(call)
    }
}

fn refused(paid: &Paid) -> Option<RejectionKind> {
    Some(paid.as_ref().err()?.rejection()?.kind())
}

/// Polls a call until it waits for its service, and keeps it there for as long as the process lives.
fn hold<F: Future + 'static>(call: F) {
    let mut call = Box::pin(call);
    assert!(
        call.as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    Box::leak(Box::new(call));
}

/// Batches of typed calls, inside `block_on` as the HTTP ones are; every answer must satisfy `check`.
fn typed<S>(
    runtime: &'static Runtime,
    mut service: S,
    check: fn(&Paid) -> bool,
    mut next: impl FnMut() -> Call<Sale> + 'static,
) -> Batch
where
    S: Service<Call<Sale>, Response = Payment, Error = PaymentError> + 'static,
{
    Box::new(move |calls| {
        runtime.block_on(tokio::task::unconstrained(async {
            let started = start();
            for _ in 0..calls {
                poll_fn(|cx| service.poll_ready(cx)).await.expect("ready");
                let paid = service.call(next()).await;
                assert!(check(black_box(&paid)), "a call did not end as expected");
            }
            stop(started)
        }))
    })
}

fn http_layer() -> IdempotencyLayer<MemoryIdempotency, GuardedHttp> {
    IdempotencyLayer::dangerous_http(MemoryIdempotency::new(), Secrets::ephemeral())
}

/// The same key, another route.
fn other_request() -> Request {
    let mut other = same_request();
    *other.uri_mut() = Uri::from_static("/refunds");
    other
}

fn http_rows(runtime: &'static Runtime) -> Vec<Row> {
    let expected = |status, replayed| Expected {
        status,
        mark: ("idempotent-replayed", replayed),
    };
    let guarded = || http_layer().layer(service_fn(charge));

    let mut known = guarded();
    runtime.block_on(async { known.call(same_request()).await.expect("a response") });
    let layer = http_layer();
    hold(
        layer
            .layer(service_fn(|_: Request| pending::<Result<Response, Infallible>>()))
            .call(same_request()),
    );
    let running = layer.layer(service_fn(charge));

    let fresh = batch(runtime, guarded(), expected(200, false), fresh_requests());
    let replay = batch(runtime, known.clone(), expected(200, true), same_request);
    let running = batch(runtime, running, expected(409, false), same_request);
    let mismatch = batch(runtime, known, expected(422, false), other_request);
    vec![
        Row::new(OF, "HTTP, new key", fresh, bare(runtime, fresh_requests())).fixed(100, 50),
        Row::new(OF, "HTTP, replay", replay, bare(runtime, same_request)),
        Row::new(OF, "HTTP, in flight", running, bare(runtime, same_request)),
        Row::new(OF, "HTTP, mismatch", mismatch, bare(runtime, other_request))
            .note("a refusal is a problem document"),
    ]
}
