//! Redis: beside a client that writes the same fields in two plain writes, or two trivial scripts, over one connection as ours does.

use crate::Failure;
use crate::guarded::{self, bytes};
use crate::load::{Caller, Contest, Plan, Rates, slice, warm};
use crate::server::{Server, number_after, output_of};
use crate::turns::Turns;
use redis::aio::ConnectionManager;
use tokio::process::Command;
use tollgate_redis::{Redis, Settings};

pub(crate) async fn contest(callers: u32, plan: Plan) -> Result<Contest, Failure> {
    let server = Server::start("redis")?;
    let store = Redis::connect(&server.url, Settings::new().prefix("bench")).await?;
    let connection = ConnectionManager::new(redis::Client::open(server.url.as_str())?).await?;
    let mut ours = warm(guarded::callers(store, callers)?, plan).await?;
    let mut plain = warm(bare(&connection, callers, false).await?, plan).await?;
    let mut scripts = warm(bare(&connection, callers, true).await?, plan).await?;
    let [mut guarded, mut writes, mut evals]: [Rates; 3] = Default::default();
    for _ in 0..plan.rounds {
        ours = slice(ours, plan.slice, &mut guarded).await?;
        plain = slice(plain, plan.slice, &mut writes).await?;
        scripts = slice(scripts, plan.slice, &mut evals).await?;
    }
    let mut ceilings = vec![("two plain writes", writes), ("two trivial scripts", evals)];
    if let Some(rates) = redis_benchmark(&server, callers, plan).await {
        ceilings.push(("redis-benchmark, two writes", rates));
    }
    Ok(Contest {
        store: "Redis",
        callers,
        ours: guarded,
        ceilings,
        round_trips: Some(round_trips(&server).await?),
    })
}

async fn round_trips(server: &Server) -> Result<String, Failure> {
    let address = server.url.trim_start_matches("redis://").to_owned();
    let (relay, turns) = Turns::in_front_of(address).await?;
    let store = Redis::connect(&format!("redis://{relay}"), Settings::new().prefix("bench")).await?;
    let caller = guarded::callers(store, 1)?.remove(0);
    turns.per_call(caller).await
}

/// Writes what ours writes, and guards nothing.
struct Bare {
    connection: ConnectionManager,
    /// The hash of a script that writes what it is given; none for plain writes.
    script: Option<String>,
}

async fn bare(connection: &ConnectionManager, callers: u32, scripted: bool) -> Result<Vec<Bare>, Failure> {
    let script = match scripted {
        true => {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD")
                .arg("return redis.call('HSET', KEYS[1], unpack(ARGV))");
            Some(load.query_async(&mut connection.clone()).await?)
        }
        false => None,
    };
    let caller = |_| Bare {
        connection: connection.clone(),
        script: script.clone(),
    };
    Ok((0..callers).map(caller).collect())
}

impl Bare {
    async fn write(&mut self, key: &[u8], fields: &[(&str, &[u8])]) -> Result<(), Failure> {
        let mut command = match &self.script {
            Some(hash) => redis::cmd("EVALSHA").arg(hash).arg(1).take(),
            None => redis::cmd("HSET"),
        };
        command.arg(key).arg(fields);
        command.query_async::<i64>(&mut self.connection).await?;
        Ok(())
    }
}

impl Caller for Bare {
    async fn call(&mut self) -> Result<(), Failure> {
        let (key, now) = (bytes::fresh_key(), bytes::NOW.to_string());
        let retention = bytes::RETENTION.to_string();
        let begun: [(&str, &[u8]); 8] = [
            ("v", b"1"),
            ("phase", b"armed"),
            ("epoch", b"1"),
            ("owner", &bytes::OWNER),
            ("fingerprint", &bytes::FINGERPRINT),
            ("lease", now.as_bytes()),
            ("retention", retention.as_bytes()),
            ("changed", now.as_bytes()),
        ];
        self.write(&key, &begun).await?;
        let settled: [(&str, &[u8]); 4] = [
            ("phase", b"completed"),
            ("changed", now.as_bytes()),
            ("expires", now.as_bytes()),
            ("body", &bytes::ANSWER),
        ];
        self.write(&key, &settled).await
    }
}

/// The server's own benchmark, a connection per caller: its writes, two for a call.
async fn redis_benchmark(server: &Server, callers: u32, plan: Plan) -> Option<Rates> {
    let port = server.url.rsplit(':').next()?;
    let requests = match plan.rounds {
        1 => 2_000,
        _ => 40_000,
    };
    let mut rates = Rates::default();
    let mut command = Command::new("redis-benchmark");
    command.args([
        "-p",
        port,
        "-q",
        "-r",
        "100000000",
        "-c",
        &callers.to_string(),
        "-n",
        &u32::to_string(&requests),
    ]);
    command
        .args(["HSET", "bare:__rand_int__", "f"])
        .arg("x".repeat(160));
    let text = output_of(&mut command).await?;
    // its last line: "HSET …: 12345.67 requests per second, …"
    let line = text
        .rsplit(['\r', '\n'])
        .find(|line| line.contains("requests per second"))?;
    let (before, _) = line.split_once(" requests per second")?;
    let rate =
        number_after(before, ": ").or_else(|| before.rsplit(' ').next()?.split('.').next()?.parse().ok())?;
    rates.note(rate / 2, std::time::Duration::from_secs(1));
    Some(rates)
}
