//! Many steps in one script: whatever is in it, each is decided as if it had been asked alone, in its turn.

mod forms;
mod model;

use super::server::Server;
use crate::Redis;
use crate::idempotency::{Settle, Step};
use crate::server::Server as Handle;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{
    Begin, Begun, IdempotencyStore, Owner, Phase, RecordKey, Settled, Settlement, Tenant, Token,
};
use tollgate_testkit::histories::Trial;
use tollgate_testkit::samples;

/// Ahead of the server's own time: its keys' times to live, which follow that, do not end in between.
const FAR_AHEAD: Timestamp = Timestamp::from_unix_seconds(4_100_000_000);
const KEYS: u8 = 5;

fn keys() -> impl Iterator<Item = RecordKey> {
    (0..KEYS).map(samples::key)
}

fn begin(key: u8, owner: u8) -> Begin {
    Begin {
        lease: Duration::from_secs(10),
        retention: Duration::from_secs(60),
        tenant: Tenant(7),
        ..samples::begin(samples::key(key), u128::from(owner))
    }
}

fn token(key: u8, owner: u8) -> Token {
    Token {
        key: samples::key(key),
        epoch: 1,
        owner: Owner(u128::from(owner)),
    }
}

fn completed(body: u8) -> Settlement {
    Settlement::Completed(samples::completion(&vec![body; usize::from(body)]))
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
    let found = store.get(samples::key(key)).await.unwrap();
    found.map(|record| record.phase)
}

fn key_of(server: &Server, key: u8) -> Vec<u8> {
    server.store().server().record_key(&samples::key(key))
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
