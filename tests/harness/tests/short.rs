//! The short storm. The long ones are `tests/kill --keys 10000 …`; their tables stand in the guide.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

fn kill(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kill"));
    command.args(options).stdin(Stdio::null());
    command
}

/// What a run came to: exit status, output, and the six numbers of its last line.
struct Run {
    status: Option<i32>,
    output: String,
    errors: String,
}

impl Run {
    fn of(options: &[&str]) -> Self {
        let output = kill(options).output().unwrap();
        Self {
            status: output.status.code(),
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn storm(options: &str) -> Self {
        let mut options: Vec<_> = options.split(' ').collect();
        options.push("--json");
        Self::of(&options)
    }

    fn number(&self, name: &str) -> u64 {
        let line = self.output.lines().last().unwrap_or_default();
        let (_, rest) = line
            .split_once(&format!("\"{name}\":"))
            .unwrap_or_else(|| panic!("no {name} in {line:?}; {}", self.errors));
        rest.split([',', '}']).next().unwrap().parse().unwrap()
    }

    /// How often something with these words in its name was done.
    fn done(&self, what: &str) -> u64 {
        let lines = self.output.lines().filter(|line| line.contains(what));
        lines
            .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
            .sum()
    }

    fn assert_clean(&self) {
        let Self { output, errors, .. } = self;
        assert_eq!(self.status, Some(0), "{output}\n{errors}");
        assert_eq!(
            (self.number("duplicates"), self.number("lost")),
            (0, 0),
            "{output}"
        );
        assert!(
            self.number("effects") > 0 && self.number("effects") <= self.number("keys"),
            "{output}"
        );
    }
}

/// One key, at most one effect, while three processes on one file are killed and frozen and every connection may be cut.
#[test]
fn tollgate_over_sqlite_charges_nothing_twice_and_loses_nothing() {
    let run = Run::storm("--store sqlite --keys 240 --policy tollgate --seed 3");
    run.assert_clean();
    assert_eq!(run.number("keys"), 240);
    // it was a storm, and there were doubts
    for what in [
        "killed at random",
        "frozen",
        ": cut ",
        "lost after the effect",
        "late effect",
        "500 after",
    ] {
        assert!(run.done(what) > 0, "no {what}: {}", run.output);
    }
    assert!(run.number("resolved") > 20, "{}", run.output);
}

/// The same while the store itself crashes and comes back.
#[test]
fn tollgate_over_postgres_charges_nothing_twice_and_loses_nothing() {
    let run = Run::storm("--store postgres --keys 120 --policy tollgate --seed 8");
    run.assert_clean();
    assert!(run.done("server crashed") > 0, "{}", run.output);
}

#[test]
fn tollgate_over_redis_charges_nothing_twice_and_loses_nothing() {
    let run = Run::storm("--store redis --keys 120 --policy tollgate --seed 9");
    run.assert_clean();
    assert!(run.done("server crashed") > 0, "{}", run.output);
}

/// With a gateway that deduplicates, doubtful calls are repeated and what was not found runs again; that is safe as well.
#[test]
fn tollgate_before_a_gateway_that_deduplicates_repeats_and_charges_nothing_twice() {
    let run = Run::storm("--store sqlite --keys 120 --policy tollgate --seed 4 --gateway-dedup on");
    run.assert_clean();
}

#[test]
fn tollgate_in_memory_survives_freezes_and_cut_connections() {
    let run = Run::storm("--store memory --keys 120 --policy tollgate --seed 5");
    run.assert_clean();
    assert_eq!(
        run.done("killed"),
        0,
        "a memory store does not outlive its process"
    );
}

/// A storm that convicts nobody proves nothing. Seed I3: a time-out after the charge clears the key, and the repeat charges again.
#[test]
fn the_python_policy_charges_twice() {
    assert_convicted("--store sqlite --keys 60 --policy seed --seed 6");
}

#[test]
fn the_python_policy_charges_twice_over_postgres() {
    assert_convicted("--store postgres --keys 60 --policy seed --seed 6");
}

#[test]
fn set_nx_charges_twice() {
    assert_convicted("--store sqlite --keys 60 --policy setnx --seed 7");
}

#[test]
fn set_nx_charges_twice_over_redis() {
    assert_convicted("--store redis --keys 60 --policy setnx --seed 7");
}

fn assert_convicted(options: &str) {
    let run = Run::storm(options);
    assert_eq!(run.status, Some(1), "{options}: {}\n{}", run.output, run.errors);
    assert!(run.number("duplicates") > 0, "{options}: {}", run.output);
}

#[test]
fn wrong_options_are_told() {
    for (options, says) in [
        (&["--keys", "1", "--policy", "tollgate"][..], "--store is missing"),
        (
            &["--store", "paper", "--keys", "1", "--policy", "tollgate"],
            "--store paper",
        ),
        (
            &["--store", "memory", "--keys", "0", "--policy", "tollgate"],
            "--keys 0",
        ),
        (
            &["--store", "memory", "--keys", "1", "--policy", "hope"],
            "--policy hope",
        ),
        (
            &["--store", "memory", "--keys", "1", "--policy"],
            "--policy needs a value",
        ),
        (&["--faster"], "--faster is not an option"),
    ] {
        let run = Run::of(options);
        assert_eq!(run.status, Some(2), "{options:?}");
        assert!(
            run.errors.contains(says) && run.errors.contains("usage:"),
            "{options:?}: {}",
            run.errors
        );
    }
    let help = Run::of(&["--help"]);
    assert_eq!((help.status, help.errors.as_str()), (Some(0), ""));
    for option in [
        "--store",
        "--keys",
        "--policy",
        "--seed",
        "--seconds",
        "--gateway-dedup",
        "--json",
    ] {
        assert!(help.output.contains(option), "{option}");
    }
}

/// Processes whose command line names this folder.
fn left_behind(folder: &Path) -> Vec<String> {
    let needle = folder.display().to_string();
    let running = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    running
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok())
        .filter(|command| command.contains(&needle))
        .collect()
}

#[test]
fn an_interrupted_storm_is_judged_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("run");
    let mut options: Vec<_> = "--store sqlite --keys 1000000 --policy tollgate --json --data"
        .split(' ')
        .collect();
    options.push(data.to_str().unwrap());
    let mut child = kill(&options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // until it says that some keys have come to their end: "kill: 2 s, 5 of 1000000 keys: …"
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    let under_way = errors.by_ref().map(Result::unwrap).any(|line| {
        assert!(line.contains("keys"), "{line}");
        !line.contains(" 0 of 1000000 keys")
    });
    assert!(under_way, "it ended before it was interrupted");
    let interrupt = format!("kill -INT {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &interrupt])
            .status()
            .unwrap()
            .success()
    );
    let rest = std::thread::spawn(move || errors.map_while(Result::ok).collect::<Vec<_>>());
    let output = child.wait_with_output().unwrap();
    let run = Run {
        status: output.status.code(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: rest.join().unwrap().join("\n"),
    };
    assert_eq!(run.status, Some(130), "{}\n{}", run.output, run.errors);
    assert_eq!(
        (run.number("duplicates"), run.number("lost")),
        (0, 0),
        "{}",
        run.output
    );
    assert!(run.number("keys") > 0);
    // they were killed before it ended; on a busy machine it takes a moment until they are gone
    for _ in 0..100 {
        if left_behind(folder.path()).is_empty() {
            return;
        }
        #[allow(clippy::disallowed_methods, reason = "other processes end in real time")]
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("left behind: {:?}", left_behind(folder.path()));
}
