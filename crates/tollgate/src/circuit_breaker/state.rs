//! The rule itself, pure. Time is a [`Duration`] since the breaker was made.

use crate::setters::setters;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const BUCKETS: u32 = 10;

/// When the breaker trips and how it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// How far back failures count (default: 30 s).
    pub window: Duration,
    /// At how many failures per hundred calls it trips (default: 50).
    pub failure_percent: u32,
    /// From how many calls in the window on the rate means anything (default: 20).
    pub minimum_calls: u32,
    /// At how many failures in a row it trips; 0 turns the rule off (default: 5).
    pub consecutive_failures: u32,
    /// From when on a call counts as slow; `None` turns the rule off (default: off).
    pub slow_after: Option<Duration>,
    /// At how many slow calls per hundred it trips (default: 100).
    pub slow_percent: u32,
    /// How long it stays open the first time (default: 30 s).
    pub open_for: Duration,
    /// How long it stays open at most (default: 5 min).
    pub max_open_for: Duration,
    /// How many probes run at once while half open (default: 1).
    pub probes: u32,
    /// How many probes must succeed to close it (default: 2).
    pub successes_to_close: u32,
    /// From how long on a dropped call counts as a failure (default: 5 s).
    pub abandoned_after: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            failure_percent: 50,
            minimum_calls: 20,
            consecutive_failures: 5,
            slow_after: None,
            slow_percent: 100,
            open_for: Duration::from_secs(30),
            max_open_for: Duration::from_secs(300),
            probes: 1,
            successes_to_close: 2,
            abandoned_after: Duration::from_secs(5),
        }
    }
}

setters! {
    BreakerConfig {
        /// Sets how far back failures count (default: 30 s).
        window: Duration;
        /// Sets at how many failures per hundred calls it trips (default: 50).
        failure_percent: u32;
        /// Sets from how many calls on the rate means anything (default: 20).
        minimum_calls: u32;
        /// Sets at how many failures in a row it trips (default: 5).
        consecutive_failures: u32;
        /// Sets from when on a call counts as slow (default: never).
        slow_after: Option<Duration>;
        /// Sets at how many slow calls per hundred it trips (default: 100).
        slow_percent: u32;
        /// Sets how long it stays open the first time (default: 30 s).
        open_for: Duration;
        /// Sets how long it stays open at most (default: 5 min).
        max_open_for: Duration;
        /// Sets how many probes run at once (default: 1).
        probes: u32;
        /// Sets how many probes must succeed (default: 2).
        successes_to_close: u32;
        /// Sets from how long on a dropped call counts as a failure (default: 5 s).
        abandoned_after: Duration;
    }
}

/// Where the breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls pass, to find out.
    HalfOpen,
}

/// What a call's end means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer answered.
    Success,
    /// The peer or the way to it failed.
    Failure,
    /// It says nothing about the peer.
    Ignored,
}

/// Proof of admission. The epoch says under which state: an outcome from another epoch decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    epoch: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    id: u64,
    total: u32,
    failed: u32,
    slow: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failed_in_a_row: u32,
    },
    Open {
        until: Duration,
    },
    HalfOpen {
        since: Duration,
        running: u32,
        succeeded: u32,
    },
}

/// The breaker's state and its moves.
#[derive(Clone, Debug)]
pub struct Machine {
    config: BreakerConfig,
    state: State,
    epoch: u64,
    /// How often it opened without a healthy period between.
    reopened: u32,
    buckets: [Bucket; BUCKETS as usize],
}

impl Machine {
    /// Closed, with nothing counted.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        let state = State::Closed { failed_in_a_row: 0 };
        Self {
            config,
            state,
            epoch: 0,
            reopened: 0,
            buckets: Default::default(),
        }
    }

    /// Where it stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.state {
            State::Closed { .. } => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &BreakerConfig {
        &self.config
    }

    /// Calls, failures and slow calls in the window.
    #[must_use]
    pub fn counted(&self, now: Duration) -> (u32, u32, u32) {
        let current = self.bucket_id(now);
        let live = |bucket: &&Bucket| bucket.id + u64::from(BUCKETS) > current && bucket.id <= current;
        self.buckets
            .iter()
            .filter(live)
            .fold((0, 0, 0), |(total, failed, slow), bucket| {
                (total + bucket.total, failed + bucket.failed, slow + bucket.slow)
            })
    }

    /// Asks to make a call.
    ///
    /// # Errors
    /// How long to wait, when it is refused.
    pub fn admit(&mut self, now: Duration) -> Result<Ticket, Duration> {
        match &mut self.state {
            State::Closed { .. } => {}
            State::Open { until } if now < *until => return Err(*until - now),
            State::Open { .. } => self.half_open(now),
            State::HalfOpen { running, .. } if *running < self.config.probes => *running += 1,
            // a probe that never reports cannot hold it here for good (resilience4j #343, tower-resilience 5.1f)
            State::HalfOpen { since, .. } if now.saturating_sub(*since) >= self.config.open_for => {
                self.half_open(now)
            }
            State::HalfOpen { since, .. } => {
                return Err(since
                    .saturating_add(self.config.open_for)
                    .saturating_sub(now)
                    .max(Duration::from_millis(1)));
            }
        }
        Ok(Ticket { epoch: self.epoch })
    }

    fn half_open(&mut self, now: Duration) {
        self.epoch += 1;
        self.state = State::HalfOpen {
            since: now,
            running: 1,
            succeeded: 0,
        };
    }

    /// Hears how a call ended. `jitter` is any number; `open_for` is the peer's own word on how long to stay away.
    pub fn record(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        took: Duration,
        now: Duration,
        jitter: u64,
        open_for: Option<Duration>,
    ) {
        // an answer to a call from before the state moved on (seed D2, D3; tower-resilience 5.1d)
        if ticket.epoch != self.epoch {
            return;
        }
        let slow = self.config.slow_after.is_some_and(|limit| took >= limit);
        match self.state {
            State::Open { .. } => {}
            State::HalfOpen {
                since,
                running,
                succeeded,
            } => match outcome {
                Outcome::Failure => self.open(now, jitter, open_for),
                _ if slow => self.open(now, jitter, open_for),
                Outcome::Success if succeeded + 1 >= self.config.successes_to_close => self.close(),
                Outcome::Success => {
                    let running = running.saturating_sub(1);
                    self.state = State::HalfOpen {
                        since,
                        running,
                        succeeded: succeeded + 1,
                    };
                }
                // seed D17c: an uncounted outcome left it half open for ever; here it frees its place
                Outcome::Ignored => {
                    self.state = State::HalfOpen {
                        since,
                        running: running.saturating_sub(1),
                        succeeded,
                    };
                }
            },
            State::Closed { failed_in_a_row } => {
                let failed_in_a_row = match outcome {
                    Outcome::Ignored => return,
                    Outcome::Success => 0,
                    Outcome::Failure => failed_in_a_row.saturating_add(1),
                };
                self.count(outcome == Outcome::Failure, slow, now);
                self.state = State::Closed { failed_in_a_row };
                if (outcome == Outcome::Failure || slow) && self.trips(failed_in_a_row, now) {
                    self.open(now, jitter, open_for);
                }
            }
        }
    }

    /// A success cannot raise a failure rate, so this is asked only after failures and slow calls.
    fn trips(&self, failed_in_a_row: u32, now: Duration) -> bool {
        let config = &self.config;
        let (total, failed, slow) = self.counted(now);
        let over = |count: u32, percent: u32| u64::from(count) * 100 >= u64::from(total) * u64::from(percent);
        let rate = total >= config.minimum_calls.max(1);
        (config.consecutive_failures > 0 && failed_in_a_row >= config.consecutive_failures)
            || (rate && failed > 0 && over(failed, config.failure_percent))
            || (rate && config.slow_after.is_some() && over(slow, config.slow_percent))
    }

    fn open(&mut self, now: Duration, jitter: u64, open_for: Option<Duration>) {
        let config = &self.config;
        let grown = config
            .open_for
            .saturating_mul(1 << self.reopened.min(16))
            .min(config.max_open_for);
        // ±10 %, so that a fleet does not probe in step
        let tenth = u64::try_from(grown.as_millis() / 10).unwrap_or(u64::MAX);
        let spread = Duration::from_millis(jitter % (tenth.saturating_mul(2).max(1)));
        let jittered = (grown - grown / 10)
            .saturating_add(spread)
            .min(config.max_open_for);
        let stay = open_for.map_or(jittered, |said| said.max(jittered).min(config.max_open_for));
        self.reopened = self.reopened.saturating_add(1);
        self.epoch += 1;
        self.state = State::Open {
            until: now.saturating_add(stay),
        };
    }

    /// Closes it and forgets what was counted.
    pub fn close(&mut self) {
        self.epoch += 1;
        self.reopened = 0;
        self.buckets = Default::default();
        self.state = State::Closed { failed_in_a_row: 0 };
    }

    /// Opens it for this long.
    pub fn force_open(&mut self, now: Duration, stay: Duration) {
        self.epoch += 1;
        self.state = State::Open {
            until: now.saturating_add(stay),
        };
    }

    fn count(&mut self, failed: bool, slow: bool, now: Duration) {
        let id = self.bucket_id(now);
        let place = usize::try_from(id % u64::from(BUCKETS)).unwrap_or(0);
        let bucket = &mut self.buckets[place];
        if bucket.id != id {
            *bucket = Bucket {
                id,
                ..Bucket::default()
            };
        }
        bucket.total = bucket.total.saturating_add(1);
        bucket.failed += u32::from(failed);
        bucket.slow += u32::from(slow);
    }

    fn bucket_id(&self, now: Duration) -> u64 {
        let width = (self.config.window / BUCKETS).as_nanos().max(1);
        // ids start at 10, so that an untouched bucket (id 0) is never in the window
        u64::try_from(now.as_nanos() / width).unwrap_or(u64::MAX - u64::from(BUCKETS)) + u64::from(BUCKETS)
    }
}
