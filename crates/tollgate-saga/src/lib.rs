//! Sagas for payments: typed steps over a durable journal, and compensations that know what they undo.
//!
//! # What it prevents
//!
//! A checkout reserves stock, authorizes, captures and ships, at three peers that share no transaction. Sooner or later one of them fails in
//! the middle, the answer of one is lost, or the process dies. Then the usual hand-made saga
//!
//! * takes a timeout for "did not happen", skips the undo, and reports that everything was reversed while a hold stands on the card;
//! * voids a payment that is captured already, which no gateway does;
//! * forgets where it was, or runs twice, because nothing was written before the money moved.
//!
//! # The whole of it
//!
//! ```
//! use std::sync::Arc;
//! use tollgate_core::PaymentError;
//! use tollgate_core::store::memory::MemorySaga;
//! use tollgate_saga::{Definition, Effected, Sagas, Settled, StepContext, Undone, step};
//! # use std::sync::Mutex;
//!
//! // what the steps depend on: clients of inventory, gateway, carrier
//! struct Shop {
//!     // ...
//! #   told: Mutex<Vec<&'static str>>,
//! }
//! # impl Shop { fn tell(&self, what: &'static str) { self.told.lock().unwrap().push(what); } }
//! type Cx = StepContext<Arc<Shop>>;
//!
//! async fn reserve(cx: Cx, sku: String) -> Result<String, PaymentError> {
//!     // `cx.key(..)` is the same for every attempt, also after a crash: the peer answers a repeat from memory
//!     let key = cx.key("inventory");
//! #   cx.deps().tell("reserve");
//!     Ok(format!("hold-{sku}-{}", key.as_str().len()))
//! }
//! async fn authorize(cx: Cx, _: (String, String)) -> Result<String, PaymentError> {
//!     let _key = cx.key("gateway"); // or `cx.call(message)` for a client that wears tollgate's layers
//! #   cx.deps().tell("authorize");
//!     Ok("auth-1".into())
//! }
//! async fn capture(cx: Cx, authorization: String) -> Result<String, PaymentError> {
//!     let _key = cx.key("gateway");
//! #   cx.deps().tell("capture");
//!     Ok(format!("receipt for {authorization}"))
//! }
//! async fn ship(cx: Cx, _: (String, String)) -> Result<(), PaymentError> {
//! #   cx.deps().tell("ship");
//!     Err(PaymentError::declined("no carrier goes there", "unserviceable"))
//! }
//! async fn release(cx: Cx, _: String, hold: Effected<String>) -> Result<Undone, PaymentError> {
//! #   cx.deps().tell("release");
//!     match hold {
//!         Effected::Known(_hold) => Ok(Undone::Reverted), // give it back
//!         Effected::InDoubt => Ok(Undone::NothingThere),  // look for it by `cx.forward_key("inventory")` first
//!     }
//! }
//! # async fn void(cx: Cx, _: (String, String), _: Effected<String>) -> Result<Undone, PaymentError> { cx.deps().tell("void"); Ok(Undone::Reverted) }
//! # async fn refund(cx: Cx, _: String, _: Effected<String>) -> Result<Undone, PaymentError> { cx.deps().tell("refund"); Ok(Undone::Reverted) }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let shop = Arc::new(Shop { told: Mutex::default() });
//! let checkout = Definition::new("checkout", 1, Arc::clone(&shop), |mut flow, sku| {
//!     let hold = flow.step(step("reserve", reserve).undo(release), sku);
//!     let authorization = flow.step(step("authorize", authorize).undo(void), (sku, hold));
//!     // once captured, a payment is refunded and not voided
//!     let receipt = flow.step(step("capture", capture).undo(refund).supersedes(authorization), authorization);
//!     // nothing is undone once the parcel is out: the point of no return
//!     let (shipped, flow) = flow.pivot(step("ship", ship), (hold, receipt));
//!     flow.finish((receipt, shipped))
//! })?;
//!
//! let journal = MemorySaga::new(); // `tollgate_sqlite::Sqlite` survives a crash
//! let sagas = Sagas::on(journal).register(&checkout).open()?;
//! sagas.recover().await?; // what an earlier process left behind goes on
//!
//! let run = sagas.start(&checkout, "order-4711", &"teapot".to_owned()).await?;
//! match run.wait().await? {
//!     Settled::Completed((receipt, ())) => unreachable!("{receipt}"),
//!     Settled::Compensated(cause) => assert_eq!(cause.step, Some("ship")), // every effect is undone
//!     Settled::Parked(cases) => unreachable!("{cases:?}"),                 // a person has to look
//!     Settled::Abandoned => unreachable!(),
//! }
//! # assert_eq!(*shop.told.lock().unwrap(), ["reserve", "authorize", "capture", "ship", "refund", "release"]);
//! # Ok(()) }
//! ```
//!
//! Leave the `undo` of `capture` away and it does not compile: a step before the pivot says how it is undone, or that it has no effect.
//!
//! # Three outcomes, not two
//!
//! | a step ended | what the saga does |
//! |---|---|
//! | [`Done`](Outcome::Done) | journals the result together with the next step's intent, and goes on |
//! | [`Refused`](Outcome::Refused): the peer said no, for good | turns back and undoes what was done, last first |
//! | refused, and nothing was sent (breaker open, no connection) | sends again within the [`Policy`] |
//! | [`Unknown`](Outcome::Unknown): timeout, reset, panic, anything unlisted | repeats under the **same key** while the peer remembers it, then asks the [probe](Step::probe), then calls the compensation with [`Effected::InDoubt`], or parks |
//!
//! An error's [`Verdict`](tollgate_core::Verdict) decides which it is ([`Outcome::from_fault`]). A doubt is never taken for "did not
//! happen": not by a later "no connection", and not by a probe that finds nothing too early.
//!
//! # How it rests
//!
//! [`Completed`](Settled::Completed), [`Compensated`](Settled::Compensated) (every effect undone), or [`Parked`](Settled::Parked): an effect
//! could neither be undone nor be known. A parked saga says which step and why, and waits for a person: [`Sagas::operate`] takes their
//! [`Verb`] with a name and a reason. One compensation that fails does not stop the others.
//!
//! Before its pivot a saga also turns back when somebody [cancels](Sagas::cancel) it or its [deadline](Flow::deadline) has passed; what is
//! on its way then is brought to a known end first.
//!
//! # When it acts
//!
//! The intent is committed before the first byte leaves; the result of a step and the intent of the next are one commit, so *n* steps cost
//! *n* + 1. When the journal does not answer, nothing more is started. Between two commits anything may be lost: what was on its way is sent
//! again with the same key ([`StepContext::key`]), which is what makes it happen once.
//!
//! Several processes may share a journal. A saga is held by a lease, renewed while it runs, and every write is fenced by the claim's epoch:
//! whoever was thought dead and comes back finds that it may not write, and what it still had on its way carried the same key.
//!
//! # If dropped
//!
//! A [`Run`] is a waiter, not the engine: dropping it, or the future of [`Run::wait`], changes nothing. Every saga runs in a task of its own
//! to its end; [`Sagas::shutdown`] drains those tasks. A process that dies leaves its sagas where their journals end, and
//! [`Sagas::recover`] of any engine takes them up when the lease has lapsed.
//!
//! # HTTP and gateway use
//!
//! A handler starts the saga with the order's number as its key, waits with a timeout, and answers 202 when it takes longer: the same
//! request later finds the same saga. A step is any async function, or any tower service through [`via`]; [`StepContext::call`] puts the
//! step's key where tollgate's gateway layers look for it, so that retries inside the client and repeats of the saga are one payment.
//!
//! # Limits
//!
//! * The peer has to recognise the key. If it does not, say so with [`Repeat`]; then a doubt is never repeated.
//! * A request that arrives after its compensation found nothing there cannot be stopped from here. [`Policy::quiet`] makes it unlikely,
//!   a reconciliation finds it.
//! * A lease is not mutual exclusion. Two engines may have a request on its way at once; the key makes them one.
//! * Steps run one after the other. There are no parallel branches, signals or child sagas yet.
//! * Inputs and outputs are written to the journal as they are. Give steps tokens, never card numbers: the types of
//!   [`tollgate_core::id`] refuse them. Texts of errors are masked.

mod definition;
mod engine;
mod handle;
mod machine;
mod outcome;
mod policy;
mod step;
#[cfg(test)]
mod tests;

pub use definition::{Committed, Definition, DefinitionError, Finished, Flow, Undecided};
pub use engine::{
    Cancelled, Case, Cause, Drained, OperateError, Operator, Recovered, Report, Run, Sagas, Settled, Setup,
    SetupError, StartError, StepReport, Unrecoverable, WaitError,
};
pub use handle::{Inputs, Out};
pub use machine::{Direction, Kind, Misplaced, Stage, Unreadable, Verb};
pub use outcome::{Doubt, Effected, IntoOutcome, Outcome, Probed, Refusal, Undone};
pub use policy::{Policy, Repeat};
pub use step::{Irreversible, Reversible, Step, StepContext, step, via};

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
