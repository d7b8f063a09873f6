//! What runs leave, written over by others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tollgate_core::ManualClock;
use tollgate_core::store::Boxed;
use tollgate_core::store::carry_over::{Carried, CarryOverStore, Replaced, replace};
use tollgate_testkit::conformance::carry_over as suite;
use tollgate_testkit::histories::{Histories, Plain};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    InventsAnEmptyOne,
    LosesEmptyBodies,
    LastWriterWins,
    ForgetsItsOwn,
    FoldsNames,
    LooksFirst,
}

const FLAWS: &[(Flaw, &[&str])] = &[
    (Flaw::InventsAnEmptyOne, &["nothing_is_there_at_first"]),
    (Flaw::LosesEmptyBodies, &["what_was_left_is_found_byte_for_byte"]),
    (Flaw::LastWriterWins, &["a_stale_replacement_writes_nothing"]),
    (Flaw::ForgetsItsOwn, &["a_lost_replacement_is_recognised"]),
    (Flaw::FoldsNames, &["runs_do_not_touch_each_other"]),
    (Flaw::LooksFirst, &["of_two_replacements_at_one_moment_one_wins"]),
];

const UNSEEN: &[Flaw] = &[Flaw::LooksFirst];

fn walk(histories: &Histories, flaw: Flaw) {
    histories.carry_over(async |clock| Plain(store(flaw, clock)));
}

tollgate_testkit::each_carry_over_property!(proves_itself);

fn store(flaw: Flaw, _: ManualClock) -> Flawed {
    Flawed {
        flaw,
        runs: Arc::default(),
    }
}

#[derive(Debug)]
struct Flawed {
    flaw: Flaw,
    runs: Arc<Mutex<HashMap<String, Carried>>>,
}

impl Flawed {
    fn name(&self, run: &str) -> String {
        match self.flaw {
            Flaw::FoldsNames => run.to_lowercase(),
            _ => run.to_owned(),
        }
    }
}

impl CarryOverStore for Flawed {
    type Future<T: Send + 'static> = Boxed<T>;

    fn load(&self, run: &str) -> Boxed<Option<Carried>> {
        let found = self.runs.lock().unwrap().get(&self.name(run)).cloned();
        let found = match self.flaw {
            Flaw::InventsAnEmptyOne => found.or_else(|| {
                let body = b""[..].into();
                Some(Carried { version: 0, body })
            }),
            Flaw::LosesEmptyBodies => found.filter(|carried| !carried.body.is_empty()),
            _ => found,
        };
        Box::pin(async move { Ok(found) })
    }

    fn replace(&self, run: &str, seen: u64, body: Arc<[u8]>) -> Boxed<Replaced> {
        let (flaw, run, runs) = (self.flaw, self.name(run), Arc::clone(&self.runs));
        Box::pin(async move {
            let current = runs.lock().unwrap().get(&run).cloned();
            let seen = match (&current, flaw) {
                (Some(carried), Flaw::LastWriterWins) => carried.version,
                _ => seen,
            };
            let (change, mut answer) = replace(current.as_ref(), seen, &body);
            if let (None, Replaced::Replaced { version }, Flaw::ForgetsItsOwn) = (&change, answer, flaw) {
                answer = Replaced::Stale { version };
            }
            if flaw == Flaw::LooksFirst {
                tokio::task::yield_now().await;
            }
            if let Some(carried) = change {
                runs.lock().unwrap().insert(run, carried);
            }
            Ok(answer)
        })
    }
}
