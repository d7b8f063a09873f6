//! Compares what happened with what was told and what is stored. Pure, so that it can be tested: a judge who never convicts proves
//! nothing.

use crate::evidence::{Told, Word};
use crate::gateway::{Deed, Entry};
use crate::merchant::Standing;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The six numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub keys: u64,
    pub effects: u64,
    pub duplicates: u64,
    pub lost: u64,
    pub unknown: u64,
    pub resolved: u64,
}

impl Verdict {
    pub const fn is_clean(&self) -> bool {
        self.duplicates == 0 && self.lost == 0
    }
}

/// What the judge has before him.
#[derive(Debug, Default)]
pub struct Case {
    pub ledger: Vec<Entry>,
    pub told: Vec<Told>,
    pub standings: BTreeMap<String, Standing>,
    /// Whether clients without a final word have asked once more after the storm.
    pub asked_again: bool,
    /// Records whose doubt was ended by evidence.
    pub resolved: u64,
}

impl Case {
    /// Every key that anybody saw.
    pub fn keys(&self) -> BTreeSet<String> {
        let told = self.told.iter().map(|told| told.key.clone());
        told.chain(self.ledger.iter().map(|entry| entry.key.clone()))
            .collect()
    }

    /// The numbers, and for each key that was duplicated or lost, why.
    pub fn judge(&self) -> (Verdict, BTreeMap<String, String>) {
        let mut charges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for entry in self.ledger.iter().filter(|entry| entry.deed == Deed::Charged) {
            charges.entry(&entry.key).or_default().push(&entry.charge);
        }
        let mut told: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
        for word in &self.told {
            told.entry(&word.key).or_default().push(word);
        }
        let mut verdict = Verdict {
            resolved: self.resolved,
            ..Verdict::default()
        };
        let mut wrongs = BTreeMap::new();
        for key in self.keys() {
            let charges = charges.get(&*key).map_or(&[][..], Vec::as_slice);
            let told = told.get(&*key).map_or(&[][..], Vec::as_slice);
            let standing = self.standings.get(&key).copied().unwrap_or(Standing::Free);
            verdict.keys += 1;
            verdict.effects += u64::try_from(charges.len()).unwrap_or(u64::MAX);
            let mut wrong = Vec::new();
            if charges.len() > 1 {
                verdict.duplicates += 1;
                wrong.push(format!("charged {} times: {}", charges.len(), charges.join(", ")));
            }
            let ended = told
                .iter()
                .any(|told| matches!(told.word, Word::Paid | Word::Declined));
            let untold = self.asked_again && !ended && !told.is_empty();
            if let Some(how) =
                lost(charges, told, standing).or_else(|| untold_of(standing).filter(|_| untold))
            {
                verdict.lost += 1;
                wrong.push(how);
            }
            if standing == Standing::Open && !ended {
                verdict.unknown += 1;
            }
            if !wrong.is_empty() {
                wrongs.insert(key, wrong.join("; "));
            }
        }
        (verdict, wrongs)
    }
}

/// What a client is not told that asks in the calm, where the store knows.
fn untold_of(standing: Standing) -> Option<String> {
    let known = matches!(standing, Standing::Executed | Standing::Declined);
    known.then(|| format!("for the store the key is {standing:?}, and whoever asks is not told"))
}

/// How a key was lost, if it was.
fn lost(charges: &[&str], told: &[&Told], standing: Standing) -> Option<String> {
    for told in told {
        match (told.word, told.charge.as_deref()) {
            (Word::Paid, Some(charge)) if !charges.contains(&charge) => {
                return Some(format!(
                    "the client was told {charge}, which the ledger does not have"
                ));
            }
            (Word::Paid, None) => return Some("the client was told that it paid, and not what".to_owned()),
            (Word::Declined, _) if !charges.is_empty() => {
                return Some(format!(
                    "the client was told \"declined\", and {} happened",
                    charges[0]
                ));
            }
            _ => {}
        }
    }
    match (charges.first(), standing) {
        (Some(_), Standing::Executed | Standing::Open) => None,
        (Some(charge), _) => Some(format!(
            "{charge} happened, and for the store the key is {standing:?}"
        )),
        (None, Standing::Executed) => Some("the store holds it as executed, and nothing happened".to_owned()),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests;
