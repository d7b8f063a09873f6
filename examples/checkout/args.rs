//! The command line.

use crate::Error;
use std::path::{Path, PathBuf};

pub const HELP: &str = "\
Twelve scenarios of a checkout, with real processes and real HTTP on loopback.

usage: cargo run --example checkout -- [options]

  --scenario N   only this one (1 to 12; may be given several times)
  --data DIR     keep all files in DIR (default: a temporary folder that is removed)
  --serve        leave everything running and print commands to try
  --json         end with one line of JSON: passed, failed, and the evidence of each scenario
  --help         this page

Exit status: 0 when everything is right, 1 when something is wrong, 2 when the options are.";

#[derive(Debug, Default)]
pub struct Args {
    pub scenarios: Vec<usize>,
    pub data: Option<PathBuf>,
    pub serve: bool,
    pub json: bool,
}

/// What one of the four processes is told.
#[derive(Debug, Default)]
pub struct RoleArgs {
    pub data: PathBuf,
    /// 0 takes any free port.
    pub port: u16,
    pub acquirer: String,
    pub inventory: String,
    pub shipping: String,
}

#[derive(Debug)]
pub enum Role {
    Acquirer(RoleArgs),
    Inventory(RoleArgs),
    Shipping(RoleArgs),
    Merchant(RoleArgs),
}

#[derive(Debug)]
pub enum Command {
    Help,
    Run(Args),
    Role(Role),
}

pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, Error> {
    let mut args = Args::default();
    let (mut role, mut told) = (None, RoleArgs::default());
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--serve" => args.serve = true,
            "--json" => args.json = true,
            "--data" => args.data = Some(value()?.into()),
            "--scenario" => {
                let number = value()?;
                match number.parse() {
                    Ok(number @ 1..=12) => args.scenarios.push(number),
                    _ => return Err(format!("--scenario {number}: there are scenarios 1 to 12").into()),
                }
            }
            // how this program starts itself
            "--role" => role = Some(value()?),
            "--port" => told.port = value()?.parse()?,
            "--acquirer" => told.acquirer = value()?,
            "--inventory" => told.inventory = value()?,
            "--shipping" => told.shipping = value()?,
            _ => return Err(format!("{word} is not an option").into()),
        }
    }
    let Some(role) = role else {
        return Ok(Command::Run(args));
    };
    told.data = args.data.ok_or("a role needs --data")?;
    Ok(Command::Role(match role.as_str() {
        "acquirer" => Role::Acquirer(told),
        "inventory" => Role::Inventory(told),
        "shipping" => Role::Shipping(told),
        "merchant" => Role::Merchant(told),
        _ => return Err(format!("{role} is not a role").into()),
    }))
}

/// A folder that is kept or removed.
#[derive(Debug)]
pub enum Folder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    pub fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

pub fn data_folder(args: &Args) -> Result<Folder, Error> {
    match &args.data {
        None => Ok(Folder::Temporary(tempfile::tempdir()?)),
        Some(path) => {
            std::fs::create_dir_all(path).map_err(|error| format!("--data {}: {error}", path.display()))?;
            Ok(Folder::Kept(path.clone()))
        }
    }
}
