//! Takes calls, lets their mishaps happen, books.

use super::ledger::{Answer, Ledger};
use super::{Mishap, MockGateway};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tollgate_core::codec::Encoder;
use tollgate_core::gateway::{
    Authorize, Call, Capture, GetPayment, KeyedMessage, Lookup, LookupPayment, Message, Payment, Refund,
    RefundReceipt, Sale, Void,
};
use tollgate_core::id::DownstreamKey;
use tollgate_core::{PaymentError, PaymentErrorKind};
use tower_service::Service;

/// A message that the mock serves: all of [`tollgate_core::gateway`]. Sealed.
pub trait Served: Message + sealed::Carry<Carried = Self::Answer> + Send + 'static {
    /// What the gateway answers.
    type Answer: Clone + Send + Sync + 'static;
}

mod sealed {
    use super::{DownstreamKey, Encoder, Ledger, PaymentError};

    /// How a message is carried out on the books.
    pub trait Carry {
        type Carried;
        /// What must be equal under one key; `None` for reads, which are never deduplicated.
        fn request(&self) -> Option<Encoder>;
        fn carry_out(
            &self,
            ledger: &mut Ledger,
            key: Option<DownstreamKey>,
        ) -> Result<Self::Carried, PaymentError>;
    }
}

fn keyed<M: KeyedMessage>(message: &M) -> Option<Encoder> {
    let mut out = Encoder::new();
    message.fields(&mut out);
    Some(out)
}

macro_rules! served {
    ($($message:ident -> $answer:ident, $request:expr, |$this:ident, $ledger:ident, $key:pat_param| $carry:expr;)+) => {$(
        impl Served for $message {
            type Answer = $answer;
        }

        impl sealed::Carry for $message {
            type Carried = $answer;
            fn request(&self) -> Option<Encoder> {
                $request(self)
            }
            fn carry_out(&self, $ledger: &mut Ledger, $key: Option<DownstreamKey>) -> Result<$answer, PaymentError> {
                let $this = self;
                $carry
            }
        }
    )+};
}

served! {
    Authorize -> Payment, keyed, |this, ledger, key| ledger.open("authorize", &this.payment, false, key);
    Sale -> Payment, keyed, |this, ledger, key| ledger.open("sale", &this.payment, true, key);
    Capture -> Payment, keyed, |this, ledger, key| ledger.capture(&this.payment, this.amount, key);
    Void -> Payment, keyed, |this, ledger, key| ledger.void(&this.payment, key);
    Refund -> RefundReceipt, keyed, |this, ledger, key| ledger.refund(&this.payment, this.amount, key);
    GetPayment -> Payment, |_| None, |this, ledger, _| ledger.get(&this.payment);
    LookupPayment -> Lookup, |_| None, |this, ledger, _| Ok(ledger.look_up(this));
}

/// The answer to a call. Nothing happens before it is polled; once it was, the call is out, and dropping this undoes nothing.
pub struct Answering<T>(Pin<Box<dyn Future<Output = Result<T, PaymentError>> + Send>>);

impl<T> Future for Answering<T> {
    type Output = Result<T, PaymentError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Answering<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering(..)")
    }
}

impl<M: Served> Service<Call<M>> for MockGateway {
    type Response = M::Answer;
    type Error = PaymentError;
    type Future = Answering<M::Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), PaymentError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<M>) -> Self::Future {
        let gateway = self.clone();
        Answering(Box::pin(async move { gateway.serve(call).await }))
    }
}

impl MockGateway {
    async fn serve<M: Served>(&self, call: Call<M>) -> Result<M::Answer, PaymentError> {
        let (answer, wait) = self.happen(call);
        if wait > Duration::ZERO {
            tokio::time::sleep(wait).await;
        }
        answer
    }

    /// Lets the call's mishap happen, and books. The caller's answer, and how long it has to wait for it.
    fn happen<M: Served>(&self, call: Call<M>) -> (Result<M::Answer, PaymentError>, Duration) {
        // as an adapter does: it takes the downstream key, whatever will become of the call
        let key = call
            .context
            .key
            .as_ref()
            .filter(|_| self.settings().sends_key)
            .map(|key| key.downstream_key(self.name()));
        let mishap = self.note_call(M::OPERATION);
        let arrive = |declined| self.arrive(&call.message, key, declined);
        let arrive_unheard = || drop(arrive(None));
        let lost = || PaymentError::connection_lost("connection reset");
        let timed_out = || PaymentError::timeout("no answer in time");
        let failed = || PaymentError::new(PaymentErrorKind::Gateway, "internal error");
        let patience = self.settings().patience;
        let at_once = Duration::ZERO;
        match mishap {
            None => (arrive(None), at_once),
            Some(Mishap::NotConnected) => (Err(PaymentError::not_connected("connection refused")), at_once),
            Some(Mishap::LostBefore) => (Err(lost()), at_once),
            Some(Mishap::LostAfter) => {
                arrive_unheard();
                (Err(lost()), at_once)
            }
            Some(Mishap::TimeoutBefore) => (Err(timed_out()), patience),
            Some(Mishap::TimeoutAfter) => {
                arrive_unheard();
                (Err(timed_out()), patience)
            }
            Some(Mishap::BooksLate(after)) => {
                self.clone().arrive_late(call.message, key, after);
                (Err(timed_out()), patience)
            }
            Some(Mishap::FailsBefore) => (Err(failed()), at_once),
            Some(Mishap::FailsAfter) => {
                arrive_unheard();
                (Err(failed()), at_once)
            }
            Some(Mishap::Declines(code)) => {
                let no = PaymentError::declined("declined by the issuer", code);
                (arrive(Some(no)), at_once)
            }
            Some(Mishap::NeedsAuthentication) => {
                let no =
                    PaymentError::authentication_required("3-D Secure", "https://bank.example/challenge");
                (arrive(Some(no)), at_once)
            }
            Some(Mishap::TurnsAway(wait)) => (
                Err(PaymentError::rate_limited("too many requests", Some(wait))),
                at_once,
            ),
            Some(Mishap::ArrivesTwice) => {
                arrive_unheard();
                (arrive(None), at_once)
            }
            Some(Mishap::Slow(wait)) => (arrive(None), wait),
        }
    }

    fn arrive_late<M: Served>(self, message: M, key: Option<DownstreamKey>, after: Duration) {
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let _ = self.arrive(&message, key, None);
        });
    }

    /// The call is at the gateway: known keys get their answer again, the rest is carried out, or declined.
    fn arrive<M: Served>(
        &self,
        message: &M,
        key: Option<DownstreamKey>,
        declined: Option<PaymentError>,
    ) -> Result<M::Answer, PaymentError> {
        let deduplicates = self.settings().deduplicates;
        self.with_books(|books| {
            books.arrived += 1;
            let request = message.request().filter(|_| deduplicates);
            if let Some(request) = &request
                && let Some(known) = books.ledger.known(key, M::OPERATION, request)
            {
                books.repeated += 1;
                let other = || {
                    PaymentError::new(
                        PaymentErrorKind::Gateway,
                        "the remembered answer has another type",
                    )
                };
                return known
                    .and_then(|answer| answer.downcast_ref::<M::Answer>().cloned().ok_or_else(other));
            }
            let answer = match declined {
                Some(no) => Err(no),
                None => message.carry_out(&mut books.ledger, key),
            };
            if let (Some(key), Some(request)) = (key, request) {
                let kept = answer.clone().map(|answer| Arc::new(answer) as Answer);
                books.ledger.remember(key, M::OPERATION, &request, kept);
            }
            answer
        })
    }
}
