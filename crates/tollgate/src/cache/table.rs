//! The entries: fresh, stale, or on their way. Pure: time is an argument.

use super::key::CacheKey;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What those who wait are told: the answer's kept form, or that there is none to share.
pub(super) type Landing<K> = watch::Receiver<Option<Option<K>>>;

/// What is known under a key.
#[derive(Debug)]
pub(super) struct Entry<K> {
    kept: Option<(K, Instant)>,
    flight: Option<Landing<K>>,
}

impl<K> Entry<K> {
    /// What there is to wait for. A flight whose leader is gone without a word (it panicked, or its task was aborted) is none.
    fn on_its_way(&self) -> Option<&Landing<K>> {
        self.flight.as_ref().filter(|flight| flight.has_changed().is_ok())
    }
}

/// What a caller does.
#[derive(Debug)]
pub(super) enum Found<K> {
    /// Takes this.
    Fresh(K),
    /// Waits for somebody else's answer.
    OnItsWay(Landing<K>),
    /// Goes itself, and tells the others.
    Go(watch::Sender<Option<Option<K>>>),
}

#[derive(Debug)]
pub(super) struct Table<K> {
    entries: HashMap<CacheKey, Entry<K>>,
    capacity: usize,
    ttl: Duration,
    stale_if_error: Duration,
}

impl<K: Clone> Table<K> {
    pub(super) fn new(capacity: usize, ttl: Duration, stale_if_error: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            capacity,
            ttl,
            stale_if_error,
        }
    }

    pub(super) fn find(&mut self, key: &CacheKey, now: Instant) -> Found<K> {
        if let Some(entry) = self.entries.get(key) {
            if let Some((kept, at)) = &entry.kept
                && now.duration_since(*at) < self.ttl
            {
                return Found::Fresh(kept.clone());
            }
            if let Some(flight) = entry.on_its_way() {
                return Found::OnItsWay(flight.clone());
            }
        } else {
            self.make_room(now);
        }
        let (tell, landing) = watch::channel(None);
        match self.entries.entry(key.clone()) {
            Slot::Occupied(mut slot) => slot.get_mut().flight = Some(landing),
            Slot::Vacant(slot) => {
                slot.insert(Entry {
                    kept: None,
                    flight: Some(landing),
                });
            }
        }
        Found::Go(tell)
    }

    /// The flight is over. `kept` is what may be kept.
    pub(super) fn land(&mut self, key: &CacheKey, kept: Option<K>, now: Instant) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.flight = None;
        if let Some(kept) = kept {
            entry.kept = Some((kept, now));
        } else if entry.kept.is_none() {
            self.entries.remove(key);
        }
    }

    /// What was kept and is old, if it may stand in for an answer that failed.
    pub(super) fn stale(&self, key: &CacheKey, now: Instant) -> Option<K> {
        let (kept, at) = self.entries.get(key)?.kept.as_ref()?;
        (now.duration_since(*at) < self.ttl.saturating_add(self.stale_if_error)
            && !self.stale_if_error.is_zero())
        .then(|| kept.clone())
    }

    pub(super) fn clear(&mut self) {
        self.entries.retain(|_, entry| {
            entry.kept = None;
            entry.on_its_way().is_some()
        });
    }

    /// Forgets what is of no use any more, then what is oldest. Entries on their way stay: somebody waits for them.
    fn make_room(&mut self, now: Instant) {
        if self.entries.len() < self.capacity {
            return;
        }
        let useful = self.ttl.saturating_add(self.stale_if_error);
        self.entries.retain(|_, entry| {
            entry.on_its_way().is_some()
                || entry
                    .kept
                    .as_ref()
                    .is_some_and(|(_, at)| now.duration_since(*at) < useful)
        });
        while self.entries.len() >= self.capacity {
            let oldest = self
                .entries
                .iter()
                .filter(|(_, entry)| entry.on_its_way().is_none())
                .filter_map(|(key, entry)| Some((entry.kept.as_ref()?.1, key)))
                .min_by_key(|(at, _)| *at)
                .map(|(_, key)| key.clone());
            match oldest {
                Some(key) => self.entries.remove(&key),
                None => return,
            };
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
