//! `idempotency-conformance`: does a server honour `Idempotency-Key`? `--help` says how to ask.

mod args;

use args::Command;
use std::process::ExitCode;
use tollgate_testkit::http_conformance::{Verdict, all_cases, run_telling};

/// The options are wrong, or the server cannot be looked at.
const CANNOT: u8 = 2;

fn main() -> ExitCode {
    let command = match args::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(why) => return cannot(&why),
    };
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(carry_out(command)),
        Err(error) => cannot(&error.to_string()),
    }
}

fn cannot(why: &str) -> ExitCode {
    eprintln!("idempotency-conformance: {why}");
    ExitCode::from(CANNOT)
}

async fn carry_out(command: Command) -> ExitCode {
    let (target, only, json) = match command {
        Command::Help => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Command::List => {
            for case in all_cases() {
                println!(
                    "{:>2} {}\n     sent      {}\n     expected  {}",
                    case.number, case.name, case.sent, case.expected
                );
            }
            return ExitCode::SUCCESS;
        }
        Command::Run { target, only, json } => (*target, only, json),
    };
    let told = run_telling(target, &only, |outcome| {
        if !json {
            print!("{outcome}");
        }
    });
    let report = match told.await {
        Ok(report) => report,
        Err(unusable) => return cannot(&unusable.to_string()),
    };
    if json {
        println!("{}", report.to_json());
    } else {
        println!("\n{}", report.summary());
    }
    match report.count(Verdict::Fail) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    }
}
