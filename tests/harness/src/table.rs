//! The table.

use crate::args::Args;
use crate::judge::Verdict;
use crate::torment::Counts;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// How many wrongs are told in full.
const TOLD: usize = 8;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub wrongs: BTreeMap<String, String>,
    pub faults: Counts,
    pub interrupted: bool,
    pub took: Duration,
}

pub fn render(args: &Args, outcome: &Outcome) -> String {
    let mut out = String::new();
    let Outcome { verdict, faults, .. } = outcome;
    for (what, count) in faults {
        let _ = writeln!(out, "  {count:>7}  {what}");
    }
    if !outcome.wrongs.is_empty() {
        let _ = writeln!(out);
    }
    for (key, why) in outcome.wrongs.iter().take(TOLD) {
        let _ = writeln!(out, "  wrong: {key}: {why}");
    }
    if outcome.wrongs.len() > TOLD {
        let _ = writeln!(out, "  … and {} more keys", outcome.wrongs.len() - TOLD);
    }
    let _ = writeln!(
        out,
        "\n| store | policy | gateway | keys | effects | duplicates | lost | unknown | resolved |\n\
         |---|---|---|---|---|---|---|---|---|\n\
         | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        args.store.as_str(),
        args.policy.as_str(),
        if args.dedup {
            "deduplicates"
        } else {
            "charges whatever it is sent"
        },
        verdict.keys,
        verdict.effects,
        verdict.duplicates,
        verdict.lost,
        verdict.unknown,
        verdict.resolved,
    );
    let _ = writeln!(
        out,
        "\n{}seed {}, {} s: {}",
        if outcome.interrupted {
            "interrupted; so far: "
        } else {
            ""
        },
        args.seed,
        outcome.took.as_secs(),
        if verdict.is_clean() {
            "no key was charged twice, none was lost"
        } else {
            "keys were charged twice or lost"
        }
    );
    out
}
