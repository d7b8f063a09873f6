//! A call's deadline.
#![expect(
    clippy::disallowed_types,
    reason = "core has no runtime; `tokio::time::Instant` converts to and from it"
)]

use std::time::{Duration, Instant};

/// An instant on the runtime's monotonic clock by which a call has to be over.
///
/// It is passed between processes as a remaining duration, never as a wall-clock time: clocks differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// Due at this instant.
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The instant.
    #[must_use]
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// What is left at `now`; zero when it has passed.
    #[must_use]
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// The earlier of the two.
    #[must_use]
    pub fn or_earlier(self, other: Option<Self>) -> Self {
        other.map_or(self, |other| self.min(other))
    }
}
