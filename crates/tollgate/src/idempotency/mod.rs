//! One key, at most one effect; the same answer every time.
//!
//! # What it prevents
//!
//! A double click, a client's retry after a time-out, a proxy's repeat, a redeploy in the middle of a charge: each sends the
//! same request twice. Under this layer the second one gets the first one's answer, and when nobody knows how the first one
//! ended, it is told so instead of being run again.
//!
//! Most libraries clear the key when the outcome is not known (time-out, panic, crash, lost lease, store failure), and the
//! next retry charges again. Here time alone never makes a key runnable again once the effect may have begun: see
//! [the states](tollgate_core::store::idempotency).
//!
//! # Smallest use: a gateway client
//!
//! ```
//! use tollgate::idempotency::IdempotencyLayer;
//! use tollgate_core::gateway::{Call, NewPayment, Payment, Sale};
//! use tollgate_core::id::{IdempotencyKey, InstrumentToken, MerchantReference, PaymentId};
//! use tollgate_core::store::memory::MemoryIdempotency;
//! use tollgate_core::{PaymentError, Secrets};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gateway = service_fn(|call: Call<Sale>| async move {
//!     // what is sent to the gateway carries one key for all attempts of this claim
//!     let _key = call.context.key.as_ref().map(|key| key.downstream_key("acme-pay"));
//!     Ok::<_, PaymentError>(Payment::captured(PaymentId::new("pay_1")?, call.message.payment))
//! });
//! // for real money: a durable store, `IdempotencyLayer::gateway(store, secrets)?`
//! let layer = IdempotencyLayer::dangerous_gateway(MemoryIdempotency::new(), Secrets::ephemeral());
//! let client = ServiceBuilder::new().layer(layer).service(gateway);
//!
//! let sale = |amount: &str| Call::new(Sale {
//!     key: IdempotencyKey::new("order-4711/pay").unwrap(),
//!     payment: NewPayment::new(
//!         amount.parse().unwrap(),
//!         InstrumentToken::new("tok_visa").unwrap(),
//!         MerchantReference::new("order-4711").unwrap(),
//!     ),
//! });
//! let first = client.clone().oneshot(sale("19.99 EUR")).await?;
//! let again = client.clone().oneshot(sale("19.99 EUR")).await?;
//! assert_eq!(first, again);                                             // the same answer, no second call
//! assert!(client.oneshot(sale("99.99 EUR")).await.is_err());            // another amount: refused
//! # Ok(()) }
//! ```
//!
//! # Smallest use: an axum API
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::post};
//! use tollgate::idempotency::IdempotencyLayer;
//! use tollgate_core::{Secrets, store::memory::MemoryIdempotency};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let layer = IdempotencyLayer::dangerous_http(MemoryIdempotency::new(), Secrets::ephemeral());
//! let app: Router = Router::new().route("/charges", post(|| async { "charged" })).layer(layer);
//!
//! let charge = || Request::post("/charges").header("idempotency-key", "k-1").body(Body::from("12.00")).unwrap();
//! let first = app.clone().oneshot(charge()).await.unwrap();
//! let again = app.clone().oneshot(charge()).await.unwrap();
//! assert!(!first.headers().contains_key("idempotent-replayed"));
//! assert_eq!(again.headers()["idempotent-replayed"], "true");
//!
//! let bare = app.oneshot(Request::post("/charges").body(Body::from("12.00")).unwrap()).await.unwrap();
//! assert_eq!(bare.status(), 400); // key-missing, as a problem document
//! # }
//! ```
//!
//! A message without a key does not compile, so the protection cannot be off by accident (seed I6: a key passed by position turned it
//! off without a word):
//!
//! ```compile_fail
//! use tollgate::idempotency::IdempotencyLayer;
//! use tollgate_core::gateway::{Call, GetPayment, Payment};
//! use tollgate_core::{PaymentError, Secrets, store::memory::MemoryIdempotency};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # async fn never(call: Call<GetPayment>) {
//! let layer = IdempotencyLayer::dangerous_gateway(MemoryIdempotency::new(), Secrets::ephemeral());
//! let inner = service_fn(|_: Call<GetPayment>| async { Err::<Payment, _>(PaymentError::timeout("10 s")) });
//! layer.layer(inner).oneshot(call).await; // `GetPayment` is no `KeyedMessage`
//! # }
//! ```
//!
//! # When it acts
//!
//! 1. The key is read, the body buffered, the fingerprint taken. Nothing is claimed yet.
//! 2. The store is asked to begin. The fingerprint is compared first: another request under a used key is a hard error
//!    (`key-reused`), never "try again later".
//! 3. With a claim in hand the inner service is made ready, and the readied clone is called. The call's context holds
//!    [`KeyInForce`](tollgate_core::KeyInForce): proof of the claim, the effect ledger, and the downstream key.
//!    A call that lasts has its lease renewed, for up to [`renew_for`](IdempotencyConfig::renew_for): nobody takes it for lost.
//! 4. The answer is judged over *all* attempts. Executed or declined: stored and replayed from now on. Certainly nothing
//!    happened: the key may run again, for the same request. Anything else, a panic included: `Unknown`.
//! 5. The answer leaves after its record is written. When the store fails then, the answer is the true one all the same, and
//!    writing goes on in the background.
//!
//! | a repeat meets | and gets |
//! |---|---|
//! | the first call still running | 409 `in-progress` with `Retry-After`, or waits for its answer ([`WhileInFlight`]) |
//! | a finished call | the same status, headers and body, or the same typed value, and `Idempotent-Replayed: true` |
//! | another request under the key | 422 `key-reused` |
//! | an unknown outcome | what a look at the gateway finds out, if a [resolver](IdempotencyLayer::resolver) is set; else 409 `outcome-unknown` until somebody resolves it: [`resolve_open`] |
//! | a store that does not answer | 503 `store-unavailable`; nothing was sent |
//!
//! The statuses and problem documents follow the IETF draft; [`GuardedHttp`] has the whole table, and [`GuardedHttp::stripe`] tells the
//! same in the words that Stripe's client libraries understand.
//!
//! # Rows of your own, in the same transaction
//!
//! A handler finds its claim in the request's extensions (`CallContext`, then [`KeyInForce::claim`](tollgate_core::KeyInForce::claim)).
//! Where its whole effect are rows of the database that holds the records, it can commit those and the answer together:
//! [`ArmPolicy::InTransaction`], [`GuardedHttp::settlement_of`], and the store's `settle_in` (`tollgate-postgres`). Then nothing is
//! ever in doubt: what failed was rolled back, and runs again.
//!
//! # If dropped
//!
//! See [`IdempotencyFuture`]: a client that hangs up never cuts a charge in half. Before the process ends, call
//! [`IdempotencyLayer::drain`], which names what is left.
//!
//! # Who looks after it
//!
//! | task | what it does |
//! |---|---|
//! | [`Upkeep::run`] | marks lost owners, forgets old answers a few at a time, counts what is open |
//! | [`IdempotencyLayer::keep_resolving`] | looks up what is open, where a [resolver](IdempotencyLayer::resolver) is set |
//! | people, with `Doubts` (feature `audit`) | end what no look-up can tell, with name and reason, each in the audit log |
//!
//! Stored answers can be sealed: hand the layer a `Sealed` store (feature `seal`,
//! `tollgate_core::store::idempotency::seal`). The guide's page on [operations](crate::guide::operations) has it all.
//!
//! # Where it stands
//!
//! Outermost of the outbound stack, so that replays are served while the breaker is open; inbound inside authentication and
//! caller limits, outside compression. `PaymentStack` (feature `stack`) keeps the order.

// For whoever changes it, where to read. The rule itself is core's: `tollgate_core::store::idempotency::rule`.
//
// | file | holds |
// |---|---|
// | `layer`, `config`, `guard` | what users stack, its settings, and what all its services share |
// | `service`, `future` | which calls are guarded; a call's way, from begin to answer |
// | `asked`, `wait`, `inquiry` | a key that is not free: its answer, its running call waited for, its doubt looked into |
// | `run`, `renewal`, `caught` | a claim: sent, its lease renewed, its panic caught, settled |
// | `give_back`, `running` | a claim that no call will use; which calls run, for `drain` |
// | `http`, `gateway` | the adapters |
// | `open_keys`, `resolve`, `look_up`, `operator` | what is open, and how it ends: by look-up or by people |
// | `ledger`, `in_audit` | written down first: where, and in which words |
// | `upkeep` | what a store needs from time to time |

mod asked;
mod caught;
mod config;
mod future;
mod gateway;
mod give_back;
mod guard;
mod http;
#[cfg(feature = "audit")]
mod in_audit;
mod inquiry;
mod layer;
mod ledger;
mod look_up;
mod open_keys;
#[cfg(feature = "audit")]
mod operator;
mod renewal;
mod resolve;
mod run;
mod running;
mod service;
#[cfg(test)]
mod tests;
mod upkeep;
mod wait;

pub use self::config::{ArmPolicy, IdempotencyConfig, WhileInFlight};
pub use self::future::IdempotencyFuture;
pub use self::http::{
    CaptureResponse, GuardedHttp, IDEMPOTENCY_KEY, IDEMPOTENCY_STATUS, IDEMPOTENT_REPLAYED, IdentifyRequest,
    KeyScope, key_of,
};
pub use self::layer::{IdempotencyLayer, StillRunning, StoreTooWeak};
pub use self::open_keys::{Backlog, OpenKey, OpenKeys, Seen};
#[cfg(feature = "audit")]
pub use self::operator::{Doubts, NotResolved, Operator, Ruled, Ruling, Shown, Unnamed};
pub use self::resolve::{Finding, Resolution, resolve_open, stored_answer};
pub use self::running::{Doing, RunningCall};
pub use self::service::Idempotency;
pub use self::upkeep::{Upkeep, UpkeepPass};
