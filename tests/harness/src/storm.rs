//! From the first process to the verdict.

use crate::Error;
use crate::args::Args;
use crate::evidence::{self, Event, Files, Word};
use crate::judge::Case;
use crate::merchant::Standing;
use crate::processes::Process;
use crate::server::Server;
use crate::table::{self, Outcome};
use crate::torment::{Counts, Weather};
use crate::town::{Merchant, Town};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

/// How often it says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

pub async fn run(args: Args) -> Result<ExitCode, Error> {
    let folder = Folder::of(&args)?;
    let files = Files(folder.path().to_owned());
    let outcome = tokio::select! {
        outcome = storm(&args, &files) => outcome?,
        () = second_interrupt() => return Ok(ExitCode::from(130)),
    };
    print!("{}", table::render(&args, &outcome));
    if args.data.is_some() {
        println!("all files are in {}", folder.path().display());
    }
    if args.json {
        println!("{}", serde_json::to_string(&outcome.verdict)?);
    }
    Ok(match outcome {
        outcome if !outcome.verdict.is_clean() => ExitCode::from(1),
        outcome if outcome.interrupted => ExitCode::from(130),
        _ => ExitCode::SUCCESS,
    })
}

async fn storm(args: &Args, files: &Files) -> Result<Outcome, Error> {
    let began = Instant::now();
    let server = match args.store.server() {
        Some(script) => Some(Server::start(script, files.server()).await?),
        None => None,
    };
    let store = args.store.at(files, server.as_ref());
    let town = Town::start(args, files.clone(), store).await?;
    let merchants = town.merchants().await?;
    let front = town.front(&merchants).await?;
    let kills = args.store.outlives_processes();

    let mut weather = Weather::begin(args, merchants, server);
    let clients = town.clients(&front, false).await?;
    let (of_all, mut interrupted) = (format!("of {} keys", args.keys), false);
    tokio::select! {
        done = follow(clients, &of_all, began) => done?,
        broken = weather.broken() => return Err(broken),
        () = interrupt() => interrupted = true,
    }
    // the server stays up until the end of this function
    let (mut merchants, _server, mut faults) = weather.end().await?;

    eprintln!("kill: calm; looking up what is in doubt");
    faults.extend(town.faults(&front).await?);
    calm(&town, &front, &mut merchants, kills).await?;
    if !interrupted {
        let clients = town.clients(&front, true).await?;
        follow(clients, "asked again", began).await?;
        // a client that gave up may have left a call behind
        town.quiet(&merchants).await?;
    }
    let mut case = case(files, first(&merchants)?, &mut faults).await?;
    case.asked_again = !interrupted;
    let (verdict, wrongs) = case.judge();
    Ok(Outcome {
        verdict,
        wrongs,
        faults,
        interrupted,
        took: began.elapsed(),
    })
}

/// Nothing can be on its way any more, so that not found is proof: every process that could send has ended or has drained, connections
/// are closed, the gateway is idle, leases are over. Then the merchants come back, and one of them ends the doubts.
async fn calm(town: &Town, front: &Process, merchants: &mut [Merchant], kills: bool) -> Result<(), Error> {
    for merchant in merchants.iter_mut() {
        if kills {
            merchant.process.kill().await?;
        } else {
            let () = merchant.ask("/control/drain", &json!({})).await?;
        }
    }
    town.calm(front).await?;
    if kills {
        for merchant in merchants.iter_mut() {
            merchant.start_calm().await?;
        }
    }
    let open: u64 = first(merchants)?.ask("/control/resolve", &json!({})).await?;
    if open > 0 {
        eprintln!("kill: {open} keys stay open");
    }
    Ok(())
}

fn first(merchants: &[Merchant]) -> Result<&Merchant, Error> {
    merchants.first().ok_or_else(|| "there is no merchant".into())
}

/// Tells how far the clients are, until they are through.
async fn follow(mut clients: Process, what: &str, began: Instant) -> Result<(), Error> {
    let mut words: BTreeMap<String, u64> = BTreeMap::new();
    let mut telling = tokio::time::interval_at(Instant::now() + TELL_EVERY, TELL_EVERY);
    loop {
        tokio::select! {
            line = clients.line() => match line.as_deref() {
                Some("end") => return Ok(()),
                Some(word) => *words.entry(word.to_owned()).or_default() += 1,
                None => return Err("the clients ended before they were through".into()),
            },
            _ = telling.tick() => {
                let ended: u64 = words.values().sum();
                let told: Vec<_> = words.iter().map(|(word, count)| format!("{count} {word}")).collect();
                eprintln!("kill: {} s, {ended} {what}: {}", began.elapsed().as_secs(), told.join(", "));
            }
        }
    }
}

/// Gathers what there is.
async fn case(files: &Files, merchant: &Merchant, faults: &mut Counts) -> Result<Case, Error> {
    let mut resolved = BTreeSet::new();
    for event in evidence::read::<Event>(&files.events())? {
        let what = match event {
            Event::Killed(point) => format!("merchant: killed {}", point.replace('_', " ")),
            Event::Froze(point) => format!("merchant: frozen {}, past its lease", point.replace('_', " ")),
            Event::Resolved(record) => {
                resolved.insert(record);
                continue;
            }
        };
        *faults.entry(what).or_default() += 1;
    }
    let mut case = Case {
        ledger: evidence::read(&files.ledger())?,
        told: evidence::read(&files.told())?,
        standings: BTreeMap::new(),
        asked_again: false,
        resolved: u64::try_from(resolved.len()).unwrap_or(u64::MAX),
    };
    let silent = case.told.iter().filter(|told| told.word == Word::Unknown).count();
    faults.insert(
        "clients: told that nobody knows yet".to_owned(),
        u64::try_from(silent).unwrap_or(u64::MAX),
    );
    let keys: Vec<String> = case.keys().into_iter().collect();
    for some in keys.chunks(500) {
        let standings: Vec<Standing> = merchant.ask("/control/standings", &json!(some)).await?;
        case.standings.extend(some.iter().cloned().zip(standings));
    }
    Ok(case)
}

/// Ctrl-C, or a polite request to end.
async fn interrupt() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Whoever asks twice does not want to wait for the verdict.
async fn second_interrupt() {
    interrupt().await;
    eprintln!("kill: interrupted; judging what there is (again to stop at once)");
    interrupt().await;
}

/// A folder that is kept or removed.
enum Folder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    fn of(args: &Args) -> Result<Self, Error> {
        let Some(path) = &args.data else {
            return Ok(Self::Temporary(tempfile::tempdir()?));
        };
        std::fs::create_dir_all(path).map_err(|error| format!("--data {}: {error}", path.display()))?;
        if std::fs::read_dir(path)?.next().is_some() {
            return Err(format!("--data {}: an earlier run is in there", path.display()).into());
        }
        Ok(Self::Kept(path.clone()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}
