//! `tests/kill`: one key, at most one effect, whatever crashes; every outcome known, or known to be unknown.
//!
//! ```text
//!             ┌──────── proxy ────────┐             ┌─ proxy ─┐
//!   clients ──┤ cuts before and after ├─ merchants ─┤  cuts   ├─ gateway ── ledger, flushed line by line
//!             └───────────────────────┘   │  ▲      └─────────┘   late, lost and wrong answers
//!                                         ▼  └── SIGKILL, SIGSTOP past the lease, at points and at random
//!                                       store
//! ```
//!
//! Every box is a process of its own: this program again, in another role. After the storm the doubts are looked up, the clients ask
//! once more, and the judge compares the gateway's ledger with what clients were told and with what the store holds.
//!
//! | file | what stands there |
//! |---|---|
//! | `storm.rs`, `town.rs`, `torment.rs`, `processes.rs` | starts everything, kills and freezes, calms down |
//! | `gateway/` | the other side of the money: ledger, faults |
//! | `merchant/` | what is under test: tollgate's layers over a store; fail points |
//! | `policies/` | two policies that are known to be wrong, under the same storm |
//! | `proxy.rs` | the network |
//! | `client.rs` | repeats a key until its outcome is final or known to be unknown |
//! | `judge/`, `table.rs` | the verdict |
//! | `stores.rs`, `server.rs`, `net.rs`, `dice.rs`, `evidence.rs`, `args.rs` | stores and their servers, HTTP, chance, files, the command line |
#![allow(unreachable_pub, reason = "a program, not a library")]

mod args;
mod client;
mod dice;
mod evidence;
mod gateway;
mod judge;
mod merchant;
mod net;
mod policies;
mod processes;
mod proxy;
mod server;
mod stores;
mod storm;
mod table;
mod torment;
mod town;

use args::Command;
use std::process::ExitCode;

/// What every part of this program fails with; `main` prints it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match args::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Role { role, told }) => play(&role, &told).await.map(|()| ExitCode::SUCCESS),
        Ok(Command::Run(args)) => storm::run(args).await,
        Err(wrong) => {
            eprintln!("kill: {wrong}\n\n{}", args::HELP);
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("kill: {error}");
        ExitCode::from(3)
    })
}

/// One of the other processes.
async fn play(role: &str, told: &str) -> Result<(), Error> {
    net::end_with_parent();
    match role {
        "gateway" => gateway::run(serde_json::from_str(told)?).await,
        "merchant" => merchant::run(serde_json::from_str(told)?).await,
        "proxy" => proxy::run(serde_json::from_str(told)?).await,
        "clients" => client::run(serde_json::from_str(told)?).await,
        _ => Err(format!("{role} is not a role").into()),
    }
}
