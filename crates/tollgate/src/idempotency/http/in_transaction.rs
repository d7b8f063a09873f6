//! For handlers that settle by themselves, in the transaction of their own rows.

use super::GuardedHttp;
use crate::http::Rebuild;
use http::{Request, Response};
use std::convert::Infallible;
use tollgate_core::Effect;
use tollgate_core::protocol::{Answers, Replays};
use tollgate_core::store::idempotency::{Completion, Doubt, Settlement};

impl GuardedHttp {
    /// The settlement that the layer makes of a response, and the response: for a handler whose whole effect are rows of the database
    /// that also holds the records. It writes the settlement in the transaction of its rows, so that both commit or neither does;
    /// what the layer writes afterwards is then there already, and changes nothing.
    ///
    /// Use the layer's own `GuardedHttp` (or one with the same limits and kept headers), give the layer
    /// [`ArmPolicy::InTransaction`](crate::idempotency::ArmPolicy::InTransaction), and take the claim from the request's extensions:
    ///
    /// ```
    /// use axum::Extension;
    /// use axum::response::{IntoResponse, Response};
    /// use http::StatusCode;
    /// use tollgate::idempotency::GuardedHttp;
    /// use tollgate_core::{CallContext, KeyInForce};
    ///
    /// async fn credit(Extension(call): Extension<CallContext>) -> Response {
    ///     let Some(claim) = call.key.as_ref().and_then(KeyInForce::claim) else {
    ///         return StatusCode::INTERNAL_SERVER_ERROR.into_response(); // this route is not guarded
    ///     };
    ///     // begin the transaction, write the rows
    ///     let answer = (StatusCode::CREATED, "credited").into_response();
    ///     let (answer, settlement) = GuardedHttp::new().settlement_of(answer).await;
    ///     // Postgres::settle_in(&mut transaction, claim, &settlement).await, then commit
    /// #   let _ = (claim, settlement);
    ///     answer
    /// }
    /// ```
    ///
    /// An answer that the transaction should not be committed with (a 5xx, or a refusal at the door) gives a settlement that is not
    /// [`Completed`](Settlement::Completed): roll back, and answer; the layer does the rest. Reads the body, up to the limit; dropping
    /// it loses the response.
    pub async fn settlement_of<R: Rebuild>(&self, response: Response<R>) -> (Response<R>, Settlement) {
        let answer: Result<_, Infallible> = Ok(response);
        let effect = self.judge(&answer).effect;
        // which request body it was does not matter to the answer
        let capture = <Self as Replays<Request<R>, Response<R>, Infallible>>::capture(self, answer);
        let (Ok(response), envelope) = capture.await;
        let settlement = match effect {
            Effect::Executed | Effect::Declined => Settlement::Completed(Completion {
                executed: effect == Effect::Executed,
                envelope,
            }),
            Effect::NotSent | Effect::TurnedAway => Settlement::Released,
            Effect::Unknown => Settlement::Unknown(Doubt::AnswerInDoubt),
        };
        (response, settlement)
    }
}
