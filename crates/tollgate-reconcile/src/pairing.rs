//! Who belongs to whom, when one reference has several rows.
//!
//! Most references have one row on each side, and there is nothing to choose. Otherwise rows are paired level by
//! level, from the surest to the least sure, each row at most once, smallest first in the order of rows:
//!
//! 1. same amount, same status, same gateway id;
//! 2. same amount and status;
//! 3. same status, amounts within tolerance;
//! 4. (if asked for) one row against several that add up to it exactly: a split capture;
//! 5. same amount, the status differs;
//! 6. same currency and status, the amount differs;
//! 7. same currency;
//! 8. the exact opposite (`5.00` against `-5.00`): a sign convention gone wrong;
//! 9. same direction, even the currency differs.
//!
//! Except in 3 (one cent against minus one cent, if two are forgiven) and 8, money that came in is never paired with
//! money that went back. What is left over is left over, in each direction, on one side only, and becomes a duplicate
//! or a missing row.

use crate::row::{Row, Side};
use crate::rules::Rules;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::vec::IntoIter;
use tollgate_core::Currency;

/// Positions in the two sorted slices that were given.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    pub(crate) pairs: Vec<(usize, usize)>,
    pub(crate) splits: Vec<Split>,
    pub(crate) ledger_rest: Vec<usize>,
    pub(crate) gateway_rest: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct Split {
    /// The side with the one row.
    pub(crate) whole_side: Side,
    pub(crate) whole: usize,
    pub(crate) parts: Vec<usize>,
}

/// Pairs the rows of one group. Both slices are in the order [`Row::within_group`].
pub(crate) fn pair(ledger: &[Row], gateway: &[Row], rules: &Rules) -> Pairing {
    let mut work = Work {
        ledger,
        gateway,
        found: Pairing {
            ledger_rest: (0..ledger.len()).collect(),
            gateway_rest: (0..gateway.len()).collect(),
            ..Pairing::default()
        },
    };
    work.identified();
    work.level(content);
    work.within_tolerance(rules);
    if rules.split_rows {
        work.splits(rules);
    }
    work.level(amount);
    work.level(|a, b| {
        currency(a, b)
            .then_with(|| a.status.cmp(&b.status))
            .then_with(|| direction(a, b))
    });
    work.level(|a, b| currency(a, b).then_with(|| direction(a, b)));
    work.opposites();
    work.level(direction);
    work.found
}

fn direction(a: &Row, b: &Row) -> Ordering {
    a.comes_in().cmp(&b.comes_in())
}

fn currency(a: &Row, b: &Row) -> Ordering {
    a.amount.currency().cmp(&b.amount.currency())
}

fn amount(a: &Row, b: &Row) -> Ordering {
    currency(a, b).then_with(|| a.amount.minor().cmp(&b.amount.minor()))
}

fn content(a: &Row, b: &Row) -> Ordering {
    amount(a, b).then_with(|| a.status.cmp(&b.status))
}

fn opposite(row: &Row) -> (Currency, i128) {
    (row.amount.currency(), -i128::from(row.amount.minor()))
}

/// Whether [`pair`] would pair these two if they were alone, which nearly all rows are.
pub(crate) fn belong_together(ledger: &Row, gateway: &Row, rules: &Rules) -> bool {
    let same = |row: &Row| (row.amount.currency(), i128::from(row.amount.minor()));
    direction(ledger, gateway).is_eq()
        || (ledger.status == gateway.status && rules.amounts_agree(ledger, gateway))
        || same(ledger) == opposite(gateway)
}

struct Work<'r> {
    ledger: &'r [Row],
    gateway: &'r [Row],
    found: Pairing,
}

impl Work<'_> {
    /// Pairs rows that `key` finds equal.
    fn level(&mut self, key: impl Fn(&Row, &Row) -> Ordering) {
        self.merge(&key, &key, &key);
    }

    /// Sorts what is left of each side (ties as they were) and walks the two together: a row that `meet` calls
    /// smaller than the other side's next one can meet no later one either.
    fn merge(
        &mut self,
        ledger_order: impl Fn(&Row, &Row) -> Ordering,
        gateway_order: impl Fn(&Row, &Row) -> Ordering,
        meet: impl Fn(&Row, &Row) -> Ordering,
    ) {
        let Pairing {
            pairs,
            ledger_rest,
            gateway_rest,
            ..
        } = &mut self.found;
        let mut left = sorted(self.ledger, ledger_rest, ledger_order);
        let mut right = sorted(self.gateway, gateway_rest, gateway_order);
        while let (Some(&l), Some(&g)) = (left.peek(), right.peek()) {
            match meet(&self.ledger[l], &self.gateway[g]) {
                Ordering::Less => ledger_rest.extend(left.next()),
                Ordering::Greater => gateway_rest.extend(right.next()),
                Ordering::Equal => {
                    pairs.push((l, g));
                    left.next();
                    right.next();
                }
            }
        }
        ledger_rest.extend(left);
        gateway_rest.extend(right);
        // ascending again after every level: `splits` searches them
        ledger_rest.sort_unstable();
        gateway_rest.sort_unstable();
    }

    /// Two rows without a gateway id are not thereby the same: they wait for the next level.
    fn identified(&mut self) {
        let key = |a: &Row, b: &Row| content(a, b).then_with(|| a.payment.cmp(&b.payment));
        self.merge(key, key, |a, b| {
            key(a, b).then(match a.payment {
                None => Ordering::Less,
                Some(_) => Ordering::Equal,
            })
        });
    }

    fn within_tolerance(&mut self, rules: &Rules) {
        let kind = |a: &Row, b: &Row| currency(a, b).then_with(|| a.status.cmp(&b.status));
        let order = |a: &Row, b: &Row| kind(a, b).then_with(|| amount(a, b));
        self.merge(order, order, |a, b| match rules.amounts_agree(a, b) {
            true => kind(a, b),
            false => order(a, b),
        });
    }

    /// Walks one side from its largest amount down.
    fn opposites(&mut self) {
        self.merge(
            amount,
            |a, b| opposite(a).cmp(&opposite(b)),
            |ledger, gateway| {
                let same = (ledger.amount.currency(), i128::from(ledger.amount.minor()));
                same.cmp(&opposite(gateway))
            },
        );
    }

    /// One row left here and several there, all of one direction, currency and understood status, that add up to it
    /// exactly. More than one row on both sides would be a guess.
    fn splits(&mut self, rules: &Rules) {
        for comes_in in [false, true] {
            let of = |rows: &[Row], rest: &[usize]| -> Vec<usize> {
                let same_way = |at: &&usize| rows[**at].comes_in() == comes_in;
                rest.iter().filter(same_way).copied().collect()
            };
            let ledger = of(self.ledger, &self.found.ledger_rest);
            let gateway = of(self.gateway, &self.found.gateway_rest);
            let split = match (&ledger[..], &gateway[..]) {
                (&[whole], parts @ [_, _, ..])
                    if adds_up(&self.ledger[whole], self.gateway, parts, rules) =>
                {
                    Split {
                        whole_side: Side::Ledger,
                        whole,
                        parts: gateway,
                    }
                }
                (parts @ [_, _, ..], &[whole])
                    if adds_up(&self.gateway[whole], self.ledger, parts, rules) =>
                {
                    Split {
                        whole_side: Side::Gateway,
                        whole,
                        parts: ledger,
                    }
                }
                _ => continue,
            };
            let whole = [split.whole];
            let (from_ledger, from_gateway) = match split.whole_side {
                Side::Ledger => (&whole[..], &split.parts[..]),
                Side::Gateway => (&split.parts[..], &whole[..]),
            };
            self.found
                .ledger_rest
                .retain(|at| from_ledger.binary_search(at).is_err());
            self.found
                .gateway_rest
                .retain(|at| from_gateway.binary_search(at).is_err());
            self.found.splits.push(split);
        }
    }
}

fn sorted(
    rows: &[Row],
    rest: &mut Vec<usize>,
    order: impl Fn(&Row, &Row) -> Ordering,
) -> Peekable<IntoIter<usize>> {
    let mut rest = std::mem::take(rest);
    rest.sort_by(|a, b| order(&rows[*a], &rows[*b]).then(a.cmp(b)));
    rest.into_iter().peekable()
}

fn adds_up(whole: &Row, rows: &[Row], parts: &[usize], rules: &Rules) -> bool {
    let alike = |at: &usize| {
        let part = &rows[*at];
        part.amount.currency() == whole.amount.currency()
            && part.amount.minor() != 0
            && part.status == whole.status
            && rules.dates_agree(part, whole)
    };
    let sum = |sum: i128, at: &usize| sum.checked_add(rows[*at].amount.minor().into());
    whole.status.understood().is_some()
        && parts.iter().all(alike)
        && parts.iter().try_fold(0, sum) == Some(whole.amount.minor().into())
}
