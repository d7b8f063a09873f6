//! Guarded calls per second on each store, beside that store's own ceiling in the same run, and the round trips that a call costs.
//!
//! A guarded call is begin and settle through the layer, over a gateway that answers at once, each call with a key of its own. The ceiling
//! is what the same server does for a client that writes the same bytes in two steps and guards nothing. Both have the same number of
//! callers and connections, and take turns, a slice of time each, so that the machine's drift falls on both.
//!
//! | file | holds |
//! |---|---|
//! | `load` | callers, slices of time, rates |
//! | `guarded` | a caller of ours |
//! | `sqlite`, `redis`, `postgres` | each store and its ceilings |
//! | `server` | private servers, by the scripts that the tests use |
//! | `turns` | counts round trips on the wire |

mod guarded;
mod load;
mod postgres;
mod redis;
mod server;
mod sqlite;
mod turns;

use load::{Contest, Plan};
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
Guarded calls per second on each store, beside that store's own ceiling.

  cargo run --release -p tollgate-bench-stores -- [--store sqlite|redis|postgres] [--callers 1,8,64] [--quick]

  --store NAME     only this one
  --callers LIST   how many callers at a time (default 1,8,64)
  --quick          a smoke run: short slices, no figures to trust

Starts private servers by tests/redis and tests/postgres. Prints a Markdown table; the figures of pgbench and redis-benchmark stand
in it where they are installed. Wait for a load below 1.
";

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// What was asked for on the command line.
struct Asked {
    stores: Vec<String>,
    callers: Vec<u32>,
    plan: Plan,
}

impl Asked {
    /// `None` asks for help.
    fn read(args: impl IntoIterator<Item = String>) -> Result<Option<Self>, Failure> {
        let mut asked = Self {
            stores: ["sqlite", "redis", "postgres"].map(String::from).into(),
            callers: vec![1, 8, 64],
            plan: Plan {
                slice: Duration::from_secs(1),
                rounds: 5,
            },
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--store" => asked.stores = vec![value()?],
                "--callers" => {
                    asked.callers = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?
                }
                "--quick" => {
                    asked.plan = Plan {
                        slice: Duration::from_millis(300),
                        rounds: 1,
                    };
                }
                "--help" | "-h" => return Ok(None),
                other => return Err(format!("{other} is not an option").into()),
            }
        }
        Ok(Some(asked))
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let asked = match Asked::read(std::env::args().skip(1)) {
        Ok(Some(asked)) => asked,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprint!("{why}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match measure(&asked).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(asked: &Asked) -> Result<(), Failure> {
    println!("{}", Contest::HEADING);
    for store in &asked.stores {
        for callers in &asked.callers {
            eprintln!("{store}, {callers} callers");
            let contest = match store.as_str() {
                "sqlite" => sqlite::contest(*callers, asked.plan).await?,
                "redis" => redis::contest(*callers, asked.plan).await?,
                "postgres" => postgres::contest(*callers, asked.plan).await?,
                other => return Err(format!("{other} is not a store").into()),
            };
            println!("{contest}");
        }
    }
    Ok(())
}
