//! Webhook stores in the state they are found in.

use crate::{Next, Pause, Shelf};
use std::time::Duration;
use tollgate_core::store::Boxed;
use tollgate_core::store::dedup::rule::{self, Change};
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey, EventRecord, Ticket};
use tollgate_core::{ManualClock, Timestamp};
use tollgate_testkit::conformance::dedup as suite;
use tollgate_testkit::histories::{Histories, Plain};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    TicketsForAnother,
    GivesTwice,
    MarksBeforeProcessing,
    NeverDone,
    KeepsForever,
    KeepsTheLease,
    ForgetsTheFence,
    FencesTheLate,
    CommitsOnce,
    ReleasesWhatIsDone,
    IgnoresTheBytes,
    BelievesAnyTicket,
    ForgetsWhatRuns,
    OneEvent,
    Torn,
}

const FLAWS: &[(Flaw, &[&str])] = &[
    (Flaw::TicketsForAnother, &["a_new_event_is_claimed"]),
    (
        Flaw::GivesTwice,
        &[
            "a_claim_in_progress_is_not_given_twice",
            "one_of_many_deliveries_wins",
        ],
    ),
    // seed W9
    (
        Flaw::MarksBeforeProcessing,
        &["an_event_is_not_lost_when_its_process_dies"],
    ),
    (Flaw::NeverDone, &["a_processed_event_is_not_processed_again"]),
    (
        Flaw::KeepsForever,
        &["a_processed_event_is_forgotten_after_its_retention"],
    ),
    (Flaw::KeepsTheLease, &["a_released_event_can_be_claimed_at_once"]),
    (Flaw::ForgetsTheFence, &["a_late_owner_is_fenced"]),
    (
        Flaw::FencesTheLate,
        &["a_late_owner_may_commit_if_nobody_took_over"],
    ),
    (Flaw::CommitsOnce, &["a_commit_can_be_repeated_but_not_undone"]),
    (
        Flaw::ReleasesWhatIsDone,
        &["a_commit_can_be_repeated_but_not_undone"],
    ),
    (Flaw::IgnoresTheBytes, &["other_bytes_are_another_event"]),
    (Flaw::BelievesAnyTicket, &["a_ticket_for_nothing_does_nothing"]),
    (
        Flaw::ForgetsWhatRuns,
        &["forgetting_takes_only_what_may_be_forgotten"],
    ),
    (Flaw::OneEvent, &["events_do_not_touch_each_other"]),
    (Flaw::Torn, &["one_of_many_deliveries_wins"]),
];

const UNSEEN: &[Flaw] = &[Flaw::Torn];

fn walk(histories: &Histories, flaw: Flaw) {
    histories.dedup(async |clock| Plain(store(flaw, clock)));
}

tollgate_testkit::each_dedup_property!(proves_itself);

fn store(flaw: Flaw, clock: ManualClock) -> Flawed {
    let pause = if flaw == Flaw::Torn {
        Pause::Within
    } else {
        Pause::Never
    };
    Flawed {
        flaw,
        shelf: Shelf::new(clock, pause),
    }
}

#[derive(Debug)]
struct Flawed {
    flaw: Flaw,
    shelf: Shelf<EventKey, EventRecord>,
}

impl Flawed {
    fn step<T: Send + 'static>(
        &self,
        key: EventKey,
        decide: impl FnOnce(Flaw, Option<&EventRecord>, Timestamp) -> (Change, T) + Send + 'static,
    ) -> Boxed<T> {
        let flaw = self.flaw;
        let key = if flaw == Flaw::OneEvent {
            EventKey([0; 32])
        } else {
            key
        };
        self.shelf
            .step(key, move |record, now| match decide(flaw, record, now) {
                (Change::Keep, answer) => (Next::Keep, answer),
                (Change::Put(record), answer) => (Next::Put(record), answer),
            })
    }
}

/// The ticket that the store takes this one for.
fn taken_for(flaw: Flaw, record: Option<&EventRecord>, ticket: Ticket) -> Ticket {
    match (flaw, record) {
        (Flaw::ForgetsTheFence, Some(record)) => Ticket {
            fence: record.fence,
            ..ticket
        },
        _ => ticket,
    }
}

impl DedupStore for Flawed {
    type Future<T: Send + 'static> = Boxed<T>;

    fn claim(&self, mut asked: Claim) -> Boxed<Claimed> {
        self.step(asked.key, move |flaw, record, now| {
            let mut seen = record.copied();
            match (flaw, &mut seen) {
                (Flaw::GivesTwice, Some(record)) if !record.done => record.until = now,
                (Flaw::KeepsForever, Some(record)) if record.done => record.until = Timestamp::MAX,
                _ => {}
            }
            if flaw == Flaw::IgnoresTheBytes {
                asked.digest = EventDigest([0; 32]);
            }
            match (flaw, rule::claim(seen.as_ref(), &asked, now)) {
                (Flaw::MarksBeforeProcessing, (Change::Put(record), claimed)) => {
                    let until = now.saturating_add(Duration::from_secs(1_000));
                    (
                        Change::Put(EventRecord {
                            done: true,
                            until,
                            ..record
                        }),
                        claimed,
                    )
                }
                (Flaw::TicketsForAnother, (change, Claimed::Acquired(ticket))) => {
                    let key = EventKey([9; 32]);
                    (change, Claimed::Acquired(Ticket { key, ..ticket }))
                }
                (_, answer) => answer,
            }
        })
    }

    fn commit(&self, ticket: Ticket, retention: Duration) -> Boxed<bool> {
        self.step(ticket.key, move |flaw, record, now| match flaw {
            Flaw::NeverDone => (Change::Keep, true),
            Flaw::BelievesAnyTicket if record.is_none() => (Change::Keep, true),
            Flaw::FencesTheLate if record.is_some_and(|r| r.until <= now) => (Change::Keep, false),
            Flaw::CommitsOnce if record.is_some_and(|r| r.done) => (Change::Keep, false),
            _ => rule::commit(record, &taken_for(flaw, record, ticket), retention, now),
        })
    }

    fn release(&self, ticket: Ticket) -> Boxed<bool> {
        self.step(ticket.key, move |flaw, record, now| match (flaw, record) {
            (Flaw::KeepsTheLease, _) => (Change::Keep, true),
            (Flaw::ReleasesWhatIsDone, Some(record)) => (
                Change::Put(EventRecord {
                    done: false,
                    until: now,
                    ..*record
                }),
                true,
            ),
            _ => rule::release(record, &taken_for(flaw, record, ticket), now),
        })
    }

    fn forget(&self, limit: u32) -> Boxed<u64> {
        let flaw = self.flaw;
        self.shelf.all(|rows, now| {
            let gone: Vec<_> = rows
                .iter()
                .filter(|(_, r)| rule::is_forgettable(r, now) || (flaw == Flaw::ForgetsWhatRuns && !r.done))
                .map(|(key, _)| *key)
                .take(usize::try_from(limit).unwrap())
                .collect();
            rows.retain(|key, _| !gone.contains(key));
            u64::try_from(gone.len()).unwrap()
        })
    }
}
