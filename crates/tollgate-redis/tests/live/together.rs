//! Steps that wait at the same moment, in one script: asked as callers ask, at the same time.

use crate::proxy::{Loss, Proxy};
use crate::sample::{answer, begin};
use crate::server::{SAFE, Server, at, patient_settings, prefix};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tollgate_core::store::StoreErrorKind;
use tollgate_core::store::idempotency::{
    Begin, Begun, IdempotencyStore, Owner, Phase, RecordKey, Settled, Token,
};
use tollgate_redis::Redis;
use tollgate_testkit::linear::{explain, overlaps, together};

/// All of them at the same time, each in a task of its own; the answers in the order of the questions.
async fn at_once<A: Send + 'static, F>(asked: impl IntoIterator<Item = F>) -> Vec<A>
where
    F: Future<Output = A> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (place, asked) in asked.into_iter().enumerate() {
        tasks.spawn(async move { (place, asked.await) });
    }
    let mut answers: Vec<_> = tasks.join_all().await;
    answers.sort_unstable_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// How often the server ran a command so far, whoever gave it.
fn calls(server: &Server, command: &str) -> u64 {
    let about: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut server.connection())
        .unwrap();
    let start = format!("cmdstat_{command}:calls=");
    about
        .lines()
        .find_map(|line| line.strip_prefix(&start)?.split(',').next()?.parse().ok())
        .unwrap_or(0)
}

/// Batches of begins, batches of settlements: nothing else gives these commands.
fn batches(server: &Server) -> (u64, u64) {
    (calls(server, "msetnx"), calls(server, "mget"))
}

/// As many scripts as there are calls would be four hundred, and as many again for the settlements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_few_scripts_and_each_key_has_one_winner() {
    const KEYS: u32 = 80;
    const OWNERS: u128 = 5;
    let server = Server::start(&SAFE);
    let store = at(&server.url(), &prefix()).await;
    let claims: Vec<_> = (0..KEYS)
        .flat_map(|key| {
            (1..=OWNERS).map(move |owner| Begin {
                owner: Owner(owner),
                ..begin(key)
            })
        })
        .collect();
    let begun = at_once(claims.iter().map(|claim| store.begin(*claim))).await;
    let mut winners: HashMap<RecordKey, Token> = HashMap::new();
    for (claim, begun) in claims.iter().zip(begun) {
        match begun.unwrap() {
            Begun::Acquired(token) => {
                assert_eq!((token.epoch, token.owner), (1, claim.owner));
                assert!(winners.insert(claim.key, token).is_none(), "two winners");
            }
            Begun::InFlight { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(winners.len(), 80, "each key has a winner");
    // everybody says that it is done, whoever it is
    let ends = claims.iter().map(|claim| {
        let token = Token {
            owner: claim.owner,
            ..winners[&claim.key]
        };
        store.settle(token, &answer(30))
    });
    let settled = at_once(ends).await;
    for (claim, settled) in claims.iter().zip(settled) {
        match settled.unwrap() {
            Settled::Applied => assert_eq!(winners[&claim.key].owner, claim.owner),
            Settled::Fenced(_) => assert_ne!(winners[&claim.key].owner, claim.owner),
            other => panic!("{other:?}"),
        }
    }
    let again = at_once(claims.iter().map(|claim| store.begin(*claim))).await;
    assert!(again.iter().all(|begun| matches!(begun, Ok(Begun::Replay(_)))));
    let (begins, settlements) = batches(&server);
    assert!((1..=160).contains(&begins), "{begins} batches of begins");
    assert!(
        (1..=80).contains(&settlements),
        "{settlements} batches of settlements"
    );
}

/// What is larger than a batch may be goes in several, and what is larger than any goes all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_are_written_whole() {
    let server = Server::start(&SAFE);
    let store = at(&server.url(), &prefix()).await;
    let claims: Vec<_> = (0..60).map(begin).collect();
    let begun = at_once(claims.iter().map(|claim| store.begin(*claim))).await;
    let ends = begun.into_iter().enumerate().map(|(number, begun)| {
        let Ok(Begun::Acquired(token)) = begun else {
            panic!("{begun:?}");
        };
        // up to 600 kB
        store.settle(token, &answer(number * 10_000))
    });
    let settled = at_once(ends).await;
    assert!(
        settled
            .iter()
            .all(|settled| matches!(settled, Ok(Settled::Applied)))
    );
    for (number, claim) in claims.iter().enumerate() {
        let Begun::Replay(answer) = store.begin(*claim).await.unwrap() else {
            panic!("{number} is not there");
        };
        assert_eq!(answer.envelope.unwrap().body.len(), number * 10_000);
    }
}

/// No memory left: each is refused, with its own reason, nothing of it stays, and what is there can still be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_memory_refuses_each() {
    let server = Server::start(&SAFE);
    let store = at(&server.url(), &prefix()).await;
    let Begun::Acquired(token) = store.begin(begin(0)).await.unwrap() else {
        panic!("the key is free");
    };
    store.settle(token, &answer(10)).await.unwrap();
    let Begun::Acquired(armed) = store.begin(begin(1)).await.unwrap() else {
        panic!("the key is free");
    };
    server.tell("CONFIG SET maxmemory 1");
    let claims: Vec<_> = (0..20).map(begin).collect();
    let begun = at_once(claims.iter().map(|claim| store.begin(*claim))).await;
    for (claim, begun) in claims.iter().zip(begun) {
        match begun {
            Ok(Begun::Replay(_)) => assert_eq!(claim.key, token.key),
            // its own claim
            Ok(Begun::Acquired(held)) => assert_eq!(held, armed),
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert_eq!(
                    (error.kind(), error.may_have_happened()),
                    (StoreErrorKind::Full, false)
                );
                assert_eq!(store.get(claim.key).await.unwrap(), None);
            }
        }
    }
    let ends = (0..5).map(|_| store.settle(armed, &answer(10)));
    for settled in at_once(ends).await {
        let error = settled.unwrap_err();
        assert_eq!(
            (error.kind(), error.may_have_happened()),
            (StoreErrorKind::Full, false)
        );
    }
    let record = store.get(armed.key).await.unwrap().unwrap();
    assert_eq!(record.phase, Phase::Armed, "the money has moved");
    server.tell("CONFIG SET maxmemory 0");
    let settled = at_once((0..5).map(|_| store.settle(armed, &answer(10)))).await;
    let applied = settled
        .iter()
        .filter(|settled| matches!(settled, Ok(Settled::Applied)));
    assert_eq!(applied.count(), 1, "{settled:?}");
}

/// The scripts are forgotten over and over, while batches are on their way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_go_by_text_to_a_server_that_forgot_them() {
    let server = Server::start(&SAFE);
    let store = at(&server.url(), &prefix()).await;
    for round in 0..20 {
        server.tell("SCRIPT FLUSH");
        let claims = (0..12).map(|key| begin(100 * round + key));
        let begun = at_once(claims.map(|claim| store.begin(claim))).await;
        server.tell("SCRIPT FLUSH");
        let tokens = begun.into_iter().map(|begun| match begun {
            Ok(Begun::Acquired(token)) => token,
            other => panic!("{other:?}"),
        });
        let settled = at_once(tokens.map(|token| store.settle(token, &answer(1)))).await;
        assert!(
            settled
                .iter()
                .all(|settled| matches!(settled, Ok(Settled::Applied)))
        );
    }
    let (begins, settlements) = batches(&server);
    assert!(
        begins >= 20 && settlements >= 20,
        "{begins}, {settlements} batches"
    );
    assert!(calls(&server, "eval") >= 40, "each time, what was forgotten");
}

/// Loses this at the message that brings a batch, or brings its answers: everybody in it is in doubt, it happened whole or not at all,
/// and whoever asks again is told as if nothing had been lost. Whether it was a batch that was lost: who comes first may go alone, and
/// the others may come too late to make one.
async fn lose(server: &Server, proxy: &Proxy, loss: Loss, number: usize) -> bool {
    let prefix = prefix();
    let direct = at(&server.url(), &prefix).await;
    let settings = patient_settings()
        .prefix(&prefix)
        .response_timeout(Duration::from_secs(3));
    let proxied = Redis::connect(&proxy.url(), settings).await.unwrap();
    // so that the scripts are known, and each costs one message
    let known = (0..8).map(|key| proxied.begin(begin(100 + key)));
    assert!(at_once(known).await.iter().all(Result::is_ok));
    proxy.lose(loss, number);
    let claims: Vec<_> = (0..12).map(begin).collect();
    let begun = at_once(claims.iter().map(|claim| proxied.begin(*claim))).await;
    let lost = begun.iter().filter(|begun| begun.is_err()).count();
    assert_eq!(proxy.has_lost(), lost > 0, "{loss:?}");
    let mut written = 0;
    for (claim, begun) in claims.iter().zip(&begun) {
        let there = direct.get(claim.key).await.unwrap().is_some();
        match begun {
            Ok(begun) => assert!(there && matches!(begun, Begun::Acquired(_))),
            Err(error) => {
                assert!(error.may_have_happened(), "{loss:?}: {error:?}");
                written += usize::from(there);
            }
        }
    }
    let arrived = matches!(loss, Loss::Answer | Loss::HalfAnswer | Loss::SilentAnswer);
    let expected = if arrived { lost } else { 0 };
    assert_eq!(written, expected, "{loss:?}: whole or not at all");
    for claim in claims {
        let token = Token {
            key: claim.key,
            epoch: 1,
            owner: claim.owner,
        };
        let again = proxied.begin(claim).await.unwrap();
        assert_eq!(again, Begun::Acquired(token), "{loss:?}");
    }
    lost >= 2
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_lost_in_a_batch_leaves_all_of_it_in_doubt() {
    let server = Server::start(&SAFE);
    let proxy = Proxy::before(server.port()).await;
    for loss in [
        Loss::Request,
        Loss::HalfRequest,
        Loss::Answer,
        Loss::HalfAnswer,
        Loss::SilentRequest,
        Loss::SilentAnswer,
    ] {
        let mut met = false;
        for number in [0, 1].into_iter().cycle().take(40) {
            met = met || lose(&server, &proxy, loss, number).await;
        }
        assert!(met, "{loss:?}: there never was a batch");
    }
}

/// Clients of one store, whose steps go together where they meet: the rule explains what each was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_one_store_are_explained_by_the_rule() {
    let server = Server::start(&SAFE);
    let mut met = 0;
    for seed in 0..400 {
        // one record each, so that a sweep is a sweep of that one
        let store = Arc::new(at(&server.url(), &prefix()).await);
        let told = together(seed, 40, vec![store; 8]).await;
        assert_eq!(explain(&told), Ok(()), "seed {seed}");
        met += usize::from(overlaps(&told) > 50);
        let (begins, settlements) = batches(&server);
        // most settlements are not of the kind that goes together
        if met > 20 && begins > 100 && settlements > 10 {
            return;
        }
    }
    panic!(
        "in only {met} histories did operations overlap; {:?} batches",
        batches(&server)
    );
}
