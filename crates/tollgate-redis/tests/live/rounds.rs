//! What a guarded call costs: two commands, two round trips.

use crate::sample;
use crate::server::{SAFE, Server, at, prefix};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Held, IdempotencyStore, Settled, Settlement,
};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::{Secret, Secrets};
use tollgate_redis::cache::{CacheSettings, CompletedCache};

/// Hears every command that clients send; not those that scripts give.
struct Monitor(BufReader<TcpStream>);

impl Monitor {
    async fn on(server: &Server) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut monitor = Self(BufReader::new(stream));
        assert_eq!(monitor.line().await, "+OK");
        monitor
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// The names of the commands since it was last asked.
    async fn heard(&mut self, server: &Server) -> Vec<String> {
        server.tell("ECHO enough");
        let mut names = Vec::new();
        loop {
            // +1700000000.000000 [0 127.0.0.1:40000] "EVALSHA" "…"
            let line = self.line().await;
            if line.contains("\"ECHO\" \"enough\"") {
                return names;
            }
            let name = line.split('"').nth(1).unwrap().to_ascii_uppercase();
            if !line.contains(" lua] ") && name != "CLIENT" {
                names.push(name);
            }
        }
    }
}

fn begin(key: u32, arm: bool) -> Begin {
    Begin {
        arm,
        ..sample::begin(key)
    }
}

fn done() -> Settlement {
    Settlement::Completed(Completion {
        executed: true,
        envelope: None,
    })
}

/// Begins, arms if asked to, and settles.
async fn guarded(store: &impl IdempotencyStore, key: u32, arm_at_begin: bool) {
    let Begun::Acquired(token) = store.begin(begin(key, arm_at_begin)).await.unwrap() else {
        panic!("the key is free")
    };
    if !arm_at_begin {
        assert_eq!(
            store.arm(token, Duration::from_secs(60)).await.unwrap(),
            Held::Held
        );
    }
    assert_eq!(store.settle(token, &done()).await.unwrap(), Settled::Applied);
}

#[tokio::test]
async fn a_guarded_call_is_two_commands() {
    let server = Server::start(&SAFE);
    let store = at(&server.url(), &prefix()).await;
    let mut monitor = Monitor::on(&server).await;
    guarded(&store, 1, true).await;
    assert_eq!(
        monitor.heard(&server).await,
        ["EVALSHA", "EVAL", "EVALSHA", "EVAL"],
        "a new server learns each script once"
    );
    guarded(&store, 2, true).await;
    assert_eq!(monitor.heard(&server).await, ["EVALSHA"; 2]);
    server.tell("SCRIPT FLUSH");
    monitor.heard(&server).await;
    guarded(&store, 3, true).await;
    assert_eq!(
        monitor.heard(&server).await,
        ["EVALSHA", "EVAL", "EVALSHA", "EVAL"]
    );
    guarded(&store, 4, true).await;
    assert_eq!(monitor.heard(&server).await, ["EVALSHA"; 2]);

    guarded(&store, 5, false).await;
    monitor.heard(&server).await;
    guarded(&store, 6, false).await;
    assert_eq!(
        monitor.heard(&server).await,
        ["EVALSHA"; 3],
        "one more to arm apart"
    );
    let replay = store.begin(begin(6, true)).await.unwrap();
    assert!(matches!(replay, Begun::Replay(_)));
    assert_eq!(monitor.heard(&server).await, ["EVALSHA"], "a repeat is one");
}

/// In front of another store: one question before, and the answer once.
#[tokio::test]
async fn the_cache_asks_once_and_keeps_once() {
    let server = Server::start(&[]);
    let secrets = Secrets::new(&Secret::new(vec![7; 32])).unwrap();
    let store = CompletedCache::connect(
        MemoryIdempotency::new(),
        &server.url(),
        &secrets,
        // a cache that was late is asked no more for a while: here it may be late
        CacheSettings::new().patience(Duration::from_secs(30)),
    )
    .await
    .unwrap();
    let mut monitor = Monitor::on(&server).await;
    guarded(&store, 1, true).await;
    assert_eq!(monitor.heard(&server).await, ["TIME", "GET", "SET"]);
    let replay = store.begin(begin(1, true)).await.unwrap();
    assert!(matches!(replay, Begun::Replay(_)));
    assert_eq!(monitor.heard(&server).await, ["TIME", "GET"]);
}
