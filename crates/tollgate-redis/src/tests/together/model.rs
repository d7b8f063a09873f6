//! Random batches beside a model.

use super::{FAR_AHEAD, Handle, KEYS, begin, completed, keys, server, token};
use crate::idempotency::{Settle, Step};
use crate::tests::server::Server;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;
use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Begun, Fingerprint, IdempotencyStore, Phase, Settled, Settlement, Token,
};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::{Clock, ManualClock};
use tollgate_testkit::histories::Trial;

#[derive(Clone, Debug)]
enum Kind {
    Begin(Begin),
    /// With one of the tokens that were handed out so far, or were forged; how it ended.
    Settle(Index, u8),
}

#[derive(Clone, Debug)]
enum Round {
    Together(Vec<Kind>),
    Release(Index),
    Forge(Index),
    Wait(u8),
    Sweep,
    Collect,
}

fn a_begin() -> impl Strategy<Value = Begin> {
    (0..KEYS, 0u8..3, 0u8..20, 0u8..8).prop_map(|(key, owner, lease, other)| Begin {
        lease: Duration::from_secs(lease.into()),
        // one request in eight is another one, and one in eight is kept for another time
        fingerprint: Fingerprint::new([other / 7; 32]),
        retention: Duration::from_secs(60 + u64::from(other / 6)),
        ..begin(key, owner)
    })
}

fn a_round() -> impl Strategy<Value = Round> {
    let begin = || a_begin().prop_map(Kind::Begin);
    let settle = || (any::<Index>(), 0u8..3).prop_map(|(token, body)| Kind::Settle(token, body));
    let some = || 1..7;
    prop_oneof![
        2 => proptest::collection::vec(begin(), some()).prop_map(Round::Together),
        2 => proptest::collection::vec(settle(), some()).prop_map(Round::Together),
        4 => proptest::collection::vec(prop_oneof![begin(), settle()], some()).prop_map(Round::Together),
        1 => any::<Index>().prop_map(Round::Release),
        1 => any::<Index>().prop_map(Round::Forge),
        1 => (0u8..90).prop_map(Round::Wait),
        1 => Just(Round::Sweep),
        1 => Just(Round::Collect),
    ]
}

/// A step with its token.
enum Asked {
    Begin(Begin),
    Settle(Token, Settlement),
}

impl Asked {
    fn step(&self) -> Step {
        match self {
            Self::Begin(begin) => Step::Begin(*begin),
            Self::Settle(token, how) => Step::Settle(Settle::new(*token, how)),
        }
    }
}

/// A server beside a model, with one clock.
struct Pair {
    server: Server,
    model: MemoryIdempotency,
    clock: ManualClock,
    tokens: Vec<Token>,
}

impl Pair {
    async fn new() -> Self {
        let clock = ManualClock::at(FAR_AHEAD);
        Self {
            server: server().await,
            model: MemoryIdempotency::with(1000, clock.clone()),
            clock,
            tokens: vec![token(0, 0)],
        }
    }

    async fn go(&mut self, round: Round) {
        let store = self.server.store().server().clone();
        match round {
            Round::Together(kinds) => self.together(kinds).await,
            Round::Release(token) => {
                let token = *token.get(&self.tokens);
                let released = store.settle(&Settle::new(token, &Settlement::Released)).await;
                let modelled = self.model.settle(token, &Settlement::Released).await;
                assert_eq!(released.unwrap(), modelled.unwrap());
            }
            Round::Forge(token) => {
                let token = *token.get(&self.tokens);
                let epoch = token.epoch + 1;
                self.tokens.push(Token { epoch, ..token });
            }
            Round::Wait(seconds) => {
                self.clock.advance(Duration::from_secs(seconds.into()));
                self.server.set_time(self.clock.now()).await;
            }
            Round::Sweep => {
                let swept = self.server.store().sweep(100).await.unwrap();
                assert_eq!(swept, self.model.sweep(100).await.unwrap());
            }
            Round::Collect => {
                let tombstone = Duration::from_secs(30);
                let collected = self.server.store().collect(tombstone, 100).await.unwrap();
                assert_eq!(collected, self.model.collect(tombstone, 100).await.unwrap());
            }
        }
        self.compare().await;
    }

    /// Exactly what the short ways are for takes them: a begin that is the first at a free key, a settlement that is the first of an
    /// armed claim's owner. The rest goes alone after that.
    async fn together(&mut self, kinds: Vec<Kind>) {
        let store = self.server.store().server().clone();
        let asked: Vec<_> = kinds
            .into_iter()
            .map(|kind| match kind {
                Kind::Begin(begin) => Asked::Begin(begin),
                Kind::Settle(token, body) => Asked::Settle(*token.get(&self.tokens), completed(body)),
            })
            .collect();
        let expected = self.expected(&asked).await;
        let steps: Vec<_> = asked.iter().map(Asked::step).collect();
        assert_eq!(store.together(&steps).await.unwrap(), expected);
        for first in [true, false] {
            for (asked, done) in asked.iter().zip(&expected) {
                if *done == first {
                    self.compare_one(&store, asked, *done).await;
                }
            }
        }
    }

    async fn expected(&self, asked: &[Asked]) -> Vec<bool> {
        let mut expected = vec![false; asked.len()];
        let mut seen = BTreeSet::new();
        for (place, asked) in asked.iter().enumerate() {
            if let Asked::Begin(begin) = asked {
                let free = self.model.get(begin.key).await.unwrap().is_none();
                expected[place] = seen.insert(begin.key) && free;
            }
        }
        for (place, asked) in asked.iter().enumerate() {
            if let Asked::Settle(token, _) = asked {
                let record = self.model.get(token.key).await.unwrap();
                let held = record.is_some_and(|record| {
                    (record.phase, record.epoch, record.owner) == (Phase::Armed, token.epoch, token.owner)
                });
                expected[place] = held && seen.insert(token.key);
            }
        }
        expected
    }

    /// The answer of the model, and the store's: in the batch, or alone.
    async fn compare_one(&mut self, store: &Handle, asked: &Asked, done: bool) {
        match asked {
            Asked::Begin(begin) => {
                let modelled = self.model.begin(*begin).await.unwrap();
                if let Begun::Acquired(token) = modelled {
                    self.tokens.push(token);
                }
                let first = Token {
                    key: begin.key,
                    epoch: 1,
                    owner: begin.owner,
                };
                let begun = match done {
                    true => Begun::Acquired(first),
                    false => store.begin(begin).await.unwrap(),
                };
                assert_eq!(begun, modelled);
            }
            Asked::Settle(token, how) => {
                let modelled = self.model.settle(*token, how).await.unwrap();
                let settled = match done {
                    true => Settled::Applied,
                    false => store.settle(&Settle::new(*token, how)).await.unwrap(),
                };
                assert_eq!(settled, modelled);
            }
        }
    }

    /// The same records, and indexes that agree with them.
    async fn compare(&mut self) {
        for key in keys() {
            let held = self.server.store().get(key).await.unwrap();
            assert_eq!(held, self.model.get(key).await.unwrap());
        }
        self.server.inspect().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Random batches, over claims in every state: taken is what the rule takes, and nothing else; records come out the same, to the
    /// microsecond, and the indexes agree with them.
    #[test]
    fn many_together_are_decided_as_one_by_one(rounds in proptest::collection::vec(a_round(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new().await;
            for round in rounds {
                pair.go(round).await;
            }
        });
    }
}
