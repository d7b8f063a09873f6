//! The generic cell rate algorithm (ITU-T I.371), pure.
//!
//! The state is one timestamp, the *theoretical arrival time*: when the quota would be whole again. A call conforms if that time
//! is no further ahead than the burst allows.

use super::{Quota, Take, Taken};
use crate::clock::Timestamp;
use std::time::Duration;

/// Takes units from one quota.
///
/// # Errors
/// How long to wait.
pub fn take(
    arrival: Option<Timestamp>,
    quota: &Quota,
    cost: u32,
    now: Timestamp,
) -> Result<Timestamp, Duration> {
    if cost > quota.at_once() {
        return Err(Duration::MAX);
    }
    let interval = quota.interval();
    let arrival = arrival.map_or(now, |arrival| arrival.max(now));
    let next = arrival.saturating_add(interval.saturating_mul(cost));
    if next == arrival && cost > 0 {
        return Err(Duration::MAX); // at the end of time: a quota of one per `Duration::MAX` is not one without end
    }
    let tolerance = interval.saturating_mul(quota.at_once());
    match next.since(now).checked_sub(tolerance) {
        None | Some(Duration::ZERO) => Ok(next),
        Some(ahead) => Err(ahead),
    }
}

/// How many units are left after `arrival`, and when the quota is whole again.
#[must_use]
pub fn left(arrival: Timestamp, quota: &Quota, now: Timestamp) -> (u32, Duration) {
    let reset = arrival.since(now);
    let tolerance = quota.interval().saturating_mul(quota.at_once());
    let room = tolerance.saturating_sub(reset).as_micros() / quota.interval().as_micros().max(1);
    (u32::try_from(room).unwrap_or(u32::MAX), reset)
}

/// Gives units back, never more than were taken.
#[must_use]
pub fn give_back(arrival: Timestamp, quota: &Quota, cost: u32, now: Timestamp) -> Timestamp {
    arrival
        .saturating_sub(quota.interval().saturating_mul(cost))
        .max(now.min(arrival))
}

/// Takes from all quotas or from none. `arrivals` and `takes` go in step; two takes of one key see each other.
///
/// # Errors
/// The refusal.
pub fn take_all(
    arrivals: &[Option<Timestamp>],
    takes: &[Take],
    now: Timestamp,
) -> Result<(Vec<Timestamp>, Taken), Taken> {
    let mut next: Vec<Timestamp> = Vec::with_capacity(takes.len());
    let (mut remaining, mut reset) = (u32::MAX, Duration::ZERO);
    for (index, asked) in takes.iter().enumerate() {
        let earlier = takes[..index].iter().rposition(|other| other.key == asked.key);
        let arrival = earlier.map_or(arrivals[index], |at| Some(next[at]));
        let arrival = take(arrival, &asked.quota, asked.cost, now)
            .map_err(|retry_after| Taken::Refused { index, retry_after })?;
        let (room, whole) = left(arrival, &asked.quota, now);
        if room < remaining {
            (remaining, reset) = (room, whole);
        }
        next.push(arrival);
    }
    Ok((next, Taken::Granted { remaining, reset }))
}
