//! What people say about open keys: taken with name and reason, refused with the way out, and never unlogged.

use super::*;
use crate::audit::{AuditLog, Entry, Kind};
use std::time::Duration;
use tokio::time::sleep;
use tollgate_core::Effect;
use tollgate_core::store::audit::{AuditStore, Receipt, chain};
use tollgate_core::store::idempotency::{Resolution, *};
use tollgate_core::store::memory::MemoryAudit;
use tollgate_testkit::fault::{Fault, Faulty, When};
use tollgate_testkit::samples::{self, key};

const CHAIN: &str = "operators";

pub(super) fn log<A: AuditStore>(store: A) -> AuditLog<A> {
    AuditLog::new(store, CHAIN, Secrets::ephemeral())
}

/// What the log holds, once it is known to be whole.
pub(super) async fn entries(log: &MemoryAudit) -> Vec<Entry> {
    let raw = log.read(CHAIN, 0, 1000).await.unwrap();
    assert!(chain::verify(CHAIN, Receipt::START, &raw, None).is_ok());
    raw.iter()
        .map(|entry| serde_json::from_slice(&entry.body).unwrap())
        .collect()
}

/// Kind and fate of each entry, in short.
pub(super) fn fates(entries: &[Entry]) -> Vec<(Kind, Option<&str>)> {
    entries
        .iter()
        .map(|entry| {
            let resolution = entry.resolution.as_ref().unwrap();
            (entry.kind, resolution.written.as_deref())
        })
        .collect()
}

fn ada() -> Operator {
    Operator::new("ada@example", "TICKET-1: the dashboard says so").unwrap()
}

fn begin(number: u8, owner: u128) -> Begin {
    samples::begin(key(number), owner)
}

/// A key whose call timed out.
pub(super) async fn doubt(store: &MemoryIdempotency, number: u8) -> Token {
    let token = samples::claim(store, begin(number, 1)).await;
    let unknown = Settlement::Unknown(Doubt::AnswerInDoubt);
    assert_eq!(store.settle(token, &unknown).await.unwrap(), Settled::Applied);
    token
}

/// What was seen of it, now.
async fn seen(store: &MemoryIdempotency, token: Token) -> Seen {
    Seen {
        key: token.key,
        epoch: token.epoch,
        as_of: store.now().await.unwrap(),
    }
}

fn answer() -> Envelope {
    Envelope {
        ok: true,
        status: 201,
        head: None,
        body: (*b"captured").into(),
    }
}

#[tokio::test]
async fn each_verb_ends_the_doubt_and_stands_in_the_log() {
    let rulings = [
        (Ruling::Executed(Some(answer())), "executed", Effect::Executed),
        (Ruling::Executed(None), "executed", Effect::Executed),
        (Ruling::Declined(None), "declined", Effect::Declined),
        (Ruling::Absent, "absent", Effect::NotSent),
    ];
    for (ruling, says, effect) in rulings {
        let (store, clock) = store();
        let audit = MemoryAudit::new();
        let doubts = Doubts::new(store.clone(), log(audit.clone()));
        let token = doubt(&store, 1).await;
        clock.advance(Duration::from_secs(61));
        let ruled = doubts
            .resolve(&ada(), seen(&store, token).await, ruling.clone())
            .await
            .unwrap();
        assert_eq!((ruled.intent.seq, ruled.outcome.unwrap().seq), (1, 2));

        let again = store.begin(begin(1, 2)).await.unwrap();
        match Resolution::from(ruling) {
            Resolution::Completed(completion) => {
                assert_eq!(again, Begun::Replay(completion));
            }
            Resolution::Released => assert!(matches!(again, Begun::Acquired(_)), "{again:?}"),
        }
        let [intent, outcome] = entries(&audit).await.try_into().unwrap();
        assert_eq!((intent.kind, outcome.kind), (Kind::Intent, Kind::Outcome));
        assert_eq!((&intent.call, intent.effect), (&outcome.call, None));
        assert_eq!(
            (outcome.operation.as_str(), outcome.effect),
            ("resolve", Some(effect))
        );
        let told = outcome.resolution.unwrap();
        assert_eq!(
            (RecordKey::from_hex(&told.record), told.epoch, told.says.as_str()),
            (Some(token.key), token.epoch, says)
        );
        assert_eq!(
            (told.actor.as_str(), told.reason.as_str(), told.written.as_deref()),
            ("ada@example", "TICKET-1: the dashboard says so", Some("resolved"))
        );
        let shown = doubts.show(token.key).await.unwrap().unwrap().record;
        if shown.phase == Phase::Completed {
            assert_eq!(&*shown.evidence.unwrap().actor, "ada@example");
        }
    }
}

/// Each refusal is a value of its own, changes nothing, and stands in the log as what it was.
#[tokio::test]
async fn what_is_not_taken_says_why_and_changes_nothing() {
    let (store, clock) = store();
    let audit = MemoryAudit::new();
    let doubts = Doubts::new(store.clone(), log(audit.clone()));
    let token = doubt(&store, 1).await;
    let say = async |epoch, ruling| {
        let as_of = store.now().await.unwrap();
        let seen = Seen {
            key: key(1),
            epoch,
            as_of,
        };
        doubts.resolve(&ada(), seen, ruling).await
    };

    let before = store.get(key(1)).await.unwrap();
    let early = say(token.epoch, Ruling::Absent).await.unwrap_err();
    assert!(matches!(early, NotResolved::TooEarly { retry_after } if retry_after > Duration::from_secs(59)));
    let other = say(token.epoch + 1, Ruling::Executed(None)).await.unwrap_err();
    assert!(
        matches!(other, NotResolved::Stale { asked: 2, current: 1 }),
        "{other:?}"
    );
    let nowhere = Seen {
        key: key(9),
        ..seen(&store, token).await
    };
    let nobody = doubts.resolve(&ada(), nowhere, Ruling::Absent).await.unwrap_err();
    assert!(matches!(nobody, NotResolved::NotFound(missing) if missing == key(9)));
    assert_eq!(store.get(key(1)).await.unwrap(), before);

    // a look that began while the owner could still send proves nothing, however late it is written down
    let looked = doubts.show(key(1)).await.unwrap().unwrap().seen;
    clock.advance(Duration::from_secs(61));
    let old = doubts.resolve(&ada(), looked, Ruling::Absent).await.unwrap_err();
    assert!(matches!(old, NotResolved::TooEarly { .. }), "{old:?}");
    let _ = say(token.epoch, Ruling::Absent).await.unwrap();
    let done = say(token.epoch, Ruling::Executed(None)).await.unwrap_err();
    assert!(
        matches!(&done, NotResolved::NotInDoubt { phase: Phase::Released, evidence: Some(by) } if &*by.actor == "ada@example")
    );
    // it runs again: evidence of before must not end the later doubt
    assert!(matches!(
        store.begin(begin(1, 2)).await.unwrap(),
        Begun::Acquired(_)
    ));
    let stale = say(token.epoch, Ruling::Executed(None)).await.unwrap_err();
    assert!(matches!(stale, NotResolved::Stale { asked: 1, current: 2 }));
    let running = say(2, Ruling::Executed(None)).await.unwrap_err();
    assert!(matches!(running, NotResolved::Running { .. }));

    let fates: Vec<_> = entries(&audit)
        .await
        .into_iter()
        .filter(|entry| entry.kind == Kind::Outcome)
        .map(|entry| entry.resolution.unwrap().written.unwrap())
        .collect();
    assert_eq!(
        fates,
        [
            "too_early",
            "stale",
            "stale",
            "too_early",
            "resolved",
            "stale",
            "stale",
            "stale"
        ]
    );
    for (error, way_out) in [
        (early, "look again"),
        (other, "list it again"),
        (nobody, "check the key"),
        (done, "resolved by ada@example"),
        (running, "wait until its lease lapses"),
    ] {
        assert!(error.to_string().contains(way_out), "{error}");
    }
}

#[test]
fn an_operator_has_a_name_and_a_reason_and_no_card() {
    for (actor, reason, which) in [
        ("", "why", "actor"),
        ("ada", "", "reason"),
        ("ada", "two\nlines", "reason"),
        ("ada", "card 4111 1111 1111 1111", "reason"),
    ] {
        let refused = Operator::new(actor, reason).unwrap_err();
        assert_eq!(refused.which, which);
        assert!(!refused.to_string().contains("4111"));
    }
}

/// The log is down before: nothing is done, however it fails. (seed S6: the log was down, and it went on without any record.)
#[tokio::test(start_paused = true)]
async fn no_intent_no_resolution() {
    for when in When::ALL {
        let (store, _) = store();
        let token = doubt(&store, 1).await;
        let before = store.get(token.key).await.unwrap();
        let audit = Faulty::new(MemoryAudit::new()).failing(0, when);
        let doubts = Doubts::new(store.clone(), log(audit.clone()));
        let refused = doubts
            .resolve(&ada(), seen(&store, token).await, Ruling::Executed(None))
            .await
            .unwrap_err();
        assert!(matches!(refused, NotResolved::Audit(_)), "{refused:?}");
        assert_eq!(store.get(token.key).await.unwrap(), before, "{when:?}");
        // said again with the log back, it is taken
        let again = doubts
            .resolve(&ada(), seen(&store, token).await, Ruling::Executed(None))
            .await;
        assert!(again.is_ok());
        entries(audit.inner()).await;
    }
}

/// The log is down after: the truth stands and is told, and the log gets it as soon as it is back.
#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_late_changes_nothing() {
    for (failures, within_patience) in [(1, true), (4, true), (20, false)] {
        let (store, _) = store();
        let token = doubt(&store, 1).await;
        let mut audit = Faulty::new(MemoryAudit::new());
        for failure in 1..=failures {
            audit = audit.failing(failure, When::Before);
        }
        let doubts = Doubts::new(store.clone(), log(audit.clone()));
        let ruled = doubts
            .resolve(&ada(), seen(&store, token).await, Ruling::Executed(None))
            .await
            .unwrap();
        assert_eq!(ruled.outcome.is_some(), within_patience, "{failures}");
        let record = store.get(token.key).await.unwrap().unwrap();
        assert_eq!(record.phase, Phase::Completed);
        sleep(Duration::from_secs(300)).await;
        assert_eq!(
            fates(&entries(audit.inner()).await),
            [(Kind::Intent, None), (Kind::Outcome, Some("resolved"))]
        );
    }
}

/// Every fault at every step of store and log: what changed has its intent in a log that verifies, and what is told is true.
#[tokio::test(start_paused = true)]
async fn whatever_fails_nothing_changes_unlogged() {
    let faults = || std::iter::once(None).chain((0..4).flat_map(|at| When::ALL.map(|when| Some((at, when)))));
    for store_fault in faults() {
        for log_fault in faults() {
            let (records, _) = store();
            let token = doubt(&records, 1).await;
            let (mut failing, mut audit) = (Faulty::new(records.clone()), Faulty::new(MemoryAudit::new()));
            if let Some((at, when)) = store_fault {
                failing = failing.failing(at, when);
            }
            if let Some((at, when)) = log_fault {
                audit = audit.failing(at, when);
            }
            let told = Doubts::new(failing, log(audit.clone()))
                .resolve(&ada(), seen(&records, token).await, Ruling::Executed(None))
                .await;
            sleep(Duration::from_secs(300)).await;
            let phase = records.get(token.key).await.unwrap().unwrap().phase;
            let logged = entries(audit.inner()).await;
            let case = format!("{store_fault:?}, {log_fault:?}: {told:?}, {:?}", fates(&logged));
            match &told {
                Ok(_) => assert_eq!(phase, Phase::Completed, "{case}"),
                Err(NotResolved::Audit(_)) => assert_eq!(phase, Phase::Unknown, "{case}"),
                Err(NotResolved::Store(error)) if !error.may_have_happened() => {
                    assert_eq!(phase, Phase::Unknown, "{case}");
                }
                Err(_) => {}
            }
            if phase == Phase::Completed {
                assert_eq!(logged[0].kind, Kind::Intent, "{case}");
                let outcome = logged.last().unwrap();
                assert_eq!(outcome.kind, Kind::Outcome, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_goes_away_in_between_is_told_of() {
    let (records, _) = store();
    let token = doubt(&records, 1).await;
    let audit = MemoryAudit::new();
    let late = Faulty::new(records.clone()).failing_at("resolve", [Fault::queue(Duration::from_secs(10))]);
    let doubts = Doubts::new(late, log(audit.clone()));
    let ada = ada();
    let saying = doubts.resolve(&ada, seen(&records, token).await, Ruling::Executed(None));
    assert!(
        tokio::time::timeout(Duration::from_secs(1), saying)
            .await
            .is_err()
    );
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        fates(&entries(&audit).await),
        [(Kind::Intent, None), (Kind::Abandoned, None)]
    );
}
