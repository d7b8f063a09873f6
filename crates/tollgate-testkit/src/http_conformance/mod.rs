//! Does a server honour `Idempotency-Key`? Asked from outside, of any server in any language.
//!
//! What is needed: one endpoint with an effect, and a way to count its effects. Forty numbered cases send what clients send on good days and
//! bad ones (repeats, races, cut connections, malformed keys, other bodies under a used key) and look at what comes back *and* at the
//! counter: an answer can be right and the money gone twice.
//!
//! ```no_run
//! use http::Method;
//! use tollgate_testkit::http_conformance::{self, Counter, Target, Verdict};
//!
//! # async fn look() -> Result<(), http_conformance::Unusable> {
//! let counter = Counter::Url { url: "/count".into(), pointer: String::new() };
//! let target = Target::new("http://127.0.0.1:8080", counter)?
//!     .endpoint(Method::POST, "/charges", r#"{"amount": 100, "reference": "{unique}"}"#);
//! let report = http_conformance::run(target, &[]).await?;
//! assert_eq!(report.count(Verdict::Fail), 0, "{report}");
//! # Ok(()) }
//! ```
//!
//! As a command: `cargo run -p tollgate-testkit --bin idempotency-conformance -- --help`.
//!
//! # What it expects
//!
//! Two profiles, because there are two customs: [`ietf`](Profile::Ietf) (draft-ietf-httpapi-idempotency-key-header) and
//! [`stripe`](Profile::Stripe). Where neither says anything, a case expects what keeps money safe, and accepts every answer that does: a
//! refusal or the same bytes, a 409 or waiting. A case that the options or the server leave nothing to look at is *not applicable*, and
//! says why; it is never counted as passed.
//!
//! # What it does to the server
//!
//! It has effects: about a hundred, and more on a server that protects nothing. Nobody else may use the endpoint meanwhile, or the count is off. Connections are HTTP/1.1,
//! one per request, without TLS.

mod case;
mod cases;
mod probe;
mod report;
mod target;
#[cfg(test)]
mod tests;
mod wire;

pub use case::{Case, Finding, Verdict};
pub use probe::Probe;
pub use report::{Outcome, Report, all_cases, find_case, run, run_telling};
pub use target::{Commands, Counter, Profile, Target, UNIQUE, Unusable, Variant};
