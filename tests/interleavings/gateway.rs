//! A gateway that counts what it books, with a gate before each of its steps. It takes no key and recognises nothing: whoever is let
//! through twice pays twice.

use super::gates::{Gates, How, Passing, Place};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, ready};
use tollgate_core::PaymentError;
use tollgate_core::gateway::{Call, Payment, Sale};
use tollgate_testkit::samples::{payment, sale};
use tower::Service;

pub(crate) type Answer = Result<Payment, PaymentError>;

pub(crate) struct Counting {
    gates: Gates,
    booked: Arc<AtomicU32>,
    readying: Option<Passing<Result<(), PaymentError>>>,
}

/// A clone is not ready because the original was, and does not wait for it.
impl Clone for Counting {
    fn clone(&self) -> Self {
        Self {
            gates: self.gates.clone(),
            booked: Arc::clone(&self.booked),
            readying: None,
        }
    }
}

impl Counting {
    pub(crate) fn new(gates: Gates) -> Self {
        Self {
            gates,
            booked: Arc::default(),
            readying: None,
        }
    }

    pub(crate) fn booked(&self) -> u32 {
        self.booked.load(SeqCst)
    }
}

impl Service<Call<Sale>> for Counting {
    type Response = Payment;
    type Error = PaymentError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PaymentError>> {
        let gates = &self.gates;
        let readying = self.readying.get_or_insert_with(|| {
            gates.pass(Place::Ready, |how| match how {
                How::Well => Ok(()),
                _ => Err(PaymentError::not_connected("the service is gone")),
            })
        });
        let answer = ready!(Pin::new(readying).poll(cx));
        self.readying = None;
        Poll::Ready(answer)
    }

    fn call(&mut self, call: Call<Sale>) -> Self::Future {
        let (gates, booked) = (self.gates.clone(), Arc::clone(&self.booked));
        Box::pin(async move {
            let number = gates
                .pass(Place::Book, move |how| match how {
                    How::Well => Ok(booked.fetch_add(1, SeqCst)),
                    how => Err(how),
                })
                .await;
            let number = match number {
                Ok(number) => number,
                Err(How::Panics) => panics("before it was sent"),
                Err(_) => return Err(PaymentError::not_connected("connection refused")),
            };
            match gates.pass(Place::Answer, |how| how).await {
                How::Well => Ok(payment(number, call.message.payment)),
                How::Panics => panics("after it was booked"),
                _ => Err(PaymentError::timeout("no answer")),
            }
        })
    }
}

/// A panic that nobody is told of on the terminal: there are thousands.
fn panics(why: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(why))
}

/// What a look at the gateway's books finds.
pub(crate) fn booked_payment(gateway: &Counting) -> Option<Payment> {
    (gateway.booked() > 0).then(|| payment(0, sale("order-1").message.payment))
}
