//! The command line.

use crate::Error;
use crate::policies::Policy;
use crate::stores::StoreKind;
use std::path::PathBuf;
use std::time::Duration;

pub const HELP: &str = "\
One key, at most one effect, whatever crashes; every outcome known, or known to be unknown.

usage: tests/kill --store STORE --keys N --policy POLICY [options]

  --store STORE         memory | sqlite | postgres | redis
  --keys N              how many keys the clients charge, one charge each
  --policy POLICY       tollgate   this project's idempotency layer
                        seed       the policy of the Python package this project grew from: known to be wrong
                        setnx      the common recipe, SET key NX PX: known to be wrong
  --seed S              the storm's chance (default: 1); the same seed makes the same choices
  --seconds MAX         no new key is begun after MAX seconds (default: no limit)
  --gateway-dedup WHAT  off: the gateway charges whatever it is sent (default)
                        on:  it answers a key that it has seen with its first answer
  --merchants M         how many merchant processes share the store (default: 3; memory: always 1)
  --at-once C           how many keys the clients have under way at a time (default: 48)
  --data DIR            keep ledger, store, logs and what clients were told in DIR (default: a temporary folder that is removed)
  --json                end with one line of JSON: keys, effects, duplicates, lost, unknown, resolved
  --help                this page

Real processes: a gateway with a ledger that it flushes line by line, and with faults (late, lost and wrong answers); merchants that
are killed and frozen at random and at fail points; proxies that cut connections before and after the request; clients that repeat a
key until its outcome is final or known to be unknown. After the storm every doubt is looked up at the gateway and the clients ask once
more. Then the judge counts:

  keys        keys that clients charged
  effects     charges in the gateway's ledger
  duplicates  keys with more than one
  lost        keys whose client was told what is not so, or asked after the storm and was not told what the store knows, and effects
              that the store neither holds as completed nor lists as open
  unknown     keys whose client was told last that nobody knows
  resolved    keys whose doubt was ended by evidence

PostgreSQL and Redis are private servers, which the harness starts with tests/postgres and tests/redis and crashes every few seconds.
A memory store does not outlive its process, so with --store memory the merchant is frozen and cut off but never killed.
Ctrl-C ends the storm, judges what there is so far, and leaves no process behind.

Exit status: 0 when duplicates and lost are 0, 1 when not, 2 when the options are wrong, 3 when the harness itself failed, 130 when it
was interrupted and nothing was wrong so far.";

#[derive(Clone, Debug)]
pub struct Args {
    pub store: StoreKind,
    pub keys: u64,
    pub policy: Policy,
    pub seed: u64,
    pub most: Option<Duration>,
    pub dedup: bool,
    pub merchants: usize,
    pub at_once: usize,
    pub data: Option<PathBuf>,
    pub json: bool,
}

#[derive(Debug)]
pub enum Command {
    Help,
    Run(Args),
    /// How this program starts itself.
    Role {
        role: String,
        told: String,
    },
}

/// A whole number above 0.
fn count<T: std::str::FromStr + PartialOrd + Default>(option: &str, value: &str) -> Result<T, Error> {
    match value.parse() {
        Ok(number) if number > T::default() => Ok(number),
        _ => Err(format!("{option} {value}: a whole number above 0 is needed").into()),
    }
}

pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, Error> {
    let (mut store, mut keys, mut policy, mut role) = (None, None, None, None);
    let mut args = Args {
        store: StoreKind::Memory,
        keys: 0,
        policy: Policy::Tollgate,
        seed: 1,
        most: None,
        dedup: false,
        merchants: 3,
        at_once: 48,
        data: None,
        json: false,
    };
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| Error::from(format!("{word} needs a value")))
        };
        match word.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--json" => args.json = true,
            "--store" => store = Some(value()?.parse()?),
            "--keys" => keys = Some(count(&word, &value()?)?),
            "--policy" => policy = Some(value()?.parse()?),
            "--seed" => args.seed = value()?.parse().map_err(|_| "--seed needs a whole number")?,
            "--seconds" => args.most = Some(Duration::from_secs(count(&word, &value()?)?)),
            "--gateway-dedup" => {
                args.dedup = match value()?.as_str() {
                    "on" => true,
                    "off" => false,
                    other => return Err(format!("--gateway-dedup {other}: on or off").into()),
                }
            }
            "--merchants" => args.merchants = count(&word, &value()?)?,
            "--at-once" => args.at_once = count(&word, &value()?)?,
            "--data" => args.data = Some(value()?.into()),
            "--role" => role = Some((value()?, value()?)),
            _ => return Err(format!("{word} is not an option").into()),
        }
    }
    if let Some((role, told)) = role {
        return Ok(Command::Role { role, told });
    }
    args.store = store.ok_or("--store is missing")?;
    args.keys = keys.ok_or("--keys is missing")?;
    args.policy = policy.ok_or("--policy is missing")?;
    if args.store == StoreKind::Memory {
        args.merchants = 1;
    }
    Ok(Command::Run(args))
}
