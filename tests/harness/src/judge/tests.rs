use super::{Case, Verdict};
use crate::evidence::{Told, Word};
use crate::gateway::{Deed, Entry};
use crate::merchant::Standing;

fn entry(deed: Deed, charge: &str) -> Entry {
    Entry {
        deed,
        key: "k".into(),
        downstream: "d".into(),
        charge: charge.into(),
        at: 0,
    }
}

fn told(word: Word, charge: Option<&str>) -> Told {
    Told {
        key: "k".into(),
        word,
        charge: charge.map(str::to_owned),
    }
}

fn case(ledger: &[Entry], told: &[Told], standing: Standing) -> Verdict {
    let case = Case {
        ledger: ledger.to_vec(),
        told: told.to_vec(),
        standings: [("k".to_owned(), standing)].into(),
        asked_again: false,
        resolved: 0,
    };
    case.judge().0
}

const CLEAN: Verdict = Verdict {
    keys: 1,
    effects: 1,
    duplicates: 0,
    lost: 0,
    unknown: 0,
    resolved: 0,
};

#[test]
fn what_is_right_is_not_convicted() {
    let charge = [entry(Deed::Charged, "ch_1")];
    let paid = [told(Word::Unknown, None), told(Word::Paid, Some("ch_1"))];
    assert_eq!(case(&charge, &paid, Standing::Executed), CLEAN);
    let no = [entry(Deed::Declined, "ch_1")];
    let none = Verdict { effects: 0, ..CLEAN };
    assert_eq!(case(&no, &[told(Word::Declined, None)], Standing::Declined), none);
    // known to be unknown, whether it happened or not
    let unknown = [told(Word::Unknown, None)];
    assert_eq!(
        case(&charge, &unknown, Standing::Open),
        Verdict { unknown: 1, ..CLEAN }
    );
    assert_eq!(
        case(&[], &unknown, Standing::Open),
        Verdict { unknown: 1, ..none }
    );
    // nothing happened and nobody said so
    assert_eq!(case(&[], &[told(Word::Nothing, None)], Standing::Free), none);
}

#[test]
fn two_charges_are_a_duplicate() {
    let twice = [entry(Deed::Charged, "ch_1"), entry(Deed::Charged, "ch_2")];
    let verdict = case(&twice, &[told(Word::Paid, Some("ch_2"))], Standing::Executed);
    let expected = Verdict {
        effects: 2,
        duplicates: 1,
        ..CLEAN
    };
    assert_eq!(verdict, expected);
    assert!(!verdict.is_clean());
    // a decline beside a charge is no second effect
    let once = [entry(Deed::Declined, "ch_1"), entry(Deed::Charged, "ch_2")];
    assert_eq!(
        case(&once, &[told(Word::Paid, Some("ch_2"))], Standing::Executed),
        CLEAN
    );
}

#[test]
fn every_way_of_losing_is_lost() {
    let charge = [entry(Deed::Charged, "ch_1")];
    let paid = told(Word::Paid, Some("ch_1"));
    let lost = |ledger: &[Entry], told: &[Told], standing| case(ledger, told, standing).lost;
    assert_eq!(
        lost(&[], std::slice::from_ref(&paid), Standing::Executed),
        1,
        "told paid, nothing happened"
    );
    assert_eq!(
        lost(&charge, &[told(Word::Paid, Some("ch_9"))], Standing::Executed),
        1,
        "another charge"
    );
    assert_eq!(
        lost(&charge, &[told(Word::Paid, None)], Standing::Executed),
        1,
        "no charge named"
    );
    assert_eq!(
        lost(&charge, &[told(Word::Declined, None)], Standing::Executed),
        1,
        "told declined, it happened"
    );
    for standing in [Standing::Declined, Standing::Running, Standing::Free] {
        assert_eq!(
            lost(&charge, &[told(Word::Unknown, None)], standing),
            1,
            "{standing:?}"
        );
        assert_eq!(
            lost(&charge, std::slice::from_ref(&paid), standing),
            1,
            "{standing:?}"
        );
    }
    assert_eq!(
        lost(&[], &[told(Word::Unknown, None)], Standing::Executed),
        1,
        "the store believes in nothing"
    );
    // an earlier word is held against him too
    assert_eq!(
        lost(&charge, &[told(Word::Declined, None), paid], Standing::Executed),
        1
    );
}

/// An effect that no client asked for any more counts as well.
#[test]
fn an_effect_without_a_client_is_seen() {
    assert_eq!(case(&[entry(Deed::Charged, "ch_1")], &[], Standing::Free).lost, 1);
}

/// The store knows, and its replays do not work: whoever asks after the storm must be told.
#[test]
fn an_outcome_that_nobody_is_told_is_lost() {
    let lost = |ledger: &[Entry], told: &[Told], standing, asked_again| {
        let case = Case {
            ledger: ledger.to_vec(),
            told: told.to_vec(),
            standings: [("k".to_owned(), standing)].into(),
            asked_again,
            resolved: 0,
        };
        case.judge().0.lost
    };
    let (charge, no) = ([entry(Deed::Charged, "ch_1")], [entry(Deed::Declined, "ch_1")]);
    for word in [Word::Unknown, Word::Nothing] {
        let told = [told(word, None)];
        assert_eq!(lost(&charge, &told, Standing::Executed, true), 1);
        assert_eq!(lost(&no, &told, Standing::Declined, true), 1);
        assert_eq!(
            lost(&charge, &told, Standing::Executed, false),
            0,
            "nobody asked after the storm"
        );
        assert_eq!(
            lost(&charge, &told, Standing::Open, true),
            0,
            "known to be unknown"
        );
    }
    let paid = [told(Word::Unknown, None), told(Word::Paid, Some("ch_1"))];
    assert_eq!(lost(&charge, &paid, Standing::Executed, true), 0);
}
