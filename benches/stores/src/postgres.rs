//! PostgreSQL: beside a client that does the same two writes with prepared statements, each its own commit, and beside pgbench with those
//! statements. As many connections as callers, everywhere.

use crate::Failure;
use crate::guarded::{self, bytes};
use crate::load::{Caller, Contest, Plan, Rates, slice, warm};
use crate::server::{Server, number_after, output_of};
use crate::turns::Turns;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::path::Path;
use tokio::process::Command;
use tollgate_postgres::{Postgres, Settings};

/// The store's columns and its primary key, and nothing else.
const TABLE: &str = "create table if not exists bare (key bytea primary key, phase text not null, epoch bigint not null, owner bytea not null, \
     fingerprint bytea not null, tenant bigint not null, lease_until bigint not null, expires_at bigint, retention bigint not null, changed_at bigint not null, \
     answer_body bytea)";

/// The two writes, to a table.
#[derive(Clone, Copy)]
struct Statements {
    insert: &'static str,
    update: &'static str,
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            insert: concat!(
                "insert into ",
                $table,
                " (key, phase, epoch, owner, fingerprint, tenant, lease_until, retention, changed_at) \
                 values ($1, 'armed', 1, $2, $3, 0, $4, $5, $4)"
            ),
            update: concat!(
                "update ",
                $table,
                " set phase = 'completed', changed_at = $2, expires_at = $2, answer_body = $3 where key = $1"
            ),
        }
    };
}

/// A table without indexes beside its key.
const BARE: Statements = statements!("bare");

/// The store's own table, with the indexes that operators, sweeper and collector need.
const OWN: Statements = statements!("tollgate.idempotency");

pub(crate) async fn contest(callers: u32, plan: Plan) -> Result<Contest, Failure> {
    let server = Server::start("postgres")?;
    let store = Postgres::connect(&server.url, Settings::new().migrate().max_connections(callers)).await?;
    let mut ours = warm(guarded::callers(store, callers)?, plan).await?;
    let mut bare = warm(connections(&server.url, callers, BARE).await?, plan).await?;
    let [mut guarded, mut writes, mut pgbench, mut indexed]: [Rates; 4] = Default::default();
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("two-statements.sql");
    std::fs::write(&script, for_pgbench())?;
    for _ in 0..plan.rounds {
        ours = slice(ours, plan.slice, &mut guarded).await?;
        bare = slice(bare, plan.slice, &mut writes).await?;
        bare.iter_mut().for_each(|caller| caller.statements = OWN);
        bare = slice(bare, plan.slice, &mut indexed).await?;
        bare.iter_mut().for_each(|caller| caller.statements = BARE);
        if let Some(rate) = run_pgbench(&server.url, &script, callers, plan).await {
            pgbench.note(rate, std::time::Duration::from_secs(1));
        }
    }
    Ok(Contest {
        store: "PostgreSQL",
        callers,
        ours: guarded,
        ceilings: vec![
            ("two statements", writes),
            ("two statements, the store's indexes", indexed),
            ("pgbench, no indexes", pgbench),
        ],
        round_trips: Some(round_trips(&server.url).await?),
    })
}

async fn round_trips(url: &str) -> Result<String, Failure> {
    let options: PgConnectOptions = url.parse()?;
    let (relay, turns) = Turns::in_front_of(format!("{}:{}", options.get_host(), options.get_port())).await?;
    let port = relay.rsplit(':').next().unwrap_or_default().parse()?;
    let store = Postgres::connect_with(options.host("127.0.0.1").port(port), Settings::new()).await?;
    let caller = guarded::callers(store, 1)?.remove(0);
    turns.per_call(caller).await
}

/// A connection that does the two writes.
struct Bare {
    connection: PgConnection,
    statements: Statements,
}

async fn connections(url: &str, callers: u32, statements: Statements) -> Result<Vec<Bare>, Failure> {
    let options: PgConnectOptions = url.parse()?;
    let mut connections = Vec::new();
    for number in 0..callers {
        let mut connection = options.connect().await?;
        if number == 0 {
            sqlx::query(TABLE).execute(&mut connection).await?;
        }
        connection.ping().await?;
        connections.push(Bare {
            connection,
            statements,
        });
    }
    Ok(connections)
}

impl Caller for Bare {
    async fn call(&mut self) -> Result<(), Failure> {
        let key = bytes::fresh_key();
        sqlx::query(self.statements.insert)
            .bind(&key[..])
            .bind(&bytes::OWNER[..])
            .bind(&bytes::FINGERPRINT[..])
            .bind(bytes::NOW)
            .bind(bytes::RETENTION)
            .execute(&mut self.connection)
            .await?;
        sqlx::query(self.statements.update)
            .bind(&key[..])
            .bind(bytes::NOW)
            .bind(&bytes::ANSWER[..])
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

/// The same two statements, with values that pgbench can make: each a transaction of its own, since there is no `begin`.
fn for_pgbench() -> String {
    let hex = |bytes: &[u8]| tollgate_core::id::hex(bytes);
    let key = "decode(md5(:a::text) || md5(:b::text), 'hex')";
    let (owner, fingerprint) = (hex(&bytes::OWNER), hex(&bytes::FINGERPRINT));
    let (now, retention, answer) = (bytes::NOW, bytes::RETENTION, hex(&bytes::ANSWER));
    format!(
        "\\set a random(1, 9000000000000000000)\n\\set b random(1, 9000000000000000000)\n\
         insert into bare (key, phase, epoch, owner, fingerprint, tenant, lease_until, retention, changed_at) \
         values ({key}, 'armed', 1, '\\x{owner}', '\\x{fingerprint}', 0, {now}, {retention}, {now});\n\
         update bare set phase = 'completed', changed_at = {now}, expires_at = {now}, answer_body = '\\x{answer}' where key = {key};\n"
    )
}

async fn run_pgbench(url: &str, script: &Path, callers: u32, plan: Plan) -> Option<u64> {
    let seconds = plan.slice.as_secs().max(1).to_string();
    let mut command = Command::new("pgbench");
    command.args(["-n", "-M", "prepared", "-T", &seconds, "-c", &callers.to_string()]);
    command
        .args(["-j", &callers.min(2).to_string(), "-f"])
        .arg(script)
        .arg(url);
    number_after(&output_of(&mut command).await?, "tps = ")
}
