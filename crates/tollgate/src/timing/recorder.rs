//! Who hears of every call.

use super::histogram::Ending;
use std::time::Duration;

/// One measured call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Measured<'a> {
    /// Which operation.
    pub operation: &'a str,
    /// How it ended.
    pub ending: Ending,
    /// Which attempt it was; the first is 0.
    pub attempt: u16,
    /// How long it took.
    pub took: Duration,
}

/// Hears of every call, to export it. Called on the thread that ended the call: be quick. A panic is contained.
pub trait Recorder: Send + Sync + 'static {
    /// A call ended or was dropped.
    fn record(&self, measured: Measured<'_>);
}
