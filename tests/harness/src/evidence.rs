//! The files that are left behind. All are written a line at a time, by appending, so that a kill loses at most the line that was being
//! written; the ledger is flushed besides.

use crate::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The files of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Files(pub PathBuf);

impl Files {
    /// What the gateway did: one [`Entry`](crate::gateway::Entry) per line.
    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger.jsonl")
    }

    /// What clients were told: one [`Told`] per line.
    pub fn told(&self) -> PathBuf {
        self.0.join("told.jsonl")
    }

    /// What merchants went through: one [`Event`] per line.
    pub fn events(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    pub fn sqlite(&self) -> PathBuf {
        self.0.join("store.sqlite")
    }

    /// The store's server, if it has one.
    pub fn server(&self) -> PathBuf {
        self.0.join("server")
    }

    pub fn log(&self, process: &str) -> PathBuf {
        self.0.join(format!("{process}.log"))
    }
}

/// What a client believes about a key in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Paid,
    Declined,
    /// It was told that nobody knows.
    Unknown,
    /// It gave up without a word that ends anything: still running, not reachable, try again.
    Nothing,
}

/// What a client was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    pub key: String,
    pub word: Word,
    /// Which charge, when it was told one.
    pub charge: Option<String>,
}

/// What a merchant went through.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It killed itself at this point.
    Killed(String),
    /// It froze itself at this point.
    Froze(String),
    /// A doubt was ended by evidence; the record's name, in hexadecimal.
    Resolved(String),
}

/// Appends lines, from several processes if need be.
#[derive(Debug)]
pub struct Lines(File);

impl Lines {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.map(Self)
            .map_err(|error| format!("{}: {error}", path.display()).into())
    }

    /// One line, with one write: lines of several processes do not mix.
    pub fn write(&self, what: &impl Serialize) -> Result<(), Error> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        (&self.0).write_all(&line)?;
        Ok(())
    }
}

/// All lines; no file is no lines. A last line without an end is one whose writer was killed.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("{}: {error}", path.display()).into()),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| {
            serde_json::from_str(line).map_err(|error| format!("{}: {line}: {error}", path.display()).into())
        })
        .collect()
}
