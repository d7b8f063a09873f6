//! What goes wrong at the gateway, and how often it did.

use crate::dice::Dice;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// 500, and nothing happened.
    ErrorBefore,
    /// 429, and nothing happened.
    TurnedAway,
    /// It happens, possibly after the merchant has given up.
    LateEffect(Duration),
    /// It happened, and the answer comes late.
    LateAnswer(Duration),
    /// It happened, and the connection closes.
    AnswerLost,
    /// It happened, and the answer is 500.
    ErrorAfter,
}

/// Out of a hundred. The merchant waits 400 ms for an answer, so half of the waits below are too long.
const TABLE: [(Fault, u64); 7] = [
    (Fault::None, 66),
    (Fault::ErrorBefore, 5),
    (Fault::TurnedAway, 4),
    (Fault::LateEffect(Duration::ZERO), 7),
    (Fault::LateAnswer(Duration::ZERO), 4),
    (Fault::AnswerLost, 7),
    (Fault::ErrorAfter, 7),
];

const WAIT: std::ops::Range<u64> = 20..780;

#[derive(Debug)]
pub struct Faults {
    seed: u64,
    calm: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    by_key: HashMap<String, u32>,
    counts: BTreeMap<&'static str, u64>,
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            calm: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    /// What befalls the next request under this key: it follows from the seed, the key, and which of its requests it is.
    pub fn next(&self, key: &str) -> Fault {
        if self.calm.load(SeqCst) {
            return Fault::None;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let nth = seen.by_key.entry(key.to_owned()).or_default();
        *nth += 1;
        let mut dice = Dice::about(self.seed, &format!("gateway {key} {nth}"));
        let wait = Duration::from_millis(dice.within(WAIT.start, WAIT.end));
        let (fault, name) = match dice.weigh(&TABLE) {
            Fault::None => return Fault::None,
            Fault::LateEffect(_) => (Fault::LateEffect(wait), "gateway: late effect"),
            Fault::LateAnswer(_) => (Fault::LateAnswer(wait), "gateway: late answer"),
            Fault::ErrorBefore => (Fault::ErrorBefore, "gateway: 500 before the effect"),
            Fault::ErrorAfter => (Fault::ErrorAfter, "gateway: 500 after the effect"),
            Fault::AnswerLost => (Fault::AnswerLost, "gateway: answer lost after the effect"),
            Fault::TurnedAway => (Fault::TurnedAway, "gateway: 429"),
        };
        *seen.counts.entry(name).or_default() += 1;
        fault
    }

    pub fn stop(&self) {
        self.calm.store(true, SeqCst);
    }

    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .counts
            .clone()
    }
}
