//! What the acquirer can be told to do to the next requests.

use serde::Deserialize;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Works.
    #[default]
    None,
    /// The issuer says no.
    Decline,
    /// Closes the connection; nothing is booked.
    HangUpBefore,
    /// Books, and closes the connection.
    HangUpAfter,
    /// Does not answer; nothing is booked.
    TimeOutBefore,
    /// Books, and does not answer.
    TimeOutAfter,
    /// 500; nothing is booked, but who is to know?
    Error500,
    /// 429 with `Retry-After`.
    TooMany,
    /// Works, after so many milliseconds.
    Slow(u64),
}

#[derive(Debug, Default)]
pub struct Faults {
    next: VecDeque<Fault>,
    seen: u64,
}

impl Faults {
    pub fn will(&mut self, next: Vec<Fault>) {
        self.next = next.into();
    }

    /// The fault of the request that came in just now.
    pub fn next(&mut self) -> Fault {
        self.seen += 1;
        self.next.pop_front().unwrap_or_default()
    }

    /// How many requests that move money came in since this process was started.
    pub fn seen(&self) -> u64 {
        self.seen
    }
}
