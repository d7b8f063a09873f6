//! In the merchant's own process.

use super::{now, until};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Text, and the instant until which it is there.
type Texts = HashMap<String, (String, i64)>;

#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<Texts>>);

impl Shelf {
    fn locked(&self) -> MutexGuard<'_, Texts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, key: &str) -> Option<String> {
        let texts = self.locked();
        let found = texts.get(key).filter(|(_, until)| *until > now());
        found.map(|(text, _)| text.clone())
    }

    pub fn put_if_absent(&self, key: &str, text: &str, life: Duration) -> bool {
        let mut texts = self.locked();
        let absent = texts.get(key).is_none_or(|(_, until)| *until <= now());
        if absent {
            texts.insert(key.to_owned(), (text.to_owned(), until(life)));
        }
        absent
    }

    pub fn put(&self, key: &str, text: &str, life: Duration) {
        self.locked()
            .insert(key.to_owned(), (text.to_owned(), until(life)));
    }

    pub fn remove(&self, key: &str) {
        self.locked().remove(key);
    }
}
