//! A connection that is lost, at every message of every operation, by the server's hand, by a firewall's, and by the caller's own (a
//! future dropped at each of its awaits).
//!
//! Whatever is lost: the operation happened whole or not at all; an error that says that it did not is right; and whoever asks again
//! because the answer was lost is answered as if nothing had been lost (when it had not happened) or as whoever asks twice (when it had):
//! `Acquired` with the same token, `Held`, `AlreadyApplied`.

mod operations;

use crate::proxy::{Loss, Proxy};
use crate::server::{SAFE, Server, at, patient_settings, prefix};
use operations::Operation;
use std::time::Duration;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{IdempotencyStore, RecordKey};
use tollgate_redis::{Failure, Redis};
use tollgate_testkit::fault::cancel_after;
use tollgate_testkit::operations::Kind;

/// A private server (other tests' scripts would be flushed from a shared one), and a proxy before it.
struct World {
    server: Server,
    proxy: Proxy,
}

/// A store that always reaches the server, one that goes through the proxy, and a look past both.
struct Run<'w> {
    world: &'w World,
    direct: Redis,
    proxied: Redis,
    prefix: String,
    patience: Duration,
}

impl World {
    async fn new() -> Self {
        let server = Server::start(&SAFE);
        let proxy = Proxy::before(server.port()).await;
        Self { server, proxy }
    }

    /// An empty prefix, with what comes before the operation. Silence is found out after `patience`.
    async fn prepare(&self, operation: &Operation, patience: Duration) -> Run<'_> {
        let prefix = prefix();
        let direct = at(&self.server.url(), &prefix).await;
        let settings = patient_settings().prefix(&prefix).response_timeout(patience);
        // a machine that is busy may take longer than that to connect
        let url = self.proxy.url();
        let proxied = eventually(|| Redis::connect(&url, settings.clone())).await;
        operation.prepare(&direct).await.unwrap();
        // what lapses at once has lapsed
        tokio::time::sleep(Duration::from_millis(2)).await;
        Run {
            world: self,
            direct,
            proxied,
            prefix,
            patience,
        }
    }
}

/// No loss but silence waits for a time-out, so it may be long: a slow disk is not a loss.
const PATIENT: Duration = Duration::from_secs(30);
/// Longer than a machine usually takes for an answer, and short enough to wait for it often. Where it took longer, that was no loss of
/// ours: it is tried again with more, up to [`PATIENT`].
const SOON: Duration = Duration::from_millis(700);

/// What it comes to at last.
async fn eventually<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    mut ask: impl FnMut() -> F,
) -> T {
    for _ in 0..200 {
        if let Ok(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    ask().await.unwrap()
}

impl Run<'_> {
    /// Everything that stands under the prefix.
    fn state(&self) -> String {
        let mut connection = self.world.server.connection();
        let mut keys: Vec<String> = redis::cmd("KEYS")
            .arg(format!("{{{}}}:*", self.prefix))
            .query(&mut connection)
            .unwrap();
        keys.sort_unstable();
        let mut state = String::new();
        for key in keys {
            let kind: String = redis::cmd("TYPE").arg(&key).query(&mut connection).unwrap();
            let ask = match &kind[..] {
                "hash" => redis::cmd("HGETALL").arg(&key).to_owned(),
                "zset" => redis::cmd("ZRANGE")
                    .arg(&key)
                    .arg(0)
                    .arg(-1)
                    .arg("WITHSCORES")
                    .to_owned(),
                "list" => redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).to_owned(),
                _ => redis::cmd("GET").arg(&key).to_owned(),
            };
            let value: redis::Value = ask.query(&mut connection).unwrap();
            let value = format!("{value:?}").replace(&self.prefix, "");
            let expires: i64 = redis::cmd("PEXPIRETIME")
                .arg(&key)
                .query(&mut connection)
                .unwrap();
            state.push_str(&format!("{} {value} {expires}\n", key.replace(&self.prefix, "")));
        }
        state
    }
}

/// Without the instants, and durations counted from them: they differ from run to run.
fn timeless(text: &str) -> String {
    let text = dateless(text);
    let mut shown = String::new();
    for word in text.split_inclusive(|c: char| !(c.is_ascii_digit() || c == '.')) {
        let digits = word
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .count();
        if digits > 9 || word[..digits].contains('.') {
            shown.push('#');
            shown.push_str(&word[digits..]);
        } else {
            shown.push_str(word);
        }
    }
    shown
}

/// An RFC 3339 instant goes as a whole: its long fraction alone would leave the minute, and a run may cross one.
fn dateless(text: &str) -> String {
    const LENGTH: usize = "2026-01-01T00:00:00.000000Z".len();
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('T') {
        let start = at.checked_sub("2026-01-01".len());
        match start.and_then(|start| rest.get(start..start + LENGTH)) {
            Some(instant) if instant.starts_with("20") && instant.ends_with('Z') => {
                shown.push_str(&rest[..at - "2026-01-01".len()]);
                shown.push('#');
                rest = &rest[at - "2026-01-01".len() + LENGTH..];
            }
            _ => {
                shown.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
    }
    shown + rest
}

#[test]
fn a_minute_that_passes_is_no_difference() {
    let at =
        |minute| format!("Unresolved {{ phase: Taken, since: 2026-11-21T11:{minute}:07.123456Z, T: 3 }}");
    assert_eq!(timeless(&at(52)), timeless(&at(53)));
    assert_eq!(timeless(&at(52)), "Unresolved { phase: Taken, since: #, T: 3 }");
}

/// The answer to the first time, the state after it, and the same of the second time.
async fn reference(world: &World, operation: &Operation) -> [(String, String); 2] {
    let run = world.prepare(operation, PATIENT).await;
    let before = run.state();
    let mut found = Vec::new();
    for _ in 0..2 {
        let answer = operation.ask(&run.direct).await.unwrap();
        found.push((timeless(&answer), timeless(&run.state())));
    }
    assert_eq!(
        before != run.state(),
        operation.kind.writes(),
        "{}: a change is a change",
        operation.name
    );
    found.try_into().unwrap()
}

/// What the store says when it has waited long enough, whoever is to blame.
fn is_lost(error: &StoreError) -> bool {
    let source = std::error::Error::source(error);
    source.and_then(|source| source.downcast_ref()) == Some(&Failure::Lost)
}

/// The machine did not answer in time, and that was nobody's plan.
#[derive(Debug)]
struct Late;

/// After something was lost: asks again, and expects what it has to be.
async fn check(
    run: &Run<'_>,
    operation: &Operation,
    before: &str,
    expected: &[(String, String); 2],
    what: &str,
) -> Result<(), Late> {
    let happened = run.state() != before;
    if happened {
        assert_eq!(
            timeless(&run.state()),
            expected[0].1,
            "{what}: whole or not at all"
        );
    }
    let (answer, state) = &expected[usize::from(happened)];
    let again = match operation.ask(&run.proxied).await {
        Ok(again) => again,
        Err(error) if is_lost(&error) && run.patience < PATIENT => return Err(Late),
        Err(error) => panic!("{what}: the connection does not come back: {error:?}"),
    };
    assert_eq!(timeless(&again), *answer, "{what}, happened: {happened}");
    assert_eq!(timeless(&run.state()), *state, "{what}, happened: {happened}");
    Ok(())
}

/// Loses this, at every message of the operation; how often it did.
async fn lose(world: &World, operation: &Operation, loss: Loss, unknown_scripts: bool) -> usize {
    let expected = reference(world, operation).await;
    let mut patience = match loss {
        Loss::SilentRequest | Loss::SilentAnswer => SOON,
        _ => PATIENT,
    };
    let mut number = 0;
    loop {
        let run = world.prepare(operation, patience).await;
        match lose_one(&run, operation, loss, number, unknown_scripts, &expected).await {
            Ok(true) => number += 1,
            Ok(false) => return number,
            Err(Late) => patience = (patience * 4).min(PATIENT),
        }
    }
}

/// Loses this at one message. Whether there was one with this number.
async fn lose_one(
    run: &Run<'_>,
    operation: &Operation,
    loss: Loss,
    number: usize,
    unknown_scripts: bool,
    expected: &[(String, String); 2],
) -> Result<bool, Late> {
    let world = run.world;
    let before = run.state();
    let what = format!(
        "{}: {loss:?} {number}, unknown scripts: {unknown_scripts}",
        operation.name
    );
    if unknown_scripts {
        world.server.tell("SCRIPT FLUSH");
    }
    world.proxy.lose(loss, number);
    let found = operation.ask(&run.proxied).await;
    let has_lost = world.proxy.has_lost();
    let error = match found {
        Ok(answer) if !has_lost => {
            assert_eq!(timeless(&answer), expected[0].0, "{what}");
            return Ok(false);
        }
        // a connection that was given up while it was made may have said a last word, and that was lost
        Ok(_) if run.patience < PATIENT => return Err(Late),
        Ok(answer) => panic!("{what}: {answer:?} although it was lost"),
        Err(error) if !has_lost && is_lost(&error) && run.patience < PATIENT => return Err(Late),
        Err(error) => error,
    };
    assert!(has_lost && is_lost(&error), "{what}: {error:?}");
    let happened = run.state() != before;
    assert!(
        error.may_have_happened() || !happened,
        "{what}: it said that nothing was written"
    );
    assert!(
        operation.kind != Kind::Reads || !error.may_have_happened(),
        "{what}: a question that only reads leaves no doubt"
    );
    let arrived = matches!(loss, Loss::Answer | Loss::HalfAnswer | Loss::SilentAnswer);
    assert!(
        arrived || !happened || number > 0,
        "{what}: a request that did not arrive was carried out"
    );
    check(run, operation, &before, expected, &what).await?;
    Ok(true)
}

/// Every operation, a few at a time, each few with a server of their own.
async fn lose_everywhere(losses: &'static [Loss]) {
    let mut operations = operations::all();
    let mut few = tokio::task::JoinSet::new();
    while !operations.is_empty() {
        let some = operations.split_off(operations.len().saturating_sub(7));
        few.spawn(async move {
            let world = World::new().await;
            for operation in some {
                for &loss in losses {
                    let known = lose(&world, &operation, loss, false).await;
                    assert!(known >= 1, "{}: it asks at least once", operation.name);
                    let unknown = lose(&world, &operation, loss, true).await;
                    assert!(
                        unknown >= known,
                        "{}: an unknown script costs more",
                        operation.name
                    );
                }
            }
        });
    }
    while let Some(done) = few.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_before_the_request() {
    lose_everywhere(&[Loss::Request, Loss::HalfRequest]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_before_the_answer() {
    lose_everywhere(&[Loss::Answer, Loss::HalfAnswer]).await;
}

/// Seen in the driver: a connection that stays open and says nothing was kept for a quarter of an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent() {
    lose_everywhere(&[Loss::SilentRequest, Loss::SilentAnswer]).await;
}

/// A future that is dropped at any of its awaits: the operation happened whole or not at all, and the store goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_future_that_is_dropped() {
    let world = World::new().await;
    for operation in operations::all() {
        let expected = reference(&world, &operation).await;
        // an answer that comes within the very first poll leaves no await to drop it at: then once more
        let mut places = 0;
        for _ in 0..50 {
            places = places.max(drop_everywhere(&world, &operation, &expected).await);
            if places >= 2 {
                break;
            }
        }
        assert!(
            places >= 2,
            "{}: before it began, and at its await",
            operation.name
        );
    }
}

/// Drops the operation after no poll, one poll and so on until it ends before; how often it was dropped.
async fn drop_everywhere(world: &World, operation: &Operation, expected: &[(String, String); 2]) -> usize {
    for polls in 0.. {
        let run = world.prepare(operation, PATIENT).await;
        let before = run.state();
        let found = cancel_after(polls, operation.ask(&run.proxied)).await;
        if let Some(answer) = found {
            assert_eq!(timeless(&answer.unwrap()), expected[0].0, "{}", operation.name);
            return polls;
        }
        // on one connection answers come in order: what was sent is done once this is answered
        let marker = RecordKey::new([0xff; 32]);
        let asked = IdempotencyStore::get(&run.proxied, marker).await;
        assert_eq!(asked.unwrap(), None);
        let what = format!("{}: dropped after {polls} polls", operation.name);
        check(&run, operation, &before, expected, &what).await.unwrap();
    }
    unreachable!("a range without an end")
}

/// Nobody listens there any more: it is certain that nothing was sent, and once the server is back the store goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_leaves_no_doubt() {
    let mut world = World::new().await;
    for operation in operations::all() {
        let run = world.prepare(&operation, PATIENT).await;
        let store = run.direct.clone();
        let before = run.state();
        let run_prefix = run.prefix.clone();
        drop(run);
        world.server.kill();
        // the first may find out that the connection is gone by using it
        let _ = operation.ask(&store).await;
        let error = operation.ask(&store).await.unwrap_err();
        assert!(!error.may_have_happened(), "{}: {error:?}", operation.name);
        world.server.restart();
        let run = Run {
            world: &world,
            direct: store.clone(),
            proxied: store,
            prefix: run_prefix,
            patience: PATIENT,
        };
        assert_eq!(run.state(), before, "{}: nothing was written", operation.name);
        // it looks for the server now and then
        eventually(|| operation.ask(&run.direct)).await;
    }
}
