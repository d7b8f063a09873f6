//! What needs the inside: the same scripts under a clock of the test's own, and what every answer of a server is taken for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod form;
mod histories;
mod indexes;
mod server;
mod together;
