//! What a guarded call costs in memory: tollgate beside the Rust peers, in one run on one core.
//!
//! The method, in full in the crate guide's page on speed: every layer is built once, outside the clock; each row has a baseline of its own,
//! the same loop over the bare service, whose median is subtracted; rounds go through the rows in random order; allocations are
//! counted in the timed part only; every call's outcome is checked inside the loop.
//!
//! | file | holds |
//! |---|---|
//! | `harness` | the clock, the rows, the allocation counter |
//! | `charge` | the request and the answer that every HTTP row uses, its handler, its loop |
//! | `tollgate_rows` | typed calls and HTTP through our layer |
//! | `idempotent_rows`, `axum_idempotent_rows` | the peers |
//! | `report` | the table and the JSON lines |

mod axum_idempotent_rows;
mod charge;
mod harness;
mod idempotent_rows;
mod report;
mod tollgate_rows;

use harness::{Counting, Row};
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HELP: &str = "\
What a guarded call costs in memory: tollgate beside the Rust peers, in one run.

  cargo build --release --locked --ignore-rust-version
  taskset -c 1 target/release/peers [--quick] [--only TEXT] [--json FILE]

  --only TEXT   the rows whose crate or name holds TEXT
  --quick       a smoke run: every row once, no figures to trust
  --json FILE   also one line of JSON per row

Prints a Markdown table: nanoseconds per call, the bare service's own time subtracted. Wait for a load below 1.
";

/// What was asked for on the command line.
#[derive(Default)]
struct Asked {
    quick: bool,
    only: Option<String>,
    json: Option<String>,
}

impl Asked {
    /// `Err` holds the argument that is not understood.
    fn read(args: impl IntoIterator<Item = String>) -> Result<Option<Self>, String> {
        let (mut asked, mut args) = (Self::default(), args.into_iter());
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--quick" => asked.quick = true,
                "--only" => asked.only = Some(value()?),
                "--json" => asked.json = Some(value()?),
                "--help" | "-h" => return Ok(None),
                other => return Err(format!("{other} is not an option")),
            }
        }
        Ok(Some(asked))
    }
}

fn main() -> ExitCode {
    match Asked::read(std::env::args().skip(1)) {
        Ok(Some(asked)) => {
            measure(&asked);
            ExitCode::SUCCESS
        }
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprint!("{why}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn measure(asked: &Asked) {
    let (rounds, batches) = if asked.quick { (1, 5) } else { (5, usize::MAX) };
    // time driver only: a timer never costs an eventfd write
    let runtime: &'static tokio::runtime::Runtime = Box::leak(Box::new(
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap(),
    ));
    let mut rows = tollgate_rows::rows(runtime);
    rows.extend(idempotent_rows::rows(runtime));
    rows.extend(axum_idempotent_rows::rows(runtime));
    if let Some(only) = &asked.only {
        rows.retain(|row| format!("{} {}", row.of, row.what).contains(only));
    }
    rows.iter_mut().for_each(Row::prepare);
    let mut seed = 7;
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}, {} rows", rows.len());
        for at in shuffled(rows.len(), &mut seed) {
            rows[at].round(batches);
        }
    }
    let mut json = asked
        .json
        .as_ref()
        .map(|path| File::create(path).expect("cannot write the JSON file"));
    println!("{}", report::HEADING);
    for row in &rows {
        let figures = row.figures();
        println!("{}", report::markdown(row, &figures));
        if let Some(file) = &mut json {
            writeln!(file, "{}", report::json(row, &figures)).expect("cannot write the JSON file");
        }
    }
}

/// Another order in each round, so that the machine's drift does not fall on the same rows.
fn shuffled(len: usize, seed: &mut u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    for place in (1..len).rev() {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        order.swap(place, (*seed >> 33) as usize % (place + 1));
    }
    order
}
