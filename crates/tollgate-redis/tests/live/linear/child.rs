//! The clients' side: a process with several connections, which says what it was told, line by line.

use super::checker::Event;
use super::history::{Dice, Op, ask};
use crate::server::url;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;
use tollgate_redis::{Redis, Settings};

pub(crate) const PROCESSES: usize = 3;
/// Per process.
pub(crate) const CLIENTS: usize = 2;
pub(crate) const KEYS: usize = 2;
/// Per client.
pub(crate) const OPS: usize = 60;

const SERVER: &str = "TOLLGATE_CHILD_SERVER";
const PREFIX: &str = "TOLLGATE_CHILD_PREFIX";
const SEED: &str = "TOLLGATE_CHILD_SEED";
const NUMBER: &str = "TOLLGATE_CHILD_NUMBER";
const SAFE: &str = "TOLLGATE_CHILD_SAFE";

pub(crate) struct Child {
    process: std::process::Child,
    ears: JoinHandle<()>,
}

impl Child {
    pub(crate) fn start(
        server: &str,
        prefix: &str,
        seed: u64,
        number: usize,
        safe: bool,
        said: Sender<String>,
    ) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "linear::child_process",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(SERVER, server)
            .env(PREFIX, prefix)
            .env(SEED, seed.to_string())
            .env(NUMBER, number.to_string())
            .env(SAFE, safe.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        let ears = std::thread::spawn(move || {
            for line in lines.lines() {
                if let Some((_, line)) = line.unwrap().split_once('@') {
                    said.send(line.to_owned()).unwrap();
                }
            }
        });
        Self { process, ears }
    }

    pub(crate) fn finish(mut self) {
        let status = self.process.wait().unwrap();
        self.ears.join().unwrap();
        assert!(status.success(), "a child failed: {status}");
    }
}

/// What a client does: the same list in both processes.
fn plan(seed: u64, client: usize) -> Vec<(usize, Op)> {
    let mut dice = Dice(seed << 8 | u64::try_from(client).unwrap());
    (0..OPS)
        .map(|_| {
            (
                usize::try_from(dice.roll(u64::try_from(KEYS).unwrap())).unwrap(),
                dice.op(),
            )
        })
        .collect()
}

/// A line back into an event: its key, its client.
pub(crate) fn parse(line: &str, seed: u64) -> (usize, usize, Event) {
    let parts: Vec<_> = line.splitn(5, '|').collect();
    let number = |at: usize| parts[at].parse::<usize>().unwrap();
    let (client, step) = (number(0), number(1));
    let (key, op) = plan(seed, client)[step];
    let event = Event {
        op,
        from: parts[2].parse().unwrap(),
        to: parts[3].parse().unwrap(),
        answer: parts[4].strip_prefix('=').map(Into::into),
    };
    (key, client, event)
}

pub(crate) fn run() {
    let said = |name| std::env::var(name).unwrap();
    let (server, prefix) = (said(SERVER), said(PREFIX));
    let (seed, number): (u64, usize) = (said(SEED).parse().unwrap(), said(NUMBER).parse().unwrap());
    let safe = said(SAFE) == "true";
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        for client in number * CLIENTS..(number + 1) * CLIENTS {
            let (server, prefix) = (server.clone(), prefix.clone());
            clients.spawn(async move { Client::new(&server, &prefix, safe).await.walk(seed, client).await });
        }
        while let Some(done) = clients.join_next().await {
            done.unwrap();
        }
    });
}

/// One store per record: a prefix of its own, so that a sweep is a sweep of that one.
struct Client {
    stores: Vec<Redis>,
    tickets: MultiplexedConnection,
    counter: String,
}

impl Client {
    async fn new(server: &str, prefix: &str, safe: bool) -> Self {
        let mut stores = Vec::new();
        for key in 0..KEYS {
            let settings = Settings::new().prefix(format!("{prefix}-{key}"));
            let settings = if safe {
                settings
            } else {
                settings.dangerous_may_forget()
            };
            // others are at work already, and the server may be down just now
            stores.push(loop {
                match Redis::connect(server, settings.clone()).await {
                    Ok(store) => break store,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            });
        }
        // drawn from a server that nobody kills
        let tickets = redis::Client::open(url()).unwrap();
        // a slow disk is not a loss
        let patient = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(60)));
        Self {
            stores,
            tickets: tickets
                .get_multiplexed_async_connection_with_config(&patient)
                .await
                .unwrap(),
            counter: format!("{prefix}:tickets"),
        }
    }

    async fn ticket(&mut self) -> u64 {
        let mut draw = redis::cmd("INCR");
        draw.arg(&self.counter)
            .query_async(&mut self.tickets)
            .await
            .unwrap()
    }

    async fn walk(mut self, seed: u64, client: usize) {
        for (step, (key, op)) in plan(seed, client).into_iter().enumerate() {
            let (from, to, answer) = self.told(key, op).await;
            println!("@{client}|{step}|{from}|{to}|{answer}");
        }
    }

    /// Asks until it is answered, or until the answer is lost. What certainly did not happen is asked again.
    async fn told(&mut self, key: usize, op: Op) -> (u64, u64, String) {
        for _ in 0..4000 {
            let from = self.ticket().await;
            let answer = ask(&self.stores[key], op).await;
            let to = self.ticket().await;
            match answer {
                Ok(answer) => return (from, to, format!("={answer}")),
                Err(error) if error.may_have_happened() => return (from, to, "lost".into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        panic!("the server does not come back");
    }
}
