//! The adapter: our words into the acquirer's, and its answers into verdicts. The one place that knows both.

use crate::net::{Answer, Client, Failure};
use http::Method;
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tollgate_core::gateway::{
    Authorize, Call, Capture, GetPayment, Lookup, LookupPayment, Message, NewPayment, Payment, PaymentStatus,
    Refund, RefundReceipt, Sale, Void,
};
use tollgate_core::id::{MerchantReference, PaymentId, RefundId};
use tollgate_core::{Money, PaymentError, PaymentErrorKind};
use tower::Service;

/// The name under which downstream keys are made for this acquirer.
pub const PEER: &str = "acquirer";

/// A message as this acquirer wants to be asked.
pub trait Exchange: Message + Send + 'static {
    type Answer: Send + 'static;

    fn request(&self) -> (Method, String, Option<Value>);

    fn answer(self, body: &Value) -> Result<Self::Answer, PaymentError>;
}

/// The acquirer as a service: `Service<Call<M>>` for every message it understands.
#[derive(Clone)]
pub struct AcquirerClient(Client);

impl AcquirerClient {
    pub fn new(url: &str, within: Duration) -> Self {
        Self(Client::new(url, within))
    }
}

type Answering<T> = Pin<Box<dyn Future<Output = Result<T, PaymentError>> + Send>>;

impl<M: Exchange> Service<Call<M>> for AcquirerClient {
    type Response = M::Answer;
    type Error = PaymentError;
    type Future = Answering<M::Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), PaymentError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<M>) -> Self::Future {
        let client = self.0.clone();
        // one key for all attempts of the claim: taking it is what allows retry to repeat
        let key = call.context.key.as_ref().map(|key| key.downstream_key(PEER));
        let (method, path, body) = call.message.request();
        Box::pin(async move {
            let headers: Vec<_> = key.iter().map(|key| ("idempotency-key", key.as_str())).collect();
            let body = body.map(|body| body.to_string());
            match client.send(method, &path, &headers, body).await {
                Ok(answer) if answer.status.is_success() => call.message.answer(&answer.json()),
                Ok(answer) => Err(failed(&answer)),
                Err(failure) => Err(unanswered(&failure)),
            }
        })
    }
}

/// Three ways of having no answer, and only one of them is harmless.
fn unanswered(failure: &Failure) -> PaymentError {
    let text = failure.to_string();
    match failure {
        Failure::NotConnected(_) => PaymentError::not_connected(text),
        Failure::Lost(_) => PaymentError::connection_lost(text),
        Failure::TimedOut(_) => PaymentError::timeout(text),
    }
}

/// Whatever is not listed is a failure with an unknown effect.
fn failed(answer: &Answer) -> PaymentError {
    let json = answer.json();
    let code = json["code"].as_str().unwrap_or("unnamed").to_owned();
    let kind = match answer.status.as_u16() {
        402 => return PaymentError::declined("declined", code),
        429 => {
            let wait = answer
                .header("retry-after")
                .and_then(|seconds| seconds.parse().ok());
            return PaymentError::rate_limited("the acquirer is limiting us", wait.map(Duration::from_secs));
        }
        404 => PaymentErrorKind::NotFound,
        409 => PaymentErrorKind::AlreadyDone,
        422 if code == "idempotency_conflict" => PaymentErrorKind::IdempotencyConflict,
        400 | 422 => PaymentErrorKind::InvalidRequest,
        401 | 403 => PaymentErrorKind::Unauthorized,
        _ => PaymentErrorKind::Gateway,
    };
    PaymentError::new(kind, format!("the acquirer answered {}", answer.status)).with_code(code)
}

/// An answer that cannot be read is an answer all the same: the effect is unknown, not absent.
fn unreadable(field: &str) -> PaymentError {
    PaymentError::new(
        PaymentErrorKind::Gateway,
        format!("the acquirer's answer has no readable {field}"),
    )
}

pub fn payment(body: &Value) -> Result<Payment, PaymentError> {
    let text = |field: &str| body[field].as_str().ok_or_else(|| unreadable(field));
    let currency = text("currency")?.parse().map_err(|_| unreadable("currency"))?;
    let money = |field: &str| {
        let minor = body[field].as_i64().ok_or_else(|| unreadable(field))?;
        Ok::<_, PaymentError>(Money::from_minor(minor, currency))
    };
    Ok(Payment {
        id: PaymentId::new(text("id")?).map_err(|_| unreadable("id"))?,
        reference: MerchantReference::new(text("reference")?).map_err(|_| unreadable("reference"))?,
        status: PaymentStatus::from_name(text("status")?).unwrap_or(PaymentStatus::Unknown),
        amount: money("amount_minor")?,
        captured: money("captured_minor")?,
        refunded: money("refunded_minor")?,
        avs: None,
        cvv: None,
    })
}

fn new_payment(payment: &NewPayment, capture: bool) -> (Method, String, Option<Value>) {
    let body = json!({
        "amount_minor": payment.amount.minor(),
        "currency": payment.amount.currency().code(),
        "token": payment.instrument.as_str(),
        "reference": payment.reference.as_str(),
        "capture": capture,
    });
    (Method::POST, "/v1/payments".to_owned(), Some(body))
}

fn change(payment: &PaymentId, verb: &str, amount: Option<Money>) -> (Method, String, Option<Value>) {
    let currency = amount.map(|amount| amount.currency().code().to_owned());
    let body = json!({ "amount_minor": amount.map(Money::minor), "currency": currency });
    let payment = escaped(payment.as_str());
    (Method::POST, format!("/v1/payments/{payment}/{verb}"), Some(body))
}

/// As one segment of a path or one value of a query: an id that a caller wrote must not choose the verb.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

macro_rules! exchanges {
    ($($message:ty => |$this:ident| $request:expr;)+) => {$(
        impl Exchange for $message {
            type Answer = Payment;

            fn request(&self) -> (Method, String, Option<Value>) {
                let $this = self;
                $request
            }

            fn answer(self, body: &Value) -> Result<Payment, PaymentError> {
                payment(body)
            }
        }
    )+};
}

exchanges! {
    Sale => |sale| new_payment(&sale.payment, true);
    Authorize => |authorize| new_payment(&authorize.payment, false);
    Capture => |capture| change(&capture.payment, "capture", capture.amount);
    Void => |void| change(&void.payment, "void", None);
    GetPayment => |get| (Method::GET, format!("/v1/payments/{}", escaped(get.payment.as_str())), None);
}

impl Exchange for Refund {
    type Answer = RefundReceipt;

    fn request(&self) -> (Method, String, Option<Value>) {
        change(&self.payment, "refund", self.amount)
    }

    fn answer(self, body: &Value) -> Result<RefundReceipt, PaymentError> {
        let refunded = payment(body)?;
        Ok(RefundReceipt {
            id: RefundId::new(format!("refund_of_{}", refunded.id)).map_err(|_| unreadable("id"))?,
            payment: refunded.id,
            amount: self.amount.unwrap_or(refunded.refunded),
        })
    }
}

impl Exchange for LookupPayment {
    type Answer = Lookup;

    fn request(&self) -> (Method, String, Option<Value>) {
        let question = match self {
            Self::ByReference(reference) => format!("reference={}", escaped(reference.as_str())),
            Self::ByKey(key) => format!("key={}", key.as_str()),
        };
        (Method::GET, format!("/v1/payments?{question}"), None)
    }

    fn answer(self, body: &Value) -> Result<Lookup, PaymentError> {
        match body.as_array().map(Vec::as_slice) {
            Some([]) => Ok(Lookup::NotFound),
            Some([one]) => payment(one).map(Lookup::Found),
            _ => Err(unreadable("list of one payment")),
        }
    }
}

impl AcquirerClient {
    /// The acquirer's report: every payment it knows.
    pub async fn report(&self) -> Result<Value, Failure> {
        Ok(self.0.get("/v1/report").await?.json())
    }
}
