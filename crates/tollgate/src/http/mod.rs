//! HTTP: a server that answers, and its client-side twin that errs.
//!
//! [`Http`] stands over a server's service, whose error is usually `Infallible`: a layer's own no becomes a
//! [`problem`](mod@problem) document (RFC 9457). [`HttpClient`] stands over a client, whose connection can fail: a layer's no becomes
//! its error, which must be a [`Fault`](tollgate_core::Fault).
//!
//! What an answer says about the money is read from its status by [`verdict_of_status`], unless the response carries a
//! [`Verdict`](tollgate_core::Verdict) in its extensions: a handler that knows better says so there.
//!
//! ```
//! use http::{Response, StatusCode};
//! use tollgate::{Effect, Http, Verdict};
//! use tollgate_core::Answers;
//! use http_body_util::Full;
//! use bytes::Bytes;
//!
//! let mut response = Response::new(Full::new(Bytes::new()));
//! *response.status_mut() = StatusCode::BAD_GATEWAY;
//! let answer: Result<_, std::convert::Infallible> = Ok(response);
//! assert_eq!(Http.judge(&answer).effect, Effect::Unknown); // a 502 may hide a charge
//!
//! let mut response = answer.unwrap();
//! response.extensions_mut().insert(Verdict::DECLINED);     // the handler knows that nothing moved
//! let answer: Result<_, std::convert::Infallible> = Ok(response);
//! assert_eq!(Http.judge(&answer).effect, Effect::Declined);
//! ```

mod body;
pub mod problem;
mod protocol;
#[cfg(test)]
mod tests;

pub use body::{ReadBody, ReadOutcome, Rebuild};
#[cfg(feature = "idempotency")]
pub(crate) use protocol::IDEMPOTENCY_STATUS;
pub use protocol::{Http, HttpClient, RouteName, verdict_of_status};
