//! Records by key, in places that never move.

use crate::store::idempotency::RecordKey;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Records that are made together lie together, and growing moves small index entries, never a record: a table that kept its records
/// in itself would copy all of them, a quarter of a kilobyte each, whenever it grows, under its lock.
pub(super) struct Table<R> {
    index: HashMap<RecordKey, u32, BuildHasherDefault<AlreadyHashed>>,
    chunks: Vec<Vec<Option<R>>>,
    free: Vec<u32>,
}

/// Where a record lies, as long as nothing is removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(u32);

/// Records per chunk.
const CHUNK: usize = 32;

/// Record keys are keyed hashes already: their first eight bytes will do.
#[derive(Default)]
pub(super) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*first);
        }
    }
    fn write_usize(&mut self, _: usize) {}
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self {
            index: HashMap::default(),
            chunks: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<R> Table<R> {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn place_of(&self, key: &RecordKey) -> Option<Place> {
        self.index.get(key).copied().map(Place)
    }

    pub(super) fn at(&self, Place(place): Place) -> Option<&R> {
        let (chunk, at) = split(place);
        self.chunks.get(chunk)?.get(at)?.as_ref()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&RecordKey, &R)> {
        self.index
            .iter()
            .filter_map(|(key, place)| Some((key, self.at(Place(*place))?)))
    }

    /// Puts a record under a key, which has this place, or none yet.
    pub(super) fn put(&mut self, key: RecordKey, place: Option<Place>, record: R) {
        let place = match place {
            Some(Place(place)) => place,
            None => {
                let place = self.free.pop().unwrap_or_else(|| grow(&mut self.chunks));
                self.index.insert(key, place);
                place
            }
        };
        let (chunk, at) = split(place);
        self.chunks[chunk][at] = Some(record);
    }

    pub(super) fn remove(&mut self, key: &RecordKey) {
        if let Some(place) = self.index.remove(key) {
            let (chunk, at) = split(place);
            self.chunks[chunk][at] = None;
            self.free.push(place);
        }
    }
}

/// Adds an empty place.
fn grow<R>(chunks: &mut Vec<Vec<Option<R>>>) -> u32 {
    if chunks.last().is_none_or(|last| last.len() == CHUNK) {
        chunks.push(Vec::with_capacity(CHUNK));
    }
    let chunk = chunks.len() - 1;
    let at = chunks[chunk].len();
    chunks[chunk].push(None);
    #[expect(
        clippy::expect_used,
        reason = "four thousand million records do not fit into memory"
    )]
    u32::try_from(chunk * CHUNK + at).expect("a place")
}

const fn split(place: u32) -> (usize, usize) {
    let place = place as usize;
    (place / CHUNK, place % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(number: u8) -> RecordKey {
        RecordKey::new([number; 32])
    }

    proptest! {
        /// Whatever is put and removed, it answers as a map does, and a place that was left is used again.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<u8>(), prop::option::weighted(0.7, any::<u16>())), 0..600)) {
            let (mut table, mut map, mut most) = (Table::default(), HashMap::new(), 0);
            for (number, value) in steps {
                match value {
                    Some(value) => {
                        let place = table.place_of(&key(number));
                        table.put(key(number), place, value);
                        map.insert(key(number), value);
                    }
                    None => {
                        table.remove(&key(number));
                        map.remove(&key(number));
                    }
                }
                most = most.max(map.len());
                prop_assert_eq!(table.len(), map.len());
                let found = table.place_of(&key(number)).and_then(|place| table.at(place));
                prop_assert_eq!(found, map.get(&key(number)));
            }
            let held: HashMap<_, _> = table.iter().map(|(key, value)| (*key, *value)).collect();
            prop_assert_eq!(held, map);
            let places: usize = table.chunks.iter().map(Vec::len).sum();
            prop_assert_eq!(places, most);
        }
    }
}
