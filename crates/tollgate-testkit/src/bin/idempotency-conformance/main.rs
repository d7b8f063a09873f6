//! `idempotency-conformance`: does a server honour `Idempotency-Key`? `--help` says how to ask.

mod args;

use args::Command;
use std::fmt;
use std::io::{ErrorKind, Write};
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

/// Writes to standard output, at once. Where that cannot be, there is no sense in going on: whoever reads has gone away (`| head`), which is
/// nothing to complain about, or the disk is full, which is.
fn tell(text: fmt::Arguments<'_>) {
    let mut output = std::io::stdout().lock();
    if let Err(error) = output.write_fmt(text).and_then(|()| output.flush()) {
        if error.kind() != ErrorKind::BrokenPipe {
            eprintln!("idempotency-conformance: standard output takes no more: {error}");
        }
        std::process::exit(CANNOT.into());
    }
}

async fn carry_out(command: Command) -> ExitCode {
    let (target, only, json) = match command {
        Command::Help => {
            tell(format_args!("{}\n", args::HELP));
            return ExitCode::SUCCESS;
        }
        Command::List => {
            for case in all_cases() {
                tell(format_args!(
                    "{:>2} {}\n     sent      {}\n     expected  {}\n",
                    case.number, case.name, case.sent, case.expected
                ));
            }
            return ExitCode::SUCCESS;
        }
        Command::Run { target, only, json } => (*target, only, json),
    };
    let told = run_telling(target, &only, |outcome| {
        if !json {
            tell(format_args!("{outcome}"));
        }
    });
    let report = match told.await {
        Ok(report) => report,
        Err(unusable) => return cannot(&unusable.to_string()),
    };
    if json {
        tell(format_args!("{}\n", report.to_json()));
    } else {
        tell(format_args!("\n{}\n", report.summary()));
    }
    match report.count(Verdict::Fail) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    }
}
