//! The same answer, found the slow way: no sorting and no walking together, only "of all pairs that are left, the
//! surest, and of equally sure ones the first".

use crate::rules::Tolerance;
use crate::{Class, Row, Side};
use std::collections::BTreeMap;
use std::time::Duration;
use tollgate_core::Timestamp;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) as_of: Timestamp,
    pub(crate) window: Duration,
    pub(crate) tolerance: Tolerance,
    pub(crate) dates_within: Option<Duration>,
    pub(crate) split_rows: bool,
}

/// One bucket entry: what happened, to which rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Verdict {
    pub(crate) what: What,
    pub(crate) ledger: Vec<Row>,
    pub(crate) gateway: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Matched,
    InTransit,
    Wrong(Vec<Class>),
}

/// How surely two rows of one group belong together; smaller is surer.
fn level(a: &Row, b: &Row, settings: &Settings) -> Option<u8> {
    let currency = a.amount.currency() == b.amount.currency();
    let (x, y) = (i128::from(a.amount.minor()), i128::from(b.amount.minor()));
    let direction = (x < 0) == (y < 0);
    let status = a.status == b.status;
    let near = currency && (x - y).unsigned_abs() <= settings.tolerance.of(a.amount.currency()).into();
    let id = a.payment.is_some() && a.payment == b.payment;
    [
        currency && x == y && status && id,
        currency && x == y && status,
        near && status,
        currency && x == y,
        currency && status && direction,
        currency && direction,
        currency && x == -y,
        direction,
    ]
    .iter()
    .position(|fits| *fits)
    .map(|level| u8::try_from(level).unwrap())
}

/// The order in which equally sure pairs are taken.
fn rank(row: &Row) -> impl Ord + use<> {
    let (amount, row) = (row.amount, row.clone());
    (
        amount.currency(),
        amount.minor(),
        row.status.clone(),
        row.at,
        row.payment.clone(),
        row,
    )
}

fn young(row: &Row, settings: &Settings) -> bool {
    let age = i128::from(settings.as_of.unix_micros()) - i128::from(row.at.unix_micros());
    age.unsigned_abs() < settings.window.as_micros()
}

fn wrong_with(a: &Row, b: &Row, settings: &Settings) -> Vec<Class> {
    let apart = i128::from(a.at.unix_micros()) - i128::from(b.at.unix_micros());
    let late = settings
        .dates_within
        .is_some_and(|most| apart.unsigned_abs() > most.as_micros());
    let other_currency = a.amount.currency() != b.amount.currency();
    let difference = (i128::from(a.amount.minor()) - i128::from(b.amount.minor())).unsigned_abs();
    let other_amount = difference > settings.tolerance.of(a.amount.currency()).into();
    let unknown = a.status.understood().is_none() || b.status.understood().is_none();
    let checks = [
        (other_currency, Class::CurrencyMismatch),
        (!other_currency && other_amount, Class::AmountMismatch),
        (unknown, Class::UnknownStatus),
        (!unknown && a.status != b.status, Class::StatusMismatch),
        (late, Class::DateMismatch),
    ];
    checks
        .into_iter()
        .filter_map(|(is, class)| is.then_some(class))
        .collect()
}

struct Slow<'s> {
    settings: &'s Settings,
    verdicts: Vec<Verdict>,
}

/// The answer, as a sorted list.
pub(crate) fn slow(ledger: &[Row], gateway: &[Row], settings: &Settings) -> Vec<Verdict> {
    let mut slow = Slow {
        settings,
        verdicts: Vec::new(),
    };
    let by_reference = |row: &Row| Some(row.reference.to_string());
    let by_payment = |row: &Row| row.payment.as_ref().map(ToString::to_string);
    let (ledger, gateway) = slow.by(ledger, gateway, by_reference);
    let (ledger, gateway) = slow.by(&ledger, &gateway, by_payment);
    for (rows, side) in [(ledger, Side::Ledger), (gateway, Side::Gateway)] {
        let mut groups: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for row in rows {
            groups.entry(row.reference.to_string()).or_default().push(row);
        }
        for group in groups.into_values() {
            slow.rest(group, &[], side);
        }
    }
    slow.verdicts.sort();
    slow.verdicts
}

impl Slow<'_> {
    /// Settles every name that both sides use; gives back the others.
    fn by(
        &mut self,
        ledger: &[Row],
        gateway: &[Row],
        name: impl Fn(&Row) -> Option<String>,
    ) -> (Vec<Row>, Vec<Row>) {
        let shared = |rows: &[Row], others: &[Row]| -> (Vec<Row>, Vec<Row>) {
            let is_shared =
                |row: &Row| name(row).is_some() && others.iter().any(|other| name(other) == name(row));
            rows.iter().cloned().partition(is_shared)
        };
        let (mut in_ledger, ledger_alone) = shared(ledger, gateway);
        let (mut in_gateway, gateway_alone) = shared(gateway, ledger);
        while let Some(of) = in_ledger.first().map(&name) {
            let (left, ledger_later) = in_ledger.into_iter().partition(|row| name(row) == of);
            let (right, gateway_later) = in_gateway.into_iter().partition(|row| name(row) == of);
            self.group(left, right);
            (in_ledger, in_gateway) = (ledger_later, gateway_later);
        }
        (ledger_alone, gateway_alone)
    }

    fn group(&mut self, mut left: Vec<Row>, mut right: Vec<Row>) {
        left.sort_by_key(rank);
        right.sort_by_key(rank);
        let (mut placed_left, mut placed_right) = (Vec::new(), Vec::new());
        for round in 0..8 {
            if round == 3 && self.settings.split_rows {
                self.splits(&mut left, &mut right, &mut placed_left, &mut placed_right);
            }
            loop {
                let all = (0..left.len()).flat_map(|l| (0..right.len()).map(move |r| (l, r)));
                // rows that fit a surer level were taken there, unless their partners were
                let fits = |pair: &(usize, usize)| {
                    level(&left[pair.0], &right[pair.1], self.settings).is_some_and(|level| level <= round)
                };
                let Some((l, r)) = all.filter(fits).min() else {
                    break;
                };
                let (l, r) = (left.remove(l), right.remove(r));
                placed_left.push(l.clone());
                placed_right.push(r.clone());
                self.pair(l, r);
            }
        }
        self.rest(left, &placed_left, Side::Ledger);
        self.rest(right, &placed_right, Side::Gateway);
    }

    fn splits(
        &mut self,
        left: &mut Vec<Row>,
        right: &mut Vec<Row>,
        placed_left: &mut Vec<Row>,
        placed_right: &mut Vec<Row>,
    ) {
        for negative in [true, false] {
            let way = |rows: &[Row]| -> Vec<Row> {
                rows.iter()
                    .filter(|row| (row.amount.minor() < 0) == negative)
                    .cloned()
                    .collect()
            };
            let (here, there) = (way(left), way(right));
            let (whole, parts) = match (here.len(), there.len()) {
                (1, 2..) => (&here[0], &there),
                (2.., 1) => (&there[0], &here),
                _ => continue,
            };
            let sum: i128 = parts.iter().map(|part| i128::from(part.amount.minor())).sum();
            let fits = |part: &Row| {
                part.amount.minor() != 0
                    && part.amount.currency() == whole.amount.currency()
                    && !wrong_with(part, whole, self.settings)
                        .iter()
                        .any(|class| *class != Class::AmountMismatch)
            };
            if sum == i128::from(whole.amount.minor()) && parts.iter().all(fits) {
                left.retain(|row| !here.contains(row));
                right.retain(|row| !there.contains(row));
                placed_left.extend(here.clone());
                placed_right.extend(there.clone());
                self.say(What::Matched, here, there);
            }
        }
    }

    fn pair(&mut self, l: Row, r: Row) {
        let wrong = wrong_with(&l, &r, self.settings);
        let waits = young(&l, self.settings) || young(&r, self.settings);
        let what = match (wrong.is_empty(), waits) {
            (true, _) => What::Matched,
            (false, true) => What::InTransit,
            (false, false) => What::Wrong(wrong),
        };
        self.say(what, vec![l], vec![r]);
    }

    fn rest(&mut self, mut rows: Vec<Row>, placed: &[Row], side: Side) {
        rows.sort_by_key(|row| (row.at, rank(row)));
        let mut placed = placed.to_vec();
        for row in rows {
            let further = placed
                .iter()
                .any(|other| (other.amount.minor() < 0) == (row.amount.minor() < 0));
            let class = match (side, further) {
                (Side::Ledger, false) => Class::MissingAtGateway,
                (Side::Ledger, true) => Class::DuplicateInLedger,
                (Side::Gateway, false) => Class::MissingInLedger,
                (Side::Gateway, true) => Class::DuplicateAtGateway,
            };
            let what = if young(&row, self.settings) {
                What::InTransit
            } else {
                placed.push(row.clone());
                let unknown = row.status.understood().is_none().then_some(Class::UnknownStatus);
                What::Wrong([class].into_iter().chain(unknown).collect())
            };
            match side {
                Side::Ledger => self.say(what, vec![row], vec![]),
                Side::Gateway => self.say(what, vec![], vec![row]),
            }
        }
    }

    fn say(&mut self, what: What, ledger: Vec<Row>, gateway: Vec<Row>) {
        self.verdicts.push(Verdict {
            what,
            ledger,
            gateway,
        });
    }
}
