//! What happened, on disk before anybody hears of it. One thread owns the file and decides, so the ledger's order is the order of events;
//! whatever waits together is flushed together.

use crate::Error;
use crate::evidence::Lines;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tollgate_core::{Clock, SystemClock};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Money moved.
    Charged,
    /// A final no. No effect, but an answer that a look-up finds.
    Declined,
}

/// One line of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub deed: Deed,
    /// The client's key, as the merchant's reference.
    pub key: String,
    /// The key that the merchant sent.
    pub downstream: String,
    pub charge: String,
    /// Microseconds since 1970.
    pub at: i64,
}

/// What a merchant sent.
#[derive(Debug)]
pub struct Sent {
    pub key: String,
    pub downstream: String,
    pub declined: bool,
}

#[derive(Debug)]
enum Wish {
    Enter(Sent, oneshot::Sender<Entry>),
    Find(String, oneshot::Sender<Option<Entry>>),
}

/// The ledger's thread is gone: it could not write.
#[derive(Debug)]
pub struct Closed;

#[derive(Debug)]
pub struct Ledger(Sender<Wish>);

impl Ledger {
    pub fn open(path: &Path, dedup: bool) -> Result<Self, Error> {
        let book = Book {
            lines: Lines::open(path)?,
            file: File::open(path)?,
            dedup,
            first: HashMap::new(),
            entries: 0,
        };
        let (wishes, asked) = channel();
        std::thread::spawn(move || {
            if let Err(error) = book.keep(&asked) {
                eprintln!("gateway: the ledger cannot be written: {error}");
            }
        });
        Ok(Self(wishes))
    }

    /// Charges or declines; answers when it is on disk.
    pub async fn enter(&self, sent: Sent) -> Result<Entry, Closed> {
        let (tell, told) = oneshot::channel();
        self.0.send(Wish::Enter(sent, tell)).map_err(|_| Closed)?;
        told.await.map_err(|_| Closed)
    }

    /// What became of what was sent under this key.
    pub async fn find(&self, downstream: String) -> Result<Option<Entry>, Closed> {
        let (tell, told) = oneshot::channel();
        self.0.send(Wish::Find(downstream, tell)).map_err(|_| Closed)?;
        told.await.map_err(|_| Closed)
    }
}

struct Book {
    lines: Lines,
    file: File,
    dedup: bool,
    /// The first entry under each key that was sent.
    first: HashMap<String, Entry>,
    entries: u64,
}

impl Book {
    fn keep(mut self, asked: &Receiver<Wish>) -> Result<(), Error> {
        while let Ok(wish) = asked.recv() {
            let (mut entered, mut found) = (Vec::new(), Vec::new());
            let mut next = Some(wish);
            while let Some(wish) = next {
                match wish {
                    Wish::Enter(sent, tell) => entered.push((self.enter(sent)?, tell)),
                    Wish::Find(key, tell) => found.push((self.first.get(&key).cloned(), tell)),
                }
                next = asked.try_recv().ok();
            }
            self.file.sync_data()?;
            for (entry, tell) in entered {
                let _ = tell.send(entry);
            }
            for (entry, tell) in found {
                let _ = tell.send(entry);
            }
        }
        Ok(())
    }

    fn enter(&mut self, sent: Sent) -> Result<Entry, Error> {
        if self.dedup
            && let Some(first) = self.first.get(&sent.downstream)
        {
            return Ok(first.clone());
        }
        self.entries += 1;
        let entry = Entry {
            deed: if sent.declined {
                Deed::Declined
            } else {
                Deed::Charged
            },
            key: sent.key,
            charge: format!("ch_{}", self.entries),
            at: SystemClock.now().unix_micros(),
            downstream: sent.downstream.clone(),
        };
        self.lines.write(&entry)?;
        self.first.entry(sent.downstream).or_insert_with(|| entry.clone());
        Ok(entry)
    }
}
