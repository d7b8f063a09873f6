//! A gateway that keeps books of its own, so that a test can ask what money really moved.
//!
//! A mock that answers from a list proves what the caller believed. What matters is what the other side booked: a time-out after the
//! booking and a second charge look exactly alike to the caller, and differ by one line in the ledger.
//!
//! ```
//! use tollgate_core::gateway::{Call, NewPayment, Sale};
//! use tollgate_core::id::{IdempotencyKey, InstrumentToken, MerchantReference};
//! use tollgate_core::{Effect, Fault, KeyInForce};
//! use tollgate_testkit::gateway::{Mishap, MockGateway};
//! use tower_service::Service;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut gateway = MockGateway::new();
//! gateway.plan([Mishap::LostAfter]); // books the first call, and its answer gets lost
//!
//! let sale = Sale {
//!     key: IdempotencyKey::new("order-1/pay")?,
//!     payment: NewPayment::new(
//!         "19.99 EUR".parse()?,
//!         InstrumentToken::new("tok_visa")?,
//!         MerchantReference::new("order-1")?,
//!     ),
//! };
//! let mut call = Call::new(sale.clone());
//! call.context.key = Some(KeyInForce::for_step(b"order-1")); // what a claim or a saga step puts there
//!
//! let lost = gateway.call(call.clone()).await.unwrap_err();
//! assert_eq!(lost.verdict().effect, Effect::Unknown);
//! assert_eq!(gateway.ledger().charges("order-1"), 1); // but it was booked
//!
//! gateway.call(call).await?; // the same downstream key: the same payment
//! assert_eq!(gateway.ledger().charges("order-1"), 1);
//!
//! gateway.call(Call::new(sale)).await?; // no key: nothing protects from a second charge
//! assert_eq!(gateway.ledger().charges("order-1"), 2);
//! # Ok(()) }
//! ```
//!
//! # What it does as real gateways do
//!
//! * It remembers final answers, declines too, under the downstream key, and refuses the key for another request. Both can be
//!   switched off: [`without_dedup`](MockGateway::without_dedup), [`without_key`](MockGateway::without_key).
//! * It remembers nothing of calls that it turned away (429) or failed at (5xx) before booking.
//! * It checks what is asked: captures up to the authorized amount, refunds up to the captured one, voids only before a capture.
//!
//! # When it acts, and what a drop means
//!
//! When the call's future is first polled. A call that was polled once is out: dropping it, while [`Mishap::Slow`] holds back the
//! answer, undoes no booking.

mod ledger;
mod mishap;
mod service;

pub use ledger::{Booking, Ledger};
pub use mishap::Mishap;
pub use service::{Answering, Served};

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A scripted gateway: a `tower` service for every message of [`tollgate_core::gateway`]. Clones share script and ledger; the
/// settings belong to each handle, as to each adapter that talks to one gateway. See the [module](self).
#[derive(Clone)]
pub struct MockGateway {
    settings: Settings,
    books: Arc<Mutex<Books>>,
}

#[derive(Clone, Debug)]
struct Settings {
    name: Arc<str>,
    deduplicates: bool,
    sends_key: bool,
    patience: Duration,
}

#[derive(Debug, Default)]
struct Books {
    ledger: Ledger,
    script: VecDeque<(Option<&'static str>, Mishap)>,
    otherwise: Option<Mishap>,
    calls: u32,
    arrived: u32,
    repeated: u32,
}

impl Default for MockGateway {
    fn default() -> Self {
        Self::new()
    }
}

impl MockGateway {
    /// A gateway without mishaps, with empty books.
    #[must_use]
    pub fn new() -> Self {
        Self {
            settings: Settings {
                name: "mock".into(),
                deduplicates: true,
                sends_key: true,
                patience: Duration::ZERO,
            },
            books: Arc::default(),
        }
    }

    /// Sets the name that downstream keys are made for (default: `mock`).
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Sets that the gateway ignores the key that comes with a call: it books every arrival (default: it deduplicates).
    #[must_use]
    pub fn without_dedup(mut self) -> Self {
        self.settings.deduplicates = false;
        self
    }

    /// Sets that the adapter sends no key, as to a gateway that takes none (default: it sends the downstream key of the call's
    /// context, if there is one).
    #[must_use]
    pub fn without_key(mut self) -> Self {
        self.settings.sends_key = false;
        self
    }

    /// Sets how long a call waits before it times out (default: not at all).
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Plans what happens to the next calls, one mishap each. More plans queue up behind.
    pub fn plan(&self, mishaps: impl IntoIterator<Item = Mishap>) {
        self.with_books(|books| {
            books
                .script
                .extend(mishaps.into_iter().map(|mishap| (None, mishap)))
        });
    }

    /// As [`plan`](Self::plan), for calls of this operation only: `"sale"`, `"capture"`, `"lookup_payment"`, …
    pub fn plan_for(&self, operation: &'static str, mishaps: impl IntoIterator<Item = Mishap>) {
        let planned = mishaps.into_iter().map(|mishap| (Some(operation), mishap));
        self.with_books(|books| books.script.extend(planned));
    }

    /// Sets what happens to every call that no plan speaks of: an outage, and its end with `None`.
    pub fn otherwise(&self, mishap: impl Into<Option<Mishap>>) {
        let mishap = mishap.into();
        self.with_books(|books| books.otherwise = mishap);
    }

    /// The books as they stand.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.with_books(|books| books.ledger.clone())
    }

    /// How many calls were made, also those that never left.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.with_books(|books| books.calls)
    }

    /// How many calls arrived at the gateway.
    #[must_use]
    pub fn arrived(&self) -> u32 {
        self.with_books(|books| books.arrived)
    }

    /// How many arrivals were answered from memory, because their key was known.
    #[must_use]
    pub fn repeated(&self) -> u32 {
        self.with_books(|books| books.repeated)
    }

    /// How many planned mishaps have not happened yet. A test that planned three should have seen three.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.with_books(|books| books.script.len())
    }

    /// The name that downstream keys are made for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    const fn settings(&self) -> &Settings {
        &self.settings
    }

    fn with_books<T>(&self, with: impl FnOnce(&mut Books) -> T) -> T {
        with(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a call and says what happens to it.
    fn note_call(&self, operation: &'static str) -> Option<Mishap> {
        self.with_books(|books| {
            books.calls += 1;
            let speaks = |(of, _): &(Option<&str>, Mishap)| of.is_none_or(|of| of == operation);
            match books.script.iter().position(speaks) {
                Some(place) => books.script.remove(place).map(|(_, mishap)| mishap),
                None => books.otherwise.clone(),
            }
        })
    }
}

impl fmt::Debug for MockGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockGateway")
            .field("name", &self.settings.name)
            .field("calls", &self.calls())
            .field("bookings", &self.ledger().bookings().len())
            .finish_non_exhaustive()
    }
}
