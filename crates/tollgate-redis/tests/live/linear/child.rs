//! The clients' side: a process with several connections, which says what it was told, line by line.

use crate::server::{patient, patient_settings, url};
use redis::aio::MultiplexedConnection;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;
use tollgate_redis::Redis;
use tollgate_testkit::linear::{Event, Tickets, plan};

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

/// A line back into an event: its key, its client.
pub(crate) fn parse(line: &str, seed: u64) -> (usize, usize, Event) {
    let parts: Vec<_> = line.splitn(5, '|').collect();
    let number = |at: usize| parts[at].parse::<usize>().unwrap();
    let (client, step) = (number(0), number(1));
    let (key, op) = plan(seed, client, KEYS, OPS)[step];
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
    tickets: Counter,
}

impl Client {
    async fn new(server: &str, prefix: &str, safe: bool) -> Self {
        let mut stores = Vec::new();
        for key in 0..KEYS {
            let settings = patient_settings().prefix(format!("{prefix}-{key}"));
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
        let server = redis::Client::open(url()).unwrap();
        let connection = server
            .get_multiplexed_async_connection_with_config(&patient())
            .await
            .unwrap();
        let name = format!("{prefix}:tickets");
        Self {
            stores,
            tickets: Counter { connection, name },
        }
    }

    async fn walk(mut self, seed: u64, client: usize) {
        for (step, (key, op)) in plan(seed, client, KEYS, OPS).into_iter().enumerate() {
            let event = Event::record(&self.stores[key], op, &mut self.tickets).await;
            let answer = event.answer.map_or("lost".into(), |answer| format!("={answer}"));
            println!("@{client}|{step}|{}|{}|{answer}", event.from, event.to);
        }
    }
}

/// Drawn from a server that nobody kills.
struct Counter {
    connection: MultiplexedConnection,
    name: String,
}

impl Tickets for Counter {
    async fn draw(&mut self) -> u64 {
        let mut draw = redis::cmd("INCR");
        draw.arg(&self.name)
            .query_async(&mut self.connection)
            .await
            .unwrap()
    }
}
