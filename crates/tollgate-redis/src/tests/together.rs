//! Many steps in one script: whatever is in it, each is decided as if it had been asked alone, in its turn.

use super::server::Server;
use crate::Redis;
use crate::idempotency::{Settle, Step};
use crate::server::Server as Handle;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;
use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Envelope, Fingerprint, IdempotencyStore, Owner, Phase, RecordKey, Settled,
    Settlement, Tenant, Token,
};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::{Clock, ManualClock, Timestamp};
use tollgate_testkit::histories::Trial;

/// Ahead of the server's own time: its keys' times to live, which follow that, do not end in between.
const FAR_AHEAD: Timestamp = Timestamp::from_unix_seconds(4_100_000_000);
const KEYS: u8 = 5;

fn keys() -> impl Iterator<Item = RecordKey> {
    (0..KEYS).map(|key| RecordKey::new([key; 32]))
}

fn begin(key: u8, owner: u8) -> Begin {
    Begin {
        key: RecordKey::new([key; 32]),
        fingerprint: Fingerprint::new([1; 32]),
        owner: Owner(u128::from(owner)),
        lease: Duration::from_secs(10),
        retention: Duration::from_secs(60),
        arm: true,
        tenant: Tenant(7),
        most_open: u32::MAX,
    }
}

fn token(key: u8, owner: u8) -> Token {
    Token {
        key: RecordKey::new([key; 32]),
        epoch: 1,
        owner: Owner(u128::from(owner)),
    }
}

fn completed(body: u8) -> Settlement {
    Settlement::Completed(Completion {
        executed: true,
        envelope: Some(Envelope {
            ok: true,
            status: 200,
            head: None,
            body: vec![body; usize::from(body)].into(),
        }),
    })
}

fn settle(token: Token) -> Settle {
    Settle::new(token, &completed(1))
}

async fn begin_together(store: &Handle, begins: &[Begin]) -> Vec<bool> {
    let steps: Vec<_> = begins.iter().copied().map(Step::Begin).collect();
    store.together(&steps).await.unwrap()
}

async fn settle_together(store: &Handle, tokens: impl IntoIterator<Item = Token>) -> Vec<bool> {
    let steps: Vec<_> = tokens
        .into_iter()
        .map(|token| Step::Settle(settle(token)))
        .collect();
    store.together(&steps).await.unwrap()
}

async fn server() -> Server {
    let mut server = Server::new().await.with_indexes_of(keys());
    server.set_time(FAR_AHEAD).await;
    server
}

async fn phase(store: &Redis, key: u8) -> Option<Phase> {
    let found = store.get(RecordKey::new([key; 32])).await.unwrap();
    found.map(|record| record.phase)
}

fn key_of(server: &Server, key: u8) -> Vec<u8> {
    server.store().server().record_key(&RecordKey::new([key; 32]))
}

/// The same store as a user to whom this command is refused.
async fn refuse(server: &mut Server, command: &str) -> Redis {
    let url = std::env::var("TOLLGATE_TEST_REDIS").unwrap();
    let user = format!("u{}", server.store().server().prefix());
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg(&user);
    for rule in ["on", ">secret", "~*", "&*", "+@all", &format!("-{command}")] {
        acl.arg(rule);
    }
    server.tell::<()>(&acl).await;
    let url = url.replace("redis://", &format!("redis://{user}:secret@"));
    server.same_at(&url).await
}

#[tokio::test]
async fn of_two_claims_to_one_key_the_first_has_it() {
    let mut server = server().await;
    let store = server.store().server().clone();
    let claims = [begin(1, 1), begin(2, 1), begin(1, 2), begin(1, 1)];
    let taken = begin_together(&store, &claims).await;
    assert_eq!(taken, [true, true, false, false]);
    server.inspect().await;
    assert!(matches!(
        store.begin(&claims[2]).await.unwrap(),
        Begun::InFlight { .. }
    ));
    assert_eq!(
        store.begin(&claims[3]).await.unwrap(),
        Begun::Acquired(token(1, 1))
    );
    // the other owner, the owner, its neighbour, and the owner once more
    let ends = [token(1, 2), token(1, 1), token(2, 1), token(1, 1)];
    let applied = settle_together(&store, ends).await;
    assert_eq!(applied, [false, true, true, false]);
    server.inspect().await;
    let again = store.settle(&settle(ends[3])).await.unwrap();
    assert_eq!(again, Settled::AlreadyApplied);
}

/// What stands there already, of whatever type, stays as it is, and is nobody else's trouble.
#[tokio::test]
async fn what_stands_there_is_not_touched_and_harms_nobody() {
    let mut server = server().await;
    let store = server.store().server().clone();
    let list = redis::cmd("RPUSH").arg(key_of(&server, 1)).arg("rubbish").take();
    let rubbish = redis::cmd("SET").arg(key_of(&server, 2)).arg("rubbish").take();
    server.tell::<()>(&list).await;
    server.tell::<()>(&rubbish).await;
    let claims = [begin(0, 1), begin(1, 1), begin(2, 1), begin(3, 1)];
    let taken = begin_together(&store, &claims).await;
    assert_eq!(taken, [true, false, false, true]);
    let ends = [1, 0, 2, 4, 3].map(|key| token(key, 1));
    let applied = settle_together(&store, ends).await;
    assert_eq!(applied, [false, true, false, false, true]);
    let kind = redis::cmd("TYPE").arg(key_of(&server, 1)).take();
    assert_eq!(server.tell::<String>(&kind).await, "list");
    let value = redis::cmd("GET").arg(key_of(&server, 2)).take();
    assert_eq!(server.tell::<String>(&value).await, "rubbish");
    for key in [1, 2] {
        let gone = redis::cmd("DEL").arg(key_of(&server, key)).take();
        server.tell::<()>(&gone).await;
    }
    server.inspect().await;
    assert_eq!(
        phase(server.store(), 4).await,
        None,
        "what is not there is not made"
    );
}

/// A claim that the sweep could not find must not stay, and a settled one must not be where the sweep looks.
#[tokio::test]
async fn an_index_that_refuses_leaves_all_as_it_was() {
    let mut server = server().await;
    let store = server.store().server().clone();
    let claims = [begin(1, 1), begin(2, 1)];
    assert_eq!(begin_together(&store, &claims).await, [true, true]);
    let aside = store.key("aside");
    let watch = store.key("watch");
    let turn = async |server: &mut Server, from: &[u8], to: &[u8]| {
        let turn = redis::cmd("RENAME").arg(from).arg(to).take();
        server.tell::<()>(&turn).await;
    };
    turn(&mut server, &watch, &aside).await;
    let rubbish = redis::cmd("SET").arg(&watch).arg("rubbish").take();
    server.tell::<()>(&rubbish).await;
    let more = [begin(3, 1), begin(1, 2), begin(4, 1)];
    assert_eq!(begin_together(&store, &more).await, [false; 3]);
    let ends = [token(1, 1), token(2, 1)];
    assert_eq!(settle_together(&store, ends).await, [false; 2]);
    for (key, left) in [
        (1, Some(Phase::Armed)),
        (2, Some(Phase::Armed)),
        (3, None),
        (4, None),
    ] {
        assert_eq!(phase(server.store(), key).await, left, "{key}");
    }
    turn(&mut server, &aside, &watch).await;
    server.inspect().await;
}

/// Whatever command is refused to this user: record and index agree afterwards, and the step is said to be undone.
#[tokio::test]
async fn a_command_that_is_refused_leaves_record_and_index_agreeing() {
    for command in ["set", "msetnx", "mget", "zadd"] {
        let mut server = server().await;
        let own = server.store().server().clone();
        let claims = [begin(1, 1), begin(2, 1)];
        assert_eq!(begin_together(&own, &claims).await, [true, true]);
        let restricted = refuse(&mut server, command).await;
        let restricted = restricted.server();
        let more = [begin(3, 1), begin(4, 1)];
        // one by one, where they may not be taken in one go
        let may = command != "zadd";
        assert_eq!(begin_together(restricted, &more).await, [may; 2], "{command}");
        server.inspect().await;
        let ends = [token(1, 1), token(2, 1)];
        let may = command == "msetnx";
        assert_eq!(settle_together(restricted, ends).await, [may; 2], "{command}");
        server.inspect().await;
        let left = if may { Phase::Completed } else { Phase::Armed };
        assert_eq!(phase(server.store(), 1).await, Some(left), "{command}");
    }
}

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
