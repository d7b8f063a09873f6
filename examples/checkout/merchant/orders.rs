//! An order as a saga: reserve ▸ authorize ▸ capture ▸ ship. When shipping is refused, the capture is refunded (not voided) and the
//! stock released; when this process dies, another one goes on where the journal ends.

use super::Shop;
use super::acquirer_client::{AcquirerClient, PEER};
use super::books::Books;
use super::charges::NewCharge;
use super::stack::{Acquirer, Service};
use crate::Error;
use crate::args::RoleArgs;
use crate::net::{Answer, Client, Failure};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tollgate::http::problem::problem_of_error;
use tollgate_core::gateway::{
    Authorize, Call, Capture, Lookup, LookupPayment, NewPayment, Payment, PaymentStatus, Refund,
    RefundReceipt, Void,
};
use tollgate_core::id::PaymentId;
use tollgate_core::{PaymentError, PaymentErrorKind};
use tollgate_saga::{
    Definition, Doubt, Effected, Outcome, Policy, Probed, Refusal, Sagas, Settled, StartError, StepContext,
    Undone, step,
};
use tollgate_sqlite::Sqlite;
use tower::ServiceExt;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    payment: NewPayment,
    quantity: u64,
}

/// What comes of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shipped {
    shipment: String,
}

/// What the steps work with.
pub struct Services {
    authorize: Service<Authorize, Payment>,
    capture: Service<Capture, Payment>,
    void: Service<Void, Payment>,
    refund: Service<Refund, RefundReceipt>,
    lookup: AcquirerClient,
    inventory: Client,
    shipping: Client,
    books: Arc<Books>,
}

type Cx = StepContext<Services>;

pub struct Orders {
    sagas: Sagas<Sqlite>,
    checkout: Definition<Order, (PaymentId, Shipped)>,
}

impl Orders {
    pub fn new(
        args: &RoleArgs,
        acquirer: &Acquirer,
        books: Arc<Books>,
        journal: Sqlite,
    ) -> Result<Self, Error> {
        let services = Services {
            authorize: acquirer.under_a_key(),
            capture: acquirer.under_a_key(),
            void: acquirer.under_a_key(),
            refund: acquirer.under_a_key(),
            lookup: acquirer.plain.clone(),
            inventory: Client::new(&args.inventory, Duration::from_secs(2)),
            shipping: Client::new(&args.shipping, Duration::from_secs(10)),
            books,
        };
        let checkout = checkout(services)?;
        // a short lease, so that a demonstration need not wait for it after a crash
        let sagas = Sagas::on(journal)
            .register(&checkout)
            .lease(Duration::from_secs(1))
            .open()?;
        Ok(Self { sagas, checkout })
    }

    /// Takes up what an earlier process left, now and from time to time.
    pub fn keep_recovering(&self) {
        tokio::spawn(self.sagas.clone().keep_recovering(Duration::from_millis(300)));
    }

    pub async fn drain(&self, within: Duration) {
        self.sagas.shutdown(within).await;
    }
}

fn checkout(services: Services) -> Result<Definition<Order, (PaymentId, Shipped)>, Error> {
    let quick = Policy::undo().backoff(Duration::from_millis(100));
    let definition = Definition::new("checkout", 1, services, |mut flow, order| {
        flow.step(step("reserve", reserve).undo(release).undo_policy(quick), order);
        let authorized = flow.step(
            step("authorize", authorize)
                .probe(find_authorized)
                .undo(void)
                .undo_policy(quick),
            order,
        );
        // once captured, the money goes back by a refund, and the void is not needed any more
        let captured = flow.step(
            step("capture", capture)
                .undo(refund)
                .undo_policy(quick)
                .supersedes(authorized),
            authorized,
        );
        let (shipped, flow) = flow.pivot(step("ship", ship), order);
        flow.finish((captured, shipped))
    })?;
    Ok(definition)
}

/// What a warehouse's answer says. A 4xx is its no; whatever is not listed is a doubt.
fn outcome(answer: Result<Answer, Failure>) -> Outcome<serde_json::Value> {
    match answer {
        Ok(answer) if answer.status.is_success() => Outcome::Done(answer.json()),
        Ok(answer) if answer.status.is_client_error() => Outcome::Refused(Refusal::new(answer.gist())),
        Ok(answer) => Outcome::Unknown(Doubt::new(answer.gist())),
        Err(Failure::NotConnected(why)) => Outcome::Refused(Refusal::not_sent(why)),
        Err(failure) => Outcome::Unknown(Doubt::new(failure.to_string())),
    }
}

async fn reserve(cx: Cx, order: Order) -> Outcome<String> {
    let key = cx.key("inventory");
    let body = json!({ "quantity": order.quantity });
    let headers = [("idempotency-key", key.as_str())];
    let answer = cx.deps().inventory.post("/reservations", &headers, &body).await;
    outcome(answer).map(|_| key.as_str().to_owned())
}

/// The reservation's name is the key it was made under, so it can be released whether or not anybody heard of it.
async fn release(cx: Cx, _: Order, _: Effected<String>) -> Outcome<Undone> {
    let reservation = cx.forward_key("inventory");
    let body = json!({ "reservation": reservation.as_str() });
    outcome(cx.deps().inventory.post("/releases", &[], &body).await).map(|_| Undone::Reverted)
}

async fn authorize(cx: Cx, order: Order) -> Outcome<PaymentId> {
    let key = match cx.idempotency_key() {
        Ok(key) => key,
        Err(error) => return Outcome::from_fault(&PaymentError::from(error)),
    };
    let message = Authorize {
        key,
        payment: order.payment,
    };
    match cx.deps().authorize.clone().oneshot(cx.call(message)).await {
        Ok(payment) => {
            cx.deps().books.note(&payment);
            Outcome::of_payment(payment, PaymentStatus::Authorized).map(|payment| payment.id)
        }
        Err(error) => Outcome::from_fault(&error),
    }
}

/// What the acquirer booked under the key of the authorization.
async fn booked(cx: &Cx) -> Result<Lookup, PaymentError> {
    let question = LookupPayment::ByKey(cx.forward_key(PEER));
    cx.deps().lookup.clone().oneshot(Call::new(question)).await
}

async fn find_authorized(cx: Cx, _: Order) -> Result<Probed<PaymentId>, PaymentError> {
    Ok(match booked(&cx).await? {
        Lookup::Found(payment) => Probed::Found(payment.id),
        Lookup::NotFound => Probed::NotFound,
        Lookup::Pending => Probed::Pending,
    })
}

async fn void(cx: Cx, _: Order, authorized: Effected<PaymentId>) -> Result<Undone, PaymentError> {
    let payment = match authorized {
        Effected::Known(payment) => payment,
        Effected::InDoubt => match booked(&cx).await? {
            Lookup::Found(payment) => payment.id,
            Lookup::NotFound => return Ok(Undone::NothingThere),
            Lookup::Pending => {
                return Err(PaymentError::new(
                    PaymentErrorKind::UnknownOutcome,
                    "still pending",
                ));
            }
        },
    };
    let message = Void {
        key: cx.idempotency_key()?,
        payment,
        reason: None,
    };
    let voided = cx.deps().void.clone().oneshot(cx.call(message)).await?;
    cx.deps().books.note(&voided);
    Ok(Undone::Reverted)
}

async fn capture(cx: Cx, payment: PaymentId) -> Outcome<PaymentId> {
    let key = match cx.idempotency_key() {
        Ok(key) => key,
        Err(error) => return Outcome::from_fault(&PaymentError::from(error)),
    };
    let message = Capture {
        key,
        payment,
        amount: None,
    };
    match cx.deps().capture.clone().oneshot(cx.call(message)).await {
        Ok(payment) => {
            cx.deps().books.note(&payment);
            Outcome::of_payment(payment, PaymentStatus::Captured).map(|payment| payment.id)
        }
        Err(error) => Outcome::from_fault(&error),
    }
}

async fn refund(cx: Cx, payment: PaymentId, captured: Effected<PaymentId>) -> Result<Undone, PaymentError> {
    if captured == Effected::InDoubt {
        // captured or only authorized? The acquirer knows
        let get = tollgate_core::gateway::GetPayment {
            payment: payment.clone(),
        };
        let stands = cx.deps().lookup.clone().oneshot(Call::new(get)).await?;
        if stands.status == PaymentStatus::Authorized {
            return Ok(Undone::NothingThere); // the authorization is voided in its own way
        }
    }
    let message = Refund {
        key: cx.idempotency_key()?,
        payment,
        amount: None,
        reason: None,
    };
    let receipt = cx.deps().refund.clone().oneshot(cx.call(message)).await?;
    cx.deps().books.refunded(receipt.payment.as_str(), receipt.amount);
    Ok(Undone::Reverted)
}

async fn ship(cx: Cx, order: Order) -> Outcome<Shipped> {
    let key = cx.key("shipping");
    let body = json!({ "order": order.payment.reference.as_str() });
    let headers = [("idempotency-key", key.as_str())];
    let answer = cx.deps().shipping.post("/shipments", &headers, &body).await;
    outcome(answer).map(|told| Shipped {
        shipment: told["shipment"].as_str().unwrap_or_default().to_owned(),
    })
}

#[derive(Deserialize)]
pub struct NewOrder {
    quantity: u64,
    #[serde(flatten)]
    charge: NewCharge,
}

/// `POST /orders`: the order's reference is its key. The same order again finds its saga, finished or not.
pub async fn place(State(shop): State<Arc<Shop>>, Json(asked): Json<NewOrder>) -> Result<Response, Response> {
    let payment = asked.charge.payment().map_err(|error| problem_of_error(&error))?;
    let reference = payment.reference.clone();
    let order = Order {
        payment,
        quantity: asked.quantity,
    };
    let orders = &shop.orders;
    let run = match orders
        .sagas
        .start(&orders.checkout, reference.as_str(), &order)
        .await
    {
        Ok(run) => run,
        Err(StartError::KeyReused { .. }) => {
            let told =
                json!({ "state": "refused", "why": "an order with this reference says something else" });
            return Err((StatusCode::UNPROCESSABLE_ENTITY, Json(told)).into_response());
        }
        Err(error) => {
            tracing::error!(%error, "an order could not be started");
            let told = json!({ "state": "not_started", "why": "nothing was sent; place it again" });
            return Err((StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response());
        }
    };
    // whoever stops to wait leaves nothing half done
    let (status, told) = match tokio::time::timeout(Duration::from_secs(15), run.wait()).await {
        Ok(Ok(Settled::Completed((payment, shipped)))) => {
            let shipment = shipped.shipment;
            (
                StatusCode::CREATED,
                json!({ "state": "completed", "payment": payment, "shipment": shipment }),
            )
        }
        Ok(Ok(Settled::Compensated(cause))) => {
            let told = json!({ "state": "compensated", "step": cause.step, "why": cause.why });
            (StatusCode::CONFLICT, told)
        }
        Ok(Ok(Settled::Parked(cases))) => {
            tracing::error!(?cases, "an order waits for a person");
            (StatusCode::ACCEPTED, json!({ "state": "parked" }))
        }
        Ok(Ok(Settled::Abandoned)) => (StatusCode::CONFLICT, json!({ "state": "abandoned" })),
        Ok(Err(_)) | Err(_) => (StatusCode::ACCEPTED, json!({ "state": "running" })),
    };
    Ok((status, Json(told)).into_response())
}
