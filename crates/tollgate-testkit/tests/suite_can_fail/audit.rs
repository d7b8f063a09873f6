//! Audit logs in the state they are found in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tollgate_core::store::Boxed;
use tollgate_core::store::audit::{AuditEntry, AuditStore, LinkHash, Receipt, chain};
use tollgate_core::{Clock, ManualClock, Timestamp};
use tollgate_testkit::conformance::audit as suite;
use tollgate_testkit::histories::{Histories, Plain};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    StartsSomewhere,
    LinksNothing,
    ReceiptOfTheLastButOne,
    KeepsTextOnly,
    FoldsNames,
    IgnoresTheLimit,
    StoppedClock,
    Torn,
}

const FLAWS: &[(Flaw, &[&str])] = &[
    (Flaw::StartsSomewhere, &["an_empty_chain_starts_at_the_start"]),
    (
        Flaw::LinksNothing,
        &["entries_are_numbered_and_linked", "many_writers_leave_no_gap"],
    ),
    (Flaw::ReceiptOfTheLastButOne, &["a_receipt_is_the_head"]),
    (Flaw::KeepsTextOnly, &["bytes_are_kept_as_they_were_written"]),
    (Flaw::FoldsNames, &["chains_do_not_touch_each_other"]),
    (Flaw::IgnoresTheLimit, &["a_chain_is_read_in_pages"]),
    (Flaw::StoppedClock, &["time_does_not_run_backwards_in_a_chain"]),
    (Flaw::Torn, &["many_writers_leave_no_gap"]),
];

const UNSEEN: &[Flaw] = &[Flaw::Torn];

fn walk(histories: &Histories, flaw: Flaw) {
    histories.audit(async |clock| Plain(store(flaw, clock)));
}

tollgate_testkit::each_audit_property!(proves_itself);

fn store(flaw: Flaw, clock: ManualClock) -> Flawed {
    Flawed {
        flaw,
        clock,
        chains: Arc::default(),
    }
}

#[derive(Debug)]
struct Flawed {
    flaw: Flaw,
    clock: ManualClock,
    chains: Arc<Mutex<HashMap<String, Vec<AuditEntry>>>>,
}

impl Flawed {
    fn name(&self, name: &str) -> String {
        if self.flaw == Flaw::FoldsNames {
            name.trim().to_lowercase()
        } else {
            name.to_owned()
        }
    }

    fn entries(&self, name: &str) -> Vec<AuditEntry> {
        self.chains
            .lock()
            .unwrap()
            .get(&self.name(name))
            .cloned()
            .unwrap_or_default()
    }
}

fn receipt(entry: Option<&AuditEntry>) -> Receipt {
    entry.map_or(Receipt::START, |entry| Receipt {
        seq: entry.seq,
        hash: entry.hash,
    })
}

impl AuditStore for Flawed {
    type Future<T: Send + 'static> = Boxed<T>;

    fn append(&self, name: &str, body: Arc<[u8]>) -> Boxed<Receipt> {
        let (flaw, name, chains) = (self.flaw, self.name(name), Arc::clone(&self.chains));
        let now = if flaw == Flaw::StoppedClock {
            Timestamp::EPOCH
        } else {
            self.clock.now()
        };
        let body = match flaw {
            Flaw::KeepsTextOnly => String::from_utf8_lossy(&body).as_bytes().into(),
            _ => body,
        };
        Box::pin(async move {
            let before = receipt(
                chains
                    .lock()
                    .unwrap()
                    .get(&name)
                    .and_then(|entries| entries.last()),
            );
            if flaw == Flaw::Torn {
                tokio::task::yield_now().await;
            }
            let linked = match flaw {
                Flaw::LinksNothing => Receipt {
                    hash: LinkHash::START,
                    ..before
                },
                _ => before,
            };
            let entry = chain::next(&name, linked, now, body);
            let told = if flaw == Flaw::ReceiptOfTheLastButOne {
                before
            } else {
                receipt(Some(&entry))
            };
            chains.lock().unwrap().entry(name).or_default().push(entry);
            Ok(told)
        })
    }

    fn head(&self, name: &str) -> Boxed<Receipt> {
        let found = receipt(self.entries(name).last());
        let told = match self.flaw {
            Flaw::StartsSomewhere if found == Receipt::START => Receipt { seq: 1, ..found },
            _ => found,
        };
        Box::pin(std::future::ready(Ok(told)))
    }

    fn read(&self, name: &str, after: u64, limit: u32) -> Boxed<Vec<AuditEntry>> {
        let limit = if self.flaw == Flaw::IgnoresTheLimit {
            u32::MAX
        } else {
            limit
        };
        let mut entries = self.entries(name);
        entries.retain(|entry| entry.seq > after);
        entries.truncate(usize::try_from(limit).unwrap());
        Box::pin(std::future::ready(Ok(entries)))
    }
}
