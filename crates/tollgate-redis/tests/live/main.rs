//! Against real servers: the one that `tests/run` starts, and private ones for what would hurt other tests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cached;
mod conformance;
mod hardship;
mod linear;
mod loss;
mod opening;
mod proxy;
mod rounds;
mod sample;
mod server;
mod together;
