//! One run: sort both sides, walk them together, put every row into exactly one bucket.
//!
//! ```text
//! same reference on both sides ──▶ pair (pairing.rs) ─▶ agree ▶ match     disagree ▶ discrepancy or in transit
//! reference on one side only ──▶ same gateway id on both sides ─▶ as above
//!                                otherwise ─▶ first of a direction ▶ missing, further ones ▶ duplicate, young ▶ in transit
//! ```

use crate::discrepancy::{Class, Discrepancy, Hint, InTransit};
use crate::matched::{Match, MatchedBy, Rows};
use crate::pairing::{self, Pairing, Split};
use crate::row::{Row, Side};
use crate::rules::Rules;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::vec::IntoIter;

/// Where rows end.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    pub(crate) matches: Vec<Match>,
    pub(crate) discrepancies: Vec<Discrepancy>,
    pub(crate) in_transit: Vec<InTransit>,
}

/// Puts every row into one bucket. The result depends on the rows alone, not on their order.
pub(crate) fn run(ledger: Vec<Row>, gateway: Vec<Row>, rules: &Rules) -> Buckets {
    let mut run = Run {
        rules,
        buckets: Buckets::default(),
    };
    let (ledger, gateway) = run.both_sides(ledger, gateway, MatchedBy::Reference, Row::cmp, |a, b| {
        a.reference.cmp(&b.reference)
    });
    let (ledger, mut nameless_ledger) = with_payment(ledger);
    let (gateway, mut nameless_gateway) = with_payment(gateway);
    let by_payment = |a: &Row, b: &Row| a.payment.cmp(&b.payment);
    let (ledger, gateway) = run.both_sides(
        ledger,
        gateway,
        MatchedBy::Payment,
        |a, b| by_payment(a, b).then_with(|| a.cmp(b)),
        by_payment,
    );
    nameless_ledger.extend(ledger);
    nameless_gateway.extend(gateway);
    run.one_side(nameless_ledger, Side::Ledger);
    run.one_side(nameless_gateway, Side::Gateway);
    run.buckets.sort();
    run.buckets
}

fn with_payment(rows: Vec<Row>) -> (Vec<Row>, Vec<Row>) {
    rows.into_iter().partition(|row| row.payment.is_some())
}

/// Moves the next rows of one key out of sorted rows.
fn next_group(
    rows: &mut Peekable<IntoIter<Row>>,
    same: impl Fn(&Row, &Row) -> Ordering,
    group: &mut Vec<Row>,
) {
    group.clear();
    group.extend(rows.next());
    while let Some(row) = rows.next_if(|row| group.first().is_some_and(|first| same(first, row).is_eq())) {
        group.push(row);
    }
}

struct Run<'r> {
    rules: &'r Rules,
    buckets: Buckets,
}

impl Run<'_> {
    /// Settles every key that both sides have; gives back the rows whose key only one side has.
    fn both_sides(
        &mut self,
        mut ledger: Vec<Row>,
        mut gateway: Vec<Row>,
        by: MatchedBy,
        order: impl Fn(&Row, &Row) -> Ordering + Copy,
        key: impl Fn(&Row, &Row) -> Ordering + Copy,
    ) -> (Vec<Row>, Vec<Row>) {
        ledger.sort_unstable_by(order);
        gateway.sort_unstable_by(order);
        let (mut ledger, mut gateway) = (ledger.into_iter().peekable(), gateway.into_iter().peekable());
        let (mut ledger_alone, mut gateway_alone) = (Vec::new(), Vec::new());
        let (mut ledger_group, mut gateway_group) = (Vec::new(), Vec::new());
        while let (Some(left), Some(right)) = (ledger.peek(), gateway.peek()) {
            match key(left, right) {
                Ordering::Less => ledger_alone.extend(ledger.next()),
                Ordering::Greater => gateway_alone.extend(gateway.next()),
                Ordering::Equal => {
                    next_group(&mut ledger, key, &mut ledger_group);
                    next_group(&mut gateway, key, &mut gateway_group);
                    self.settle(&mut ledger_group, &mut gateway_group, by);
                }
            }
        }
        ledger_alone.extend(ledger);
        gateway_alone.extend(gateway);
        (ledger_alone, gateway_alone)
    }

    /// Settles the rows of one key; both groups are sorted, not empty, and empty afterwards.
    fn settle(&mut self, ledger: &mut Vec<Row>, gateway: &mut Vec<Row>, by: MatchedBy) {
        if let ([left], [right]) = (&ledger[..], &gateway[..])
            && pairing::belong_together(left, right, self.rules)
            && let (Some(left), Some(right)) = (ledger.pop(), gateway.pop())
        {
            return self.place_pair(left, right, by);
        }
        // references of the group may differ when a gateway id holds it together: pairing looks at content alone
        ledger.sort_unstable_by(Row::within_group);
        gateway.sort_unstable_by(Row::within_group);
        let Pairing {
            pairs,
            splits,
            ledger_rest,
            gateway_rest,
        } = pairing::pair(ledger, gateway, self.rules);
        let first_match = self.buckets.matches.len();
        let mut ledger = Group::new(ledger, Side::Ledger);
        let mut gateway = Group::new(gateway, Side::Gateway);
        for (l, g) in pairs {
            if let (Some(left), Some(right)) = (ledger.take(l), gateway.take(g)) {
                self.place_pair(left, right, by);
            }
        }
        for split in splits {
            self.place_split(&split, &mut ledger, &mut gateway, by);
        }
        self.place_rest(ledger, &ledger_rest);
        self.place_rest(gateway, &gateway_rest);
        mark_repeats(&mut self.buckets.matches[first_match..]);
    }

    fn place_pair(&mut self, ledger: Row, gateway: Row, by: MatchedBy) {
        let differences = self.rules.differences(&ledger, &gateway);
        let Some((&class, also)) = differences.split_first() else {
            self.buckets.matches.push(Match {
                ledger: Rows::One(ledger),
                gateway: Rows::One(gateway),
                by,
                repeat: false,
            });
            return;
        };
        if self.rules.is_young(&ledger) || self.rules.is_young(&gateway) {
            return self.place_in_transit(Some(ledger), Some(gateway));
        }
        let hint = match class {
            Class::AmountMismatch => Hint::of_amounts(&ledger, &gateway),
            _ => None,
        };
        self.buckets.discrepancies.push(Discrepancy {
            also: also.to_vec(),
            hint,
            ..Discrepancy::new(class, Some(ledger), Some(gateway))
        });
    }

    fn place_in_transit(&mut self, ledger: Option<Row>, gateway: Option<Row>) {
        let youngest = [&ledger, &gateway].into_iter().flatten().map(|row| row.at).max();
        let due = youngest
            .unwrap_or(self.rules.as_of)
            .saturating_add(self.rules.window);
        self.buckets.in_transit.push(InTransit { ledger, gateway, due });
    }

    fn place_split(&mut self, split: &Split, ledger: &mut Group, gateway: &mut Group, by: MatchedBy) {
        let (whole_side, part_side) = match split.whole_side {
            Side::Ledger => (ledger, gateway),
            Side::Gateway => (gateway, ledger),
        };
        let parts = split.parts.iter().filter_map(|at| part_side.take(*at)).collect();
        let Some(whole) = whole_side.take(split.whole) else {
            return;
        };
        let (whole, parts) = (Rows::One(whole), Rows::Several(parts));
        let (ledger, gateway) = match split.whole_side {
            Side::Ledger => (whole, parts),
            Side::Gateway => (parts, whole),
        };
        self.buckets.matches.push(Match {
            ledger,
            gateway,
            by,
            repeat: false,
        });
    }

    /// Rows without a partner. A reference stands for one movement in each direction: if none of that direction found
    /// its place, the earliest is missing on the other side; any further one is a duplicate.
    fn place_rest(&mut self, mut group: Group, rest: &[usize]) {
        let mut rest = group.take_rest(rest);
        rest.sort_by_key(|(row, _)| row.at);
        for (row, is_repeat) in rest {
            let (comes_in, is_young) = (row.comes_in(), self.rules.is_young(&row));
            let is_unclear = row.status.understood().is_none();
            let (ledger, gateway) = match group.side {
                Side::Ledger => (Some(row), None),
                Side::Gateway => (None, Some(row)),
            };
            if is_young {
                self.place_in_transit(ledger, gateway);
                continue;
            }
            let (class, hint) = match (group.claim(comes_in), is_repeat) {
                (Claim::First, _) => (Class::missing_opposite(group.side), None),
                (Claim::Further, true) => (Class::duplicate(group.side), Some(Hint::ExactRepeat)),
                (Claim::Further, false) => (Class::duplicate(group.side), Some(Hint::ConflictingRepeat)),
            };
            self.buckets.discrepancies.push(Discrepancy {
                also: is_unclear.then_some(Class::UnknownStatus).into_iter().collect(),
                hint,
                ..Discrepancy::new(class, ledger, gateway)
            });
        }
    }

    /// Rows whose every key the other side does not know.
    fn one_side(&mut self, mut rows: Vec<Row>, side: Side) {
        rows.sort_unstable();
        let mut rows = rows.into_iter().peekable();
        let mut group = Vec::new();
        while rows.peek().is_some() {
            next_group(&mut rows, |a, b| a.reference.cmp(&b.reference), &mut group);
            let all: Vec<usize> = (0..group.len()).collect();
            self.place_rest(Group::new(&mut group, side), &all);
        }
    }
}

/// The rows of one side and one key, in the order [`Row::within_group`].
struct Group {
    side: Side,
    rows: Vec<Option<Row>>,
    /// Whether another row of the group says the same.
    repeated: Vec<bool>,
    /// Directions in which a row was placed: going out, coming in.
    claimed: [bool; 2],
}

enum Claim {
    First,
    Further,
}

impl Group {
    fn new(rows: &mut Vec<Row>, side: Side) -> Self {
        let mut repeated = vec![false; rows.len()];
        for (at, pair) in rows.windows(2).enumerate() {
            if pair[0].repeats(&pair[1]) {
                repeated[at] = true;
                repeated[at + 1] = true;
            }
        }
        Self {
            side,
            rows: rows.drain(..).map(Some).collect(),
            repeated,
            claimed: [false; 2],
        }
    }

    /// Moves out a row that found its partner.
    fn take(&mut self, at: usize) -> Option<Row> {
        let row = self.rows[at].take()?;
        self.claim(row.comes_in());
        Some(row)
    }

    /// Moves out the rows that found none, each with whether another one says the same.
    fn take_rest(&mut self, rest: &[usize]) -> Vec<(Row, bool)> {
        rest.iter()
            .filter_map(|at| Some((self.rows[*at].take()?, self.repeated[*at])))
            .collect()
    }

    fn claim(&mut self, comes_in: bool) -> Claim {
        match std::mem::replace(&mut self.claimed[usize::from(comes_in)], true) {
            false => Claim::First,
            true => Claim::Further,
        }
    }
}

/// Tells the first of several equal matches of one group from the further ones.
fn mark_repeats(matches: &mut [Match]) {
    matches.sort_by(Match::order);
    for at in 1..matches.len() {
        let (before, from) = matches.split_at_mut(at);
        if let (
            Some(Match {
                ledger: Rows::One(before),
                ..
            }),
            Rows::One(row),
        ) = (before.last(), &from[0].ledger)
        {
            from[0].repeat = before.repeats(row);
        }
    }
}

impl Buckets {
    fn sort(&mut self) {
        self.matches.sort_unstable_by(Match::order);
        self.in_transit.sort_unstable_by(|a, b| {
            (a.reference(), a.ledger(), a.gateway()).cmp(&(b.reference(), b.ledger(), b.gateway()))
        });
        self.discrepancies.sort_unstable_by(|a, b| {
            a.meaning(b)
                .then_with(|| (a.ledger(), a.gateway()).cmp(&(b.ledger(), b.gateway())))
        });
        for at in 1..self.discrepancies.len() {
            let (before, from) = self.discrepancies.split_at_mut(at);
            if let Some(before) = before.last().filter(|before| before.meaning(&from[0]).is_eq()) {
                from[0].occurrence = before.occurrence + 1;
            }
        }
    }
}
