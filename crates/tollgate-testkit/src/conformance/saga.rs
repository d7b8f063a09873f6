//! What a saga journal must keep: append-only, fenced, and held by one engine at a time.

use crate::conformance::Subject;
use std::sync::Arc;
use tollgate_core::store::saga::{Append, Created, Fenced, Journal, NewSaga, SagaId, SagaJournal, SagaState};

properties! {
    /// Makes a module of tests out of every property of [`conformance::saga`](crate::conformance::saga): give the module's name and
    /// an expression that makes a [`Subject`](crate::conformance::Subject) with an empty journal.
    saga_conformance, each_saga_property, saga:
    a_saga_is_created_with_its_first_records,
    one_saga_per_name_and_key,
    a_used_id_never_overwrites,
    appends_are_kept_in_order,
    an_append_under_a_stale_epoch_writes_nothing,
    an_append_that_missed_records_writes_nothing,
    an_append_to_nothing_is_fenced,
    a_live_saga_is_not_claimed,
    a_lapsed_saga_is_claimed_and_its_engine_fenced,
    appending_and_renewing_extend_the_lease,
    only_known_definitions_are_claimed,
    only_active_sagas_are_claimed,
    no_more_are_claimed_than_asked,
    a_person_may_claim_one_saga_in_any_state,
    sagas_are_listed_by_state_in_pages,
    sagas_do_not_touch_each_other,
    one_of_many_creations_wins,
    no_saga_is_claimed_by_two_engines,
}

const NAME: &str = "checkout";

fn id(number: u8) -> SagaId {
    SagaId([number; 16])
}

fn bytes(record: &[u8]) -> Arc<[u8]> {
    record.into()
}

fn new<S: Send + Sync + 'static>(subject: &Subject<S>, number: u8) -> NewSaga {
    NewSaga {
        id: id(number),
        name: NAME.into(),
        key: format!("order-{number}").into(),
        records: vec![bytes(b"started"), bytes(b"")],
        lease: subject.unit(),
    }
}

async fn create<S: SagaJournal>(subject: &Subject<S>, number: u8) {
    assert_eq!(
        ask!(subject.store().create(new(subject, number))),
        Created::Created
    );
}

/// One more record, for an engine that holds epoch `epoch` and has seen `seen` records.
fn record<S: Send + Sync + 'static>(subject: &Subject<S>, number: u8, epoch: u64, seen: u64) -> Append {
    Append {
        id: id(number),
        epoch,
        seen,
        records: vec![bytes(b"intent"), bytes(&[0, 255])],
        state: SagaState::Running,
        lease: subject.unit(),
    }
}

async fn load<S: SagaJournal>(subject: &Subject<S>, number: u8) -> Journal {
    match ask!(subject.store().load(id(number))) {
        Some(journal) => journal,
        None => panic!("saga {number} is gone"),
    }
}

async fn claim<S: SagaJournal>(subject: &Subject<S>, limit: u32) -> Vec<Journal> {
    let mut claimed = ask!(subject.store().claim(&[NAME.into()], subject.unit(), limit));
    claimed.sort_unstable_by_key(|journal| journal.id);
    claimed
}

async fn finish<S: SagaJournal>(subject: &Subject<S>, number: u8, state: SagaState) {
    let last = Append {
        state,
        ..record(subject, number, 1, 2)
    };
    assert_eq!(ask!(subject.store().append(last)), Fenced::No);
}

/// A new saga runs, at epoch 1, with what it was created with.
pub async fn a_saga_is_created_with_its_first_records<S: SagaJournal>(subject: &Subject<S>) {
    assert_eq!(ask!(subject.store().load(id(1))), None);
    create(subject, 1).await;
    let expected = Journal {
        id: id(1),
        name: NAME.into(),
        key: "order-1".into(),
        state: SagaState::Running,
        epoch: 1,
        records: vec![bytes(b"started"), bytes(b"")],
    };
    assert_eq!(load(subject, 1).await, expected);
}

/// Created twice, under whatever id, there is one, and the second is told which. The key belongs to the definition.
pub async fn one_saga_per_name_and_key<S: SagaJournal>(subject: &Subject<S>) {
    create(subject, 1).await;
    for other in [1, 2] {
        let again = NewSaga {
            id: id(other),
            records: vec![bytes(b"another")],
            ..new(subject, 1)
        };
        assert_eq!(ask!(subject.store().create(again)), Created::Exists(id(1)));
    }
    assert_eq!(ask!(subject.store().load(id(2))), None);
    assert_eq!(load(subject, 1).await.records.len(), 2);
    let namesake = NewSaga {
        name: "refund".into(),
        id: id(3),
        ..new(subject, 1)
    };
    assert_eq!(ask!(subject.store().create(namesake)), Created::Created);
}

/// An id that is taken by another saga is an error, never an overwritten journal.
pub async fn a_used_id_never_overwrites<S: SagaJournal>(subject: &Subject<S>) {
    create(subject, 1).await;
    let before = load(subject, 1).await;
    let collision = NewSaga {
        id: id(1),
        ..new(subject, 2)
    };
    let answer = subject.store().create(collision).await;
    assert!(answer.is_err(), "the id is taken: {answer:?}");
    assert_eq!(load(subject, 1).await, before);
}

/// Records stand in the order of their appends, byte for byte.
pub async fn appends_are_kept_in_order<S: SagaJournal>(subject: &Subject<S>) {
    create(subject, 1).await;
    let mut expected = load(subject, 1).await.records;
    for turn in 0..5u8 {
        let records = vec![bytes(&[turn; 3]), bytes(&[255 - turn])];
        expected.extend(records.iter().cloned());
        let seen = 2 + 2 * u64::from(turn);
        let append = Append {
            records,
            ..record(subject, 1, 1, seen)
        };
        assert_eq!(ask!(subject.store().append(append)), Fenced::No);
    }
    let nothing = Append {
        records: Vec::new(),
        state: SagaState::Unwinding,
        ..record(subject, 1, 1, 12)
    };
    assert_eq!(ask!(subject.store().append(nothing)), Fenced::No);
    let found = load(subject, 1).await;
    assert_eq!((found.records, found.state), (expected, SagaState::Unwinding));
}

/// An engine that another has replaced writes nothing.
pub async fn an_append_under_a_stale_epoch_writes_nothing<S: SagaJournal>(subject: &Subject<S>) {
    create(subject, 1).await;
    let before = load(subject, 1).await;
    for epoch in [0, 2] {
        let stale = Append {
            state: SagaState::Completed,
            ..record(subject, 1, epoch, 2)
        };
        assert_eq!(ask!(subject.store().append(stale)), Fenced::Yes);
    }
    assert_eq!(load(subject, 1).await, before);
}

/// An engine that has not seen every record writes nothing: its append may be a repeat whose first answer was lost.
pub async fn an_append_that_missed_records_writes_nothing<S: SagaJournal>(subject: &Subject<S>) {
    create(subject, 1).await;
    let append = record(subject, 1, 1, 2);
    assert_eq!(ask!(subject.store().append(append.clone())), Fenced::No);
    let before = load(subject, 1).await;
    for seen in [0, 2, 3, 5] {
        let missed = Append {
            seen,
            ..append.clone()
        };
        assert_eq!(ask!(subject.store().append(missed)), Fenced::Yes, "seen: {seen}");
    }
    assert_eq!(load(subject, 1).await, before);
}

/// A journal that is not there holds nobody's claim.
pub async fn an_append_to_nothing_is_fenced<S: SagaJournal>(subject: &Subject<S>) {
    assert_eq!(
        ask!(subject.store().append(record(subject, 1, 1, 0))),
        Fenced::Yes
    );
    assert_eq!(ask!(subject.store().renew(id(1), 1, subject.unit())), Fenced::Yes);
    assert_eq!(ask!(subject.store().claim_one(id(1), subject.unit())), None);
    assert_eq!(ask!(subject.store().load(id(1))), None);
}

/// While an engine's lease runs, no other gets the saga.
pub async fn a_live_saga_is_not_claimed<S: SagaJournal>(subject: &Subject<S>) {
    create(subject, 1).await;
    subject.pass_half().await;
    assert_eq!(claim(subject, 10).await, []);
}

/// A saga whose engine is lost goes to the next, with its records, at the next epoch; the lost engine is fenced.
pub async fn a_lapsed_saga_is_claimed_and_its_engine_fenced<S: SagaJournal>(subject: &Subject<S>) {
    create(subject, 1).await;
    subject.pass(1).await;
    let mut expected = load(subject, 1).await;
    expected.epoch = 2;
    assert_eq!(claim(subject, 10).await, [expected.clone()]);
    assert_eq!(claim(subject, 10).await, [], "it is held again");
    assert_eq!(
        ask!(subject.store().append(record(subject, 1, 1, 2))),
        Fenced::Yes
    );
    assert_eq!(
        ask!(subject.store().renew(id(1), 1, subject.unit() * 9)),
        Fenced::Yes
    );
    assert_eq!(load(subject, 1).await, expected);
    assert_eq!(ask!(subject.store().append(record(subject, 1, 2, 2))), Fenced::No);
}

/// An engine that works keeps its saga.
pub async fn appending_and_renewing_extend_the_lease<S: SagaJournal>(subject: &Subject<S>) {
    create(subject, 1).await;
    create(subject, 2).await;
    let long = Append {
        lease: subject.unit() * 3,
        ..record(subject, 1, 1, 2)
    };
    assert_eq!(ask!(subject.store().append(long)), Fenced::No);
    assert_eq!(
        ask!(subject.store().renew(id(2), 1, subject.unit() * 3)),
        Fenced::No
    );
    subject.pass(2).await;
    assert_eq!(claim(subject, 10).await, []);
    subject.pass(1).await;
    assert_eq!(claim(subject, 10).await.len(), 2);
}

/// An engine claims only what it knows how to run.
pub async fn only_known_definitions_are_claimed<S: SagaJournal>(subject: &Subject<S>) {
    create(subject, 1).await;
    let other = NewSaga {
        name: "refund".into(),
        ..new(subject, 2)
    };
    ask!(subject.store().create(other));
    subject.pass(1).await;
    assert_eq!(ask!(subject.store().claim(&[], subject.unit(), 10)), []);
    assert_eq!(
        ask!(subject.store().claim(&["check".into()], subject.unit(), 10)),
        []
    );
    let claimed = ask!(
        subject
            .store()
            .claim(&["refund".into(), "transfer".into()], subject.unit(), 10)
    );
    assert_eq!(
        claimed.iter().map(|journal| journal.id).collect::<Vec<_>>(),
        [id(2)]
    );
    assert_eq!(claim(subject, 10).await.len(), 1);
}

/// What is running or unwinding is claimed; what has ended, or waits for a person, is not.
pub async fn only_active_sagas_are_claimed<S: SagaJournal>(subject: &Subject<S>) {
    for (number, state) in (1..).zip(SagaState::ALL) {
        create(subject, number).await;
        finish(subject, number, state).await;
    }
    subject.pass(1).await;
    let states: Vec<_> = claim(subject, 10)
        .await
        .iter()
        .map(|journal| journal.state)
        .collect();
    assert_eq!(states, [SagaState::Running, SagaState::Unwinding]);
}

/// An engine gets no more than it asked for, and the rest stays for others.
pub async fn no_more_are_claimed_than_asked<S: SagaJournal>(subject: &Subject<S>) {
    for number in 1..=5 {
        create(subject, number).await;
    }
    subject.pass(1).await;
    let mut seen = Vec::new();
    for expected in [2, 2, 1, 0] {
        let claimed = claim(subject, 2).await;
        assert_eq!(claimed.len(), expected);
        seen.extend(claimed.iter().map(|journal| journal.id));
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3, 4, 5].map(id));
}

/// For people: parked, ended, or held by an engine that is known to be gone. The engine is fenced from then on.
pub async fn a_person_may_claim_one_saga_in_any_state<S: SagaJournal>(subject: &Subject<S>) {
    for (number, state) in (1..).zip(SagaState::ALL) {
        create(subject, number).await;
        finish(subject, number, state).await;
        let mut expected = load(subject, number).await;
        expected.epoch = 2;
        let claimed = ask!(subject.store().claim_one(id(number), subject.unit()));
        assert_eq!(claimed, Some(expected));
        assert_eq!(
            ask!(subject.store().append(record(subject, number, 1, 4))),
            Fenced::Yes
        );
        let back = Append {
            state: SagaState::Running,
            ..record(subject, number, 2, 4)
        };
        assert_eq!(ask!(subject.store().append(back)), Fenced::No);
    }
}

/// Operators list by state, in the order of ids, page by page.
pub async fn sagas_are_listed_by_state_in_pages<S: SagaJournal>(subject: &Subject<S>) {
    for number in [5, 1, 3] {
        create(subject, number).await;
        finish(subject, number, SagaState::Parked).await;
    }
    create(subject, 2).await;
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = ask!(subject.store().list(SagaState::Parked, after, 2));
        assert!(page.len() <= 2, "no more than the limit");
        let Some(last) = page.last() else { break };
        after = Some(*last);
        seen.extend(page);
        assert!(seen.len() < 100, "the listing does not end");
    }
    assert_eq!(seen, [1, 3, 5].map(id));
    assert_eq!(ask!(subject.store().list(SagaState::Running, None, 10)), [id(2)]);
}

/// What happens to one saga happens to no other.
pub async fn sagas_do_not_touch_each_other<S: SagaJournal>(subject: &Subject<S>) {
    create(subject, 1).await;
    create(subject, 2).await;
    let before = load(subject, 2).await;
    finish(subject, 1, SagaState::Compensated).await;
    ask!(subject.store().claim_one(id(1), subject.unit()));
    assert_eq!(load(subject, 2).await, before);
    assert_eq!(ask!(subject.store().append(record(subject, 2, 1, 2))), Fenced::No);
}

/// Of many who create the same saga at one moment, one does; the others learn its id.
pub async fn one_of_many_creations_wins<S: SagaJournal>(subject: &Subject<S>) {
    let unit = subject.unit();
    let answers = subject
        .together(16, |store, number| async move {
            let saga = NewSaga {
                id: id(number),
                name: NAME.into(),
                key: "order".into(),
                records: vec![bytes(&[number])],
                lease: unit,
            };
            (number, ask!(store.create(saga)))
        })
        .await;
    let winners: Vec<_> = answers
        .iter()
        .filter(|(_, created)| *created == Created::Created)
        .collect();
    let [(winner, _)] = winners[..] else {
        panic!("one creates it: {answers:?}")
    };
    for (number, created) in &answers {
        assert!(
            number == winner || *created == Created::Exists(id(*winner)),
            "{answers:?}"
        );
    }
    assert_eq!(load(subject, *winner).await.records, [bytes(&[*winner])]);
}

/// Engines that look for work at one moment share it out.
pub async fn no_saga_is_claimed_by_two_engines<S: SagaJournal>(subject: &Subject<S>) {
    for number in 1..=20 {
        create(subject, number).await;
    }
    subject.pass(1).await;
    let unit = subject.unit();
    let mut claimed: Vec<_> = subject
        .together(
            8,
            |store, _| async move { ask!(store.claim(&[NAME.into()], unit, 5)) },
        )
        .await
        .into_iter()
        .flatten()
        .map(|journal| journal.id)
        .collect();
    claimed.sort_unstable();
    let expected: Vec<_> = (1..=20).map(id).collect();
    assert_eq!(claimed, expected, "each once");
}
