//! A shop, its acquirer, its warehouse, and twelve days on which something goes wrong.
//!
//! ```text
//! cargo run --example checkout                 all twelve scenarios
//! cargo run --example checkout -- --help       what else it can do
//! ```
//!
//! Everything is real: four processes (this program again, in other roles), HTTP over loopback, an acquirer with a ledger of its own
//! on disk, a merchant on SQLite. The acquirer can be told to fail in every interesting way. Each scenario says what was sent, what
//! came back, what the acquirer's own ledger counts, and whether that is right.
//!
//! | file | what stands there |
//! |---|---|
//! | `merchant/` | **what you would write**: the API, the stack around the acquirer, the order saga, the webhook, operations |
//! | `acquirer/` | the other side: a ledger, faults on demand, signed webhooks |
//! | `warehouse.rs` | inventory and shipping |
//! | `scenarios/` | the twelve |
//! | `processes.rs`, `net.rs`, `evidence.rs`, `args.rs` | starting and killing, HTTP, telling, the command line |
#![allow(missing_docs, reason = "an example, not a library")]
#![allow(unreachable_pub, reason = "an example, not a library")]

mod acquirer;
mod args;
mod evidence;
mod merchant;
mod net;
mod processes;
mod scenarios;
mod warehouse;

use args::{Args, Command, Role};
use std::process::ExitCode;

/// What every part of this program fails with; `main` prints it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match args::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            println!("{}", args::HELP);
            Ok(true)
        }
        Ok(Command::Role(role)) => play(role).await.map(|()| true),
        Ok(Command::Run(args)) => run(args).await,
        Err(wrong) => {
            eprintln!("checkout: {wrong}\n\n{}", args::HELP);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("checkout: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One of the four processes.
async fn play(role: Role) -> Result<(), Error> {
    match role {
        Role::Acquirer(args) => acquirer::run(args).await,
        Role::Inventory(args) => warehouse::run_inventory(args).await,
        Role::Shipping(args) => warehouse::run_shipping(args).await,
        Role::Merchant(args) => merchant::run(args).await,
    }
}

/// Starts the four, runs the scenarios, stops the four.
async fn run(args: Args) -> Result<bool, Error> {
    let folder = args::data_folder(&args)?;
    let mut town = processes::Town::start(folder.path()).await?;
    let done = tokio::select! {
        done = scenarios::run(&args, &mut town) => done,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    town.stop().await;
    if args.data.is_some() {
        println!("\nAll files are in {}", folder.path().display());
    }
    done
}
