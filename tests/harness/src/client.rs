//! Clients: they repeat a key until its outcome is final or known to be unknown, and write down what they were told.

use crate::Error;
use crate::dice::Dice;
use crate::evidence::{self, Files, Lines, Told, Word};
use crate::net::{self, Answer};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientsTold {
    pub files: Files,
    pub seed: u64,
    pub keys: u64,
    pub to: Vec<u16>,
    pub at_once: usize,
    /// When to begin no more keys.
    pub most: Option<Duration>,
    /// Only keys whose outcome is not known yet.
    pub again: bool,
    /// How long a client goes on without any word that ends it.
    pub patience: Duration,
}

/// How long a client waits for one answer.
const WITHIN: Duration = Duration::from_millis(1500);

/// How often a client hears that nobody knows until it believes it.
const DOUBTS: u32 = 5;

/// How long a client goes on without any word that ends it.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How often in a hundred a person clicks twice.
const DOUBLE_CLICKS: u64 = 12;

/// What one answer means to a client.
#[derive(Debug)]
enum Heard {
    Final(Word, Option<String>),
    Doubt,
    Again,
}

#[derive(Debug)]
struct Clients {
    told: ClientsTold,
    file: Lines,
    waiting: Mutex<std::vec::IntoIter<String>>,
    began: Instant,
}

pub async fn run(told: ClientsTold) -> Result<(), Error> {
    net::ready(&[])?;
    let keys = if told.again {
        open_keys(&told.files)?
    } else {
        (0..told.keys).map(|n| key(told.seed, n)).collect()
    };
    let clients = Arc::new(Clients {
        file: Lines::open(&told.files.told())?,
        waiting: Mutex::new(keys.into_iter()),
        began: Instant::now(),
        told,
    });
    let mut at_work = JoinSet::new();
    for _ in 0..clients.told.at_once {
        let clients = Arc::clone(&clients);
        at_work.spawn(async move {
            while let Some(key) = clients.next() {
                clients.charge(&key).await?;
            }
            Ok::<(), Error>(())
        });
    }
    while let Some(done) = at_work.join_next().await {
        done??;
    }
    println!("end");
    Ok(())
}

fn key(seed: u64, number: u64) -> String {
    format!("order-{seed}-{number}")
}

/// Known by its key, so that every repeat asks the same.
fn card(key: &str) -> &'static str {
    if Dice::about(0, key).percent(5) {
        "bad"
    } else {
        "good"
    }
}

/// Keys that were begun and have no final word.
fn open_keys(files: &Files) -> Result<Vec<String>, Error> {
    let (mut open, mut closed) = (BTreeSet::new(), BTreeSet::new());
    for told in evidence::read::<Told>(&files.told())? {
        match told.word {
            Word::Paid | Word::Declined => closed.insert(told.key),
            Word::Unknown | Word::Nothing => open.insert(told.key),
        };
    }
    Ok(open.difference(&closed).cloned().collect())
}

impl Clients {
    fn next(&self) -> Option<String> {
        let late = self.told.most.is_some_and(|most| self.began.elapsed() > most);
        if late && !self.told.again {
            return None;
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    /// One key, to its end.
    async fn charge(&self, key: &str) -> Result<(), Error> {
        let round = if self.told.again { "again" } else { "first" };
        let mut dice = Dice::about(self.told.seed, &format!("client {round} {key}"));
        // from here on the key counts, also if this process is stopped before it hears anything
        self.write(key, Word::Nothing, None)?;
        let (began, mut doubts) = (Instant::now(), 0);
        let last = loop {
            let first = self.ask(key, *dice.pick(&self.told.to));
            let heard = if dice.percent(DOUBLE_CLICKS) {
                let second = self.ask(key, *dice.pick(&self.told.to));
                let (first, second) = tokio::join!(first, second);
                vec![first, second]
            } else {
                vec![first.await]
            };
            let mut ended = None;
            for heard in heard {
                match heard {
                    Heard::Final(word, charge) => {
                        self.write(key, word, charge)?;
                        ended = Some(word);
                    }
                    Heard::Doubt => doubts += 1,
                    Heard::Again => {}
                }
            }
            if let Some(word) = ended {
                break word;
            }
            if doubts >= DOUBTS || began.elapsed() > self.told.patience {
                let word = if doubts > 0 { Word::Unknown } else { Word::Nothing };
                self.write(key, word, None)?;
                break word;
            }
            tokio::time::sleep(Duration::from_millis(dice.within(20, 300))).await;
        };
        println!("{}", json!(last).as_str().unwrap_or_default());
        Ok(())
    }

    fn write(&self, key: &str, word: Word, charge: Option<String>) -> Result<(), Error> {
        let key = key.to_owned();
        self.file.write(&Told { key, word, charge })
    }

    async fn ask(&self, key: &str, port: u16) -> Heard {
        let body = json!({ "card": card(key) });
        let headers = [("idempotency-key", key)];
        match net::ask(port, Method::POST, "/charges", &headers, Some(&body), WITHIN).await {
            Ok(answer) => hear(&answer),
            Err(_) => Heard::Again,
        }
    }
}

/// What any client would make of it.
fn hear(answer: &Answer) -> Heard {
    let json = answer.json();
    match (answer.status.as_u16(), json["code"].as_str()) {
        (200..=299, _) => Heard::Final(Word::Paid, json["charge"].as_str().map(str::to_owned)),
        (402, _) => Heard::Final(Word::Declined, None),
        (409, Some("outcome-unknown")) | (500 | 502 | 504, _) => Heard::Doubt,
        _ => Heard::Again,
    }
}
