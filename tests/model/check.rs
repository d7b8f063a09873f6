//! The checker: walks breadth first through every state that can be reached, so that the first violation it meets is also a
//! shortest one.
//!
//! It knows nothing of keys and money. A state is kept once, whatever way led to it; two states count as one only if they are
//! equal, never because their hashes are.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

/// Something that can be walked through.
pub(crate) trait Model {
    /// Everything that matters for what can happen next.
    type State: Clone + Eq + Hash + fmt::Debug;
    /// What happened between two states.
    type Action: Copy + fmt::Debug;
    /// What is claimed.
    type Claim: Copy + Eq + fmt::Debug;

    /// Where it begins.
    fn start(&self) -> Self::State;
    /// All that can happen next, with where it leads.
    fn next(&self, from: &Self::State, steps: &mut Vec<(Self::Action, Self::State)>);
    /// The claim that this step breaks, if it breaks one.
    fn broken(&self, from: &Self::State, action: Self::Action, to: &Self::State) -> Option<Self::Claim>;
    /// The claim about what can still become of it that a state breaks, if it breaks one.
    fn hopeless(&self, _state: &Self::State) -> Option<Self::Claim> {
        None
    }
    /// Which of the things that should be possible happened in this step, a bit for each.
    fn seen(&self, _from: &Self::State, _action: Self::Action, _to: &Self::State) -> u64 {
        0
    }
}

/// What a walk found.
pub(crate) struct Walk<M: Model> {
    /// How many different states there are.
    pub(crate) states: usize,
    /// How many steps lead from one to the next.
    pub(crate) steps: usize,
    /// How many steps the farthest state is away.
    pub(crate) depth: usize,
    /// What was seen to be possible.
    pub(crate) seen: u64,
    /// The first violation, if there is one.
    pub(crate) violation: Option<Violation<M>>,
}

/// A shortest way to break a claim.
pub(crate) struct Violation<M: Model> {
    /// Which.
    pub(crate) claim: M::Claim,
    /// What happened, and where it led.
    pub(crate) way: Vec<(M::Action, M::State)>,
}

/// Walks through all states, or up to the first violation.
///
/// # Panics
/// When there are more than `most` states: a walk that stops half-way proves nothing and must not look as if it did.
pub(crate) fn walk<M: Model>(model: &M, most: usize) -> Walk<M> {
    let mut known = Known::<M>::from(model.start());
    let (mut next, mut steps, mut seen, mut from) = (Vec::new(), 0, 0, 0);
    while from < known.states.len() {
        let before = known.states[from].clone();
        if let Some(claim) = model.hopeless(&before) {
            let way = known.way_to(from);
            return known.into_walk(steps, seen, Some(Violation { claim, way }));
        }
        model.next(&before, &mut next);
        steps += next.len();
        for (action, after) in next.drain(..) {
            seen |= model.seen(&before, action, &after);
            let broken = model.broken(&before, action, &after);
            if let Some(claim) = broken {
                let mut way = known.way_to(from);
                way.push((action, after));
                let violation = Some(Violation { claim, way });
                return known.into_walk(steps, seen, violation);
            }
            known.add(after, from, action);
            assert!(
                known.states.len() <= most,
                "more than {most} states: raise the bound"
            );
        }
        from += 1;
    }
    known.into_walk(steps, seen, None)
}

/// The states met so far, each with the step that first led to it.
struct Known<M: Model> {
    states: Vec<M::State>,
    came_from: Vec<Option<(usize, M::Action)>>,
    depths: Vec<usize>,
    by_hash: HashMap<u64, usize, BuildHasherDefault<Mixer>>,
}

impl<M: Model> Known<M> {
    fn from(start: M::State) -> Self {
        let by_hash = HashMap::from_iter([(hash(&start), 0)]);
        Self {
            states: vec![start],
            came_from: vec![None],
            depths: vec![0],
            by_hash,
        }
    }

    fn add(&mut self, state: M::State, from: usize, action: M::Action) {
        let mut place = hash(&state);
        while let Some(known) = self.by_hash.get(&place) {
            if self.states[*known] == state {
                return;
            }
            place = place.wrapping_add(1); // another state with the same hash
        }
        self.by_hash.insert(place, self.states.len());
        self.states.push(state);
        self.came_from.push(Some((from, action)));
        self.depths.push(self.depths[from] + 1);
    }

    fn way_to(&self, mut state: usize) -> Vec<(M::Action, M::State)> {
        let mut way = Vec::new();
        while let Some((from, action)) = self.came_from[state] {
            way.push((action, self.states[state].clone()));
            state = from;
        }
        way.reverse();
        way
    }

    fn into_walk(self, steps: usize, seen: u64, violation: Option<Violation<M>>) -> Walk<M> {
        Walk {
            states: self.states.len(),
            steps,
            depth: self.depths.last().copied().unwrap_or(0),
            seen,
            violation,
        }
    }
}

fn hash<S: Hash>(state: &S) -> u64 {
    BuildHasherDefault::<Mixer>::default().hash_one(state)
}

/// Fowler, Noll and Vo's hash (FNV-1a), a word at a time and mixed at the end: a few instructions for each field.
#[derive(Clone, Copy)]
struct Mixer(u64);

impl Default for Mixer {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
    fn write_isize(&mut self, word: isize) {
        self.write_u64(u64::from_ne_bytes((word as i64).to_ne_bytes()));
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(23);
    }
}

impl<M: Model> fmt::Display for Violation<M>
where
    M::State: fmt::Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} is broken after {} steps:", self.claim, self.way.len())?;
        for (number, (action, state)) in self.way.iter().enumerate() {
            writeln!(f, "  {:2}. {:34} {state}", number + 1, format!("{action:?}"))?;
        }
        Ok(())
    }
}
