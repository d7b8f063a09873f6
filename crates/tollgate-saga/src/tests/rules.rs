//! The rules without an engine, one at a time.

use super::explore::{NOW, policy, specs};
use crate::machine::{
    Action, Answer, Asking, Direction, EndState, Progress, Record, Spec, advance, settle_answer, settle_probe,
};
use crate::{Outcome, Probed, Refusal, Repeat};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::Timestamp;

fn sum(specs: &Arc<[Spec]>, records: &[Record]) -> Progress {
    let mut progress = Progress::new(Arc::clone(specs), None);
    for record in records {
        progress.apply(record);
    }
    progress
}

fn intended(step: usize) -> Record {
    Record::Intended {
        step,
        direction: Direction::Forward,
        at: NOW,
    }
}

fn again(step: usize, keyed: bool) -> Record {
    Record::Again {
        step,
        direction: Direction::Forward,
        doubt: true,
        keyed,
        why: crate::outcome::Why::new("-"),
        at: NOW,
        due: NOW,
    }
}

fn next(progress: &mut Progress, now: Timestamp) -> (Vec<Record>, Action) {
    let mut batch = Vec::new();
    let action = advance(progress, &mut batch, now);
    (batch, action)
}

/// A step that never took its key may not be sent again after a doubt.
#[test]
fn a_bare_doubt_is_not_repeated() {
    let specs = specs(true, false);
    let mut bare = sum(&specs, &[intended(0), again(0, false)]);
    assert_eq!(next(&mut bare, NOW).1, Action::Probe { step: 0 });
    let mut keyed = sum(&specs, &[intended(0), again(0, true)]);
    assert!(matches!(next(&mut keyed, NOW).1, Action::Attempt { step: 0, .. }));
}

/// Past the peer's memory of keys a repeat is a new payment.
#[test]
fn nothing_in_doubt_is_repeated_past_the_window() {
    let mut specs = specs(true, false).to_vec();
    specs[0].forward = policy().window(Duration::from_secs(60));
    let specs: Arc<[Spec]> = specs.into();
    let records = [intended(0), again(0, true)];
    let at = |seconds| NOW.saturating_add(Duration::from_secs(seconds));
    assert!(matches!(
        next(&mut sum(&specs, &records), at(59)).1,
        Action::Attempt { .. }
    ));
    assert!(matches!(
        next(&mut sum(&specs, &records), at(60)).1,
        Action::Probe { .. }
    ));
}

#[test]
fn a_step_that_must_not_be_repeated_is_asked_about_after_a_crash() {
    let mut specs = specs(true, false).to_vec();
    specs[0].forward = policy().repeat(Repeat::Never);
    let specs: Arc<[Spec]> = specs.into();
    let mut crashed = sum(&specs, &[intended(0), Record::Resumed { at: NOW }]);
    assert_eq!(next(&mut crashed, NOW).1, Action::Probe { step: 0 });
}

/// A no counts for the attempts before it only when it is the peer's word under the one key they carried.
#[test]
fn a_no_clears_a_doubt_only_under_one_key() {
    let specs = specs(false, false);
    let asking = Asking {
        step: 0,
        direction: Direction::Forward,
        now: NOW,
        seed: 0,
    };
    let doubtful = sum(&specs, &[intended(0), again(0, true)]);
    let no = || Answer::Refused(Refusal::new("no"));
    assert!(matches!(
        settle_answer(&doubtful, asking, no(), true),
        Record::Refused { .. }
    ));
    assert!(matches!(
        settle_answer(&doubtful, asking, no(), false),
        Record::Again { doubt: false, .. }
    ));
    let away = Answer::Refused(Refusal::not_sent("-"));
    assert!(matches!(
        settle_answer(&doubtful, asking, away, true),
        Record::Again { doubt: false, .. }
    ));
}

/// "Not found" right after the last attempt may only mean "not yet".
#[test]
fn not_found_proves_absence_only_after_the_quiet_time() {
    let mut specs = specs(true, false).to_vec();
    specs[0].probe = policy().quiet(Duration::from_secs(30));
    let specs: Arc<[Spec]> = specs.into();
    let progress = sum(&specs, &[intended(0), again(0, false)]);
    let at = |seconds| Asking {
        step: 0,
        direction: Direction::Forward,
        now: NOW.saturating_add(Duration::from_secs(seconds)),
        seed: 0,
    };
    let probed = |seconds| settle_probe(&progress, at(seconds), Outcome::Done(Probed::NotFound));
    assert!(matches!(probed(29), Record::Asked { due, .. } if due == at(30).now));
    assert!(matches!(probed(30), Record::Refused { .. }));
}

#[test]
fn journals_that_make_no_sense_are_refused() {
    let specs = specs(false, false);
    let mut progress = Progress::new(Arc::clone(&specs), None);
    assert!(progress.read(3, &intended(9)).is_err_and(|error| error.at == 3));
    assert!(Record::decode(0, b"{\"kind\":\"teleported\"}").is_err());
    assert!(Record::decode(0, b"").is_err());
}

/// What a verb of yesterday looked like must be readable tomorrow.
#[test]
fn stored_forms_do_not_change() {
    let stored = |record: &Record| String::from_utf8(record.encode().unwrap().to_vec()).unwrap();
    let done = Record::Done {
        step: 2,
        output: serde_json::json!({"id": 5}),
    };
    assert_eq!(stored(&done), r#"{"kind":"done","step":2,"output":{"id":5}}"#);
    assert_eq!(
        stored(&intended(1)),
        r#"{"kind":"intended","step":1,"direction":"forward","at":1700000000000000}"#
    );
    assert_eq!(
        stored(&Record::Ended {
            state: EndState::Compensated
        }),
        r#"{"kind":"ended","state":"compensated"}"#
    );
    assert_eq!(Record::decode(0, stored(&done).as_bytes()), Ok(done));
}

/// Late, it turns back, once what is on its way is known; and behind the pivot not at all.
#[test]
fn a_deadline_turns_back_before_the_pivot_only() {
    let at = |seconds| NOW.saturating_add(Duration::from_secs(seconds));
    let done = |step| Record::Done {
        step,
        output: serde_json::Value::Null,
    };
    let created = Record::Created {
        version: 1,
        shape: String::new(),
        input: serde_json::Value::Null,
        at: NOW,
    };
    let after = |records: &[Record], seconds| {
        let mut progress = Progress::new(specs(false, false), Some(Duration::from_secs(60)));
        progress.apply(&created);
        records.iter().for_each(|record| progress.apply(record));
        next(&mut progress, at(seconds)).1
    };
    let forward = |step| Action::Attempt {
        step,
        direction: Direction::Forward,
    };
    let first = [intended(0), done(0)];
    assert_eq!(after(&first, 59), forward(1));
    assert_eq!(
        after(&first, 60),
        Action::Attempt {
            step: 0,
            direction: Direction::Undo
        }
    );
    assert_eq!(
        after(&[intended(0)], 60),
        forward(0),
        "begun is brought to an end"
    );
    let decided = [intended(0), done(0), intended(1), done(1), intended(2), done(2)];
    assert_eq!(after(&decided, 60), forward(3));
    let all = [&decided[..], &[intended(3), done(3)]].concat();
    assert_eq!(after(&all, 60), Action::Rest(EndState::Completed));
}
