//! Services that watch how they are treated.
//!
//! A layer that calls a service it did not make ready, or that makes one instance ready and calls another, works in every test with an
//! always-ready mock, and breaks over a concurrency limit or a buffer. [`Probe`] counts such calls; [`Gate`] is a service that is not
//! always ready.

mod gate;
mod observed;

pub use gate::{Gate, GateHandle};
pub use observed::{Observed, Probe, Probed};
