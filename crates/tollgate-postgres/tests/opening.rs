//! Which databases are taken, what is made of an empty one, and what happens when several processes do that at once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use sqlx::{AssertSqlSafe, Connection, Row};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use support::{Database, block_on};
use tollgate_core::store::StoreErrorKind;
use tollgate_core::store::audit::AuditStore;
use tollgate_postgres::{OpenError, Postgres, Settings};
use tollgate_testkit::fault::cancel_after;

async fn scalar<T>(database: &Database, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let mut connection = database.connection().await;
    let row = sqlx::query(AssertSqlSafe(sql.to_owned()))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    row.get(0)
}

async fn open(database: &Database) -> Result<Postgres, OpenError> {
    Postgres::connect(&database.url(), Settings::new()).await
}

async fn migrate(database: &Database) -> Result<Postgres, OpenError> {
    Postgres::connect(&database.url(), Settings::new().migrate()).await
}

/// Every table is there once, at one version.
async fn assert_migrated_once(database: &Database) {
    let versions = "select string_agg(version::text, ',') from tollgate.migration";
    assert_eq!(scalar::<String>(database, versions).await, "1");
    let store = open(database).await.unwrap();
    let receipt = AuditStore::append(&store, "payments", b"1"[..].into())
        .await
        .unwrap();
    assert_eq!(receipt.seq, 1);
}

#[test]
fn pools_that_migrate_at_once_all_open() {
    block_on(async {
        for _ in 0..3 {
            let database = Database::fresh().await;
            let url = database.url();
            let opening: Vec<_> = (0..8)
                .map(|_| {
                    let url = url.clone();
                    tokio::spawn(async move { Postgres::connect(&url, Settings::new().migrate()).await })
                })
                .collect();
            for opened in opening {
                opened.await.unwrap().unwrap();
            }
            assert_migrated_once(&database).await;
        }
    });
}

const URL: &str = "TOLLGATE_CHILD_URL";

/// A process that waits for a word and then opens the database.
struct Opener {
    process: Child,
    says: BufReader<ChildStdout>,
}

impl Opener {
    fn start(url: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child_process",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(URL, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        let mut opener = Self { process, says };
        assert_eq!(opener.next_line(), "ready");
        opener
    }

    fn next_line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.says.read_line(&mut line).unwrap(), 0, "the child ended");
            if let Some((_, said)) = line.trim_end().split_once('@') {
                return said.to_owned();
            }
        }
    }

    fn go(&mut self) {
        self.process.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
}

#[test]
fn processes_that_migrate_at_once_all_open() {
    let database = block_on(Database::fresh());
    let mut openers: Vec<_> = (0..8).map(|_| Opener::start(&database.url())).collect();
    openers.iter_mut().for_each(Opener::go);
    for mut opener in openers {
        assert_eq!(opener.next_line(), "opened");
        assert!(opener.process.wait().unwrap().success());
    }
    block_on(assert_migrated_once(&database));
}

/// Not a test of its own: what the children of the one before run.
#[test]
#[ignore = "the child's side of another test"]
fn child_process() {
    println!("@ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let url = std::env::var(URL).expect("started by a parent");
    match block_on(Postgres::connect(&url, Settings::new().migrate())) {
        Ok(_) => println!("@opened"),
        Err(error) => println!("@{error}: {:?}", std::error::Error::source(&error)),
    }
}

/// A migration that is dropped at any of its awaits leaves the schema as it was, or whole.
#[test]
fn a_migration_that_is_dropped_leaves_nothing_half_done() {
    block_on(async {
        for polls in 0.. {
            let database = Database::fresh().await;
            let done = cancel_after(polls, migrate(&database)).await.is_some();
            // the server may still be at it
            let tables: i64 = loop {
                let busy = "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle' \
                            and pid <> pg_backend_pid() and backend_type = 'client backend'";
                if scalar::<i64>(&database, busy).await == 0 {
                    let tables = "select count(*) from pg_class where relnamespace = to_regnamespace('tollgate') and relkind = 'r'";
                    break scalar(&database, tables).await;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            };
            assert!(tables == 0 || tables == 9, "{tables} tables after {polls} polls");
            drop(migrate(&database).await.unwrap());
            assert_migrated_once(&database).await;
            if done {
                assert!(polls > 5, "the migration was never cut");
                break;
            }
        }
    });
}

#[test]
fn a_database_without_our_tables_is_not_taken_unasked() {
    block_on(async {
        let database = Database::fresh().await;
        let error = open(&database).await.unwrap_err();
        assert!(
            matches!(error, OpenError::Outdated { found: 0, known: 1 }),
            "{error:?}"
        );
        let schemas = "select count(*) from pg_namespace where nspname = 'tollgate'";
        assert_eq!(scalar::<i64>(&database, schemas).await, 0, "nothing was made");
    });
}

#[test]
fn a_newer_schema_is_refused_by_both_its_numbers() {
    block_on(async {
        let database = Database::fresh().await;
        drop(migrate(&database).await.unwrap());
        database
            .run("insert into tollgate.migration (version) values (41)")
            .await;
        for error in [
            open(&database).await.unwrap_err(),
            migrate(&database).await.unwrap_err(),
        ] {
            assert!(
                matches!(error, OpenError::Newer { found: 41, known: 1 }),
                "{error:?}"
            );
            let says = error.to_string();
            assert!(says.contains("41") && says.contains("knows 1"), "{says}");
        }
    });
}

#[test]
fn somebody_elses_schema_is_left_alone() {
    block_on(async {
        let database = Database::fresh().await;
        database
            .run("create schema tollgate; create table tollgate.bridge (id integer)")
            .await;
        let error = migrate(&database).await.unwrap_err();
        assert!(matches!(error, OpenError::Foreign), "{error:?}");
        let tables = "select count(*) from pg_class where relnamespace = to_regnamespace('tollgate') and relkind = 'r'";
        assert_eq!(scalar::<i64>(&database, tables).await, 1);
    });
}

/// An administrator makes the schema, a role without the right to make one fills it.
#[test]
fn an_empty_schema_is_filled() {
    block_on(async {
        let database = Database::fresh().await;
        database.run("create schema tollgate").await;
        drop(migrate(&database).await.unwrap());
        assert_migrated_once(&database).await;
    });
}

#[test]
fn what_a_crash_would_empty_is_refused() {
    block_on(async {
        let database = Database::fresh().await;
        drop(migrate(&database).await.unwrap());
        // node-idempotency makes its table so by default
        database
            .run("alter table tollgate.idempotency set unlogged")
            .await;
        let error = open(&database).await.unwrap_err();
        assert!(matches!(error, OpenError::Unsafe { .. }), "{error:?}");
    });
}

/// Refused when the store is opened; and where a session turns it off later, no claim is given out.
#[test]
fn a_server_that_forgets_what_it_acknowledged_is_refused() {
    block_on(async {
        let database = Database::fresh().await;
        let store = migrate(&database).await.unwrap();
        database
            .run(&format!(
                "alter database {} set synchronous_commit = off",
                database.name
            ))
            .await;
        let error = open(&database).await.unwrap_err();
        let says = error.to_string();
        assert!(says.contains("synchronous_commit = off"), "{says}");
        drop(store);

        let other = Database::fresh().await;
        drop(migrate(&other).await.unwrap());
        let settings = Settings::new().dangerous_before_each_step({
            let steps = std::sync::atomic::AtomicU32::new(0);
            move || {
                let first = steps.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
                format!("set synchronous_commit = {}", if first { "on" } else { "off" })
            }
        });
        let store = Postgres::connect(&other.url(), settings).await.unwrap();
        let error = support::begin(&store).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported);
        assert!(!error.may_have_happened());
    });
}

/// A role that may use the tables and make none opens a database that is up to date, also when it asks to migrate.
#[test]
fn a_role_without_the_right_to_migrate_opens_what_is_up_to_date() {
    block_on(async {
        let database = Database::fresh().await;
        drop(migrate(&database).await.unwrap());
        let role = format!("{}_app", database.name);
        database
            .run(&format!(
                "create role {role} login; grant usage on schema tollgate to {role}; \
                 grant select, insert, update, delete on all tables in schema tollgate to {role}"
            ))
            .await;
        let options = database.options().username(&role);
        let store = Postgres::connect_with(options, Settings::new().migrate()).await;
        let begun = match &store {
            Ok(store) => support::begin(store).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        drop(store);
        database
            .run(&format!("drop owned by {role}; drop role {role}"))
            .await;
        assert!(begun.is_ok(), "{begun:?}");
    });
}

#[test]
fn an_error_tells_no_password() {
    block_on(async {
        let settings = || Settings::new().acquire_timeout(Duration::from_millis(200));
        for url in [
            "postgres://u:hunter2@127.0.0.1:1/x",
            "postgres://u:hunter2@127.0.0.1:notaport/x",
            "hunter2",
        ] {
            let error = Postgres::connect(url, settings()).await.unwrap_err();
            let mut says = format!("{error:?} {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(deeper) = source {
                says.push_str(&deeper.to_string());
                source = deeper.source();
            }
            assert!(!says.contains("hunter2"), "{says}");
        }
        let database = Database::fresh().await;
        let options = database.options().password("hunter2");
        let store = Postgres::connect_with(options, Settings::new().migrate())
            .await
            .unwrap();
        assert!(!format!("{store:?}").contains("hunter2"));
    });
}
