//! One pass over the text: from groups of digits to what is masked.
//!
//! The scanner holds the [`Chain`] of groups that may yet form one number, decides about the first of them, and moves
//! on. A decision looks a bounded distance ahead ([`LOOKAHEAD`]) and a bounded distance back, into the text *as it was put
//! out* (see [`Output`]), so time is linear in the text and a text can be scanned in pieces.

mod output;
#[cfg(test)]
mod tests;
mod window;

use crate::finding::{Finding, Kind, Shown};
use crate::rules::groups::{self, Chain, Group, Groups};
use crate::rules::{digits, expiry, json, label, pan, track};
use output::Output;
use std::ops::Range;
use window::{Number, Strength};

/// No decision looks further ahead than this many bytes. The longest extent is that of nineteen escaped digits with the
/// widest gaps and invisible characters between them, with a track after it.
pub(crate) const LOOKAHEAD: usize = 8 * 1024;
/// No decision looks further back than this many bytes: forty characters of four bytes, with some to spare.
pub(crate) const LOOK_BACK: usize = 256;

/// What the caller chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Rules {
    pub(crate) strict: bool,
    pub(crate) shown: Shown,
}

/// What is known about a text from outside of it: the name of the field that it is the value of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Field {
    /// Nothing.
    #[default]
    Unknown,
    /// Its name speaks of cards.
    MentionsCard,
    /// Its name says that it is a card number.
    NamesCardNumber,
}

/// How far to scan a text that may go on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// To this place, which must be [`LOOKAHEAD`] or more from the end.
    Horizon(usize),
    /// As far as no continuation could change anything.
    Open,
}

/// Where in a longer text a scan stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    /// The bytes before this one were put out, and are looked at for labels only.
    pub(crate) from: usize,
    /// Whether the text before `from` ends within a run of digits too long for any number.
    pub(crate) in_run: bool,
    /// What is known about the line of JSON that `from` lies in.
    pub(crate) strings: json::Strings,
}

/// The one pass.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    rules: Rules,
    field: Field,
    groups: Groups<'a>,
    waiting: Option<Group>,
    chain: Chain,
    strings: json::Strings,
    output: Output<'a>,
    in_run: bool,
}

impl<'a> Scanner<'a> {
    /// A scan of a whole text.
    pub(crate) fn new(text: &'a [u8], rules: Rules) -> Self {
        Self::resumed(text, rules, Position::default())
    }

    /// A scan that goes on at a position.
    pub(crate) fn resumed(text: &'a [u8], rules: Rules, position: Position) -> Self {
        Self {
            text,
            rules,
            field: Field::Unknown,
            groups: Groups::new(text, position.from, rules.strict, position.in_run),
            waiting: None,
            chain: Chain::new(),
            strings: position.strings,
            output: Output::new(text, position.from),
            in_run: false,
        }
    }

    /// The same scan of a text that is the value of a field.
    pub(crate) fn of_field(self, field: Field) -> Self {
        Self { field, ..self }
    }

    /// Everything that is to be masked, and the masked text, or `None` when there is nothing to mask.
    pub(crate) fn run(mut self) -> (Vec<Finding>, Option<Vec<u8>>) {
        while self.fill() {
            self.advance();
        }
        self.output.finish(self.text.len())
    }

    /// As [`run`](Self::run), of a text that may go on: stops at the first number about which what follows could still
    /// matter. Gives what was found, the text put out between `from` and the new position if that differs from the raw
    /// one, and the new position.
    pub(crate) fn run_unfinished(mut self, until: Until) -> (Vec<Finding>, Option<Vec<u8>>, Position) {
        let mut decided = self.output.masked_to();
        let mut undecided = None;
        while self.fill() {
            let Some(first) = self.chain.as_slice().first() else {
                break;
            };
            if self.is_open(first, until) {
                undecided = Some(first.start - track::sentinel_before(&self.text[..first.start]));
                break;
            }
            decided = decided.max(self.advance());
        }
        let in_run = self.in_run && decided == self.text.len();
        let tail = digits::unfinished_tail(self.text);
        let end = undecided
            .map_or(tail, |undecided: usize| undecided.min(tail))
            .max(decided);
        self.strings.read_to(self.text, end);
        let (found, out) = self.output.finish(end);
        (
            found,
            out,
            Position {
                from: end,
                in_run,
                strings: self.strings,
            },
        )
    }

    /// Whether what follows the text could change the decision about its first undecided group.
    fn is_open(&self, first: &Group, until: Until) -> bool {
        match until {
            Until::Horizon(horizon) => first.start >= horizon,
            Until::Open => {
                let last = self.chain.as_slice().last().map_or(first.end, |last| last.end);
                let closed = groups::is_closed(self.text, last, self.rules.strict);
                !closed || self.chain.digits() >= pan::SHORTEST
            }
        }
    }

    /// Whether the text holds what a payments API must refuse: a valid number of a known issuer, or a track.
    pub(crate) fn holds_card_number(mut self) -> bool {
        while self.fill() {
            let track = self.track().is_some();
            if track
                || self
                    .window()
                    .is_some_and(|number| number.strength >= Strength::Loose && number.issued)
            {
                return true;
            }
            self.chain.drop_first(1);
        }
        false
    }

    /// Takes in all groups that may matter to the first one. False at the end of the text.
    fn fill(&mut self) -> bool {
        while !self.chain.is_full() {
            let Some(group) = self.waiting.take().or_else(|| self.groups.next()) else {
                break;
            };
            if group.start < self.output.masked_to() {
                continue; // a security code that was masked with its number
            }
            if self.chain.as_slice().is_empty() || group.gap.is_some() {
                self.chain.push(group);
            } else {
                self.waiting = Some(group);
                break;
            }
        }
        !self.chain.as_slice().is_empty()
    }

    /// Decides about the first group, and forgets it and all others that are masked now. Gives the end of what is decided.
    fn advance(&mut self) -> usize {
        self.decide();
        let masked_to = self.output.masked_to();
        let groups = self.chain.as_slice();
        let over = groups
            .iter()
            .take_while(|group| group.start < masked_to)
            .count()
            .max(1)
            .min(groups.len());
        let last = groups[..over].last();
        self.in_run = last.is_some_and(|last| last.digits().is_none() && last.end == self.text.len());
        let decided = last.map_or(masked_to, |last| last.end).max(masked_to);
        self.chain.drop_first(over);
        decided
    }

    fn decide(&mut self) {
        if let Some((kind, range)) = self.track() {
            // A track ends where it ends, be it within a group, so what follows is read anew.
            self.groups = Groups::new(self.text, range.end, self.rules.strict, false);
            self.waiting = None;
            self.chain.clear();
            self.output.mask(range, kind, kind.mark().as_bytes());
            return;
        }
        let number = self.window();
        let sure = number
            .as_ref()
            .is_some_and(|number| number.strength == Strength::Sound);
        match number {
            Some(number) if sure || !self.mask_code() => self.mask_number(&number),
            Some(_) => {}
            None => {
                self.mask_code();
            }
        }
    }

    /// The track that begins with the first group.
    fn track(&self) -> Option<(Kind, Range<usize>)> {
        let first = self.chain.as_slice().first()?;
        track::around(self.text, first)
    }

    /// The number that begins with the first group.
    fn window(&mut self) -> Option<Number> {
        if self.chain.digits() < pan::SHORTEST {
            return None;
        }
        window::best(self.chain.as_slice(), self.text, &mut self.output, self.field)
    }

    fn mask_number(&mut self, number: &Number) {
        let shown = if number.ambiguous {
            Shown::Nothing
        } else {
            self.rules.shown
        };
        let mask = shown.mask(number.digits());
        self.mask_value(number.range.clone(), Kind::CardNumber, &mask);
        if let Some(code) = expiry::code_after(self.text, number.range.end) {
            self.mask_value(code, Kind::SecurityCode, Kind::SecurityCode.mark().as_bytes());
        }
    }

    /// Masks the first group if it is the value of a security code, or in the strict profile of a PIN.
    fn mask_code(&mut self) -> bool {
        let Some(first) = self.chain.as_slice().first() else {
            return false;
        };
        let range = first.start..first.end;
        let count = first.count();
        let pin = self.rules.strict && (4..=12).contains(&count);
        if !matches!(count, 3 | 4) && !pin || is_glued_after(self.text, range.end) {
            return false;
        }
        let left = self.output.left(range.start);
        let kind =
            if matches!(count, 3 | 4) && label::names_security_code(left, left.len(), self.rules.strict) {
                Kind::SecurityCode
            } else if pin && label::names_pin(left, left.len()) {
                Kind::Pin
            } else {
                return false;
            };
        self.mask_value(range, kind, kind.mark().as_bytes());
        true
    }

    /// Masks a value, in quotes where it stands bare in JSON.
    fn mask_value(&mut self, range: Range<usize>, kind: Kind, mask: &[u8]) {
        match json::bare_number(self.text, &range, &mut self.strings) {
            Some(range) => self.output.mask(range, kind, &[b"\"", mask, b"\""].concat()),
            None => self.output.mask(range, kind, mask),
        }
    }
}

/// Whether what ends at `end` is only the beginning of something longer: `123abc`, `123_4`, `1.5`, `12-3`.
fn is_glued_after(text: &[u8], end: usize) -> bool {
    match text[end..] {
        [b'.' | b'-', next, ..] => next.is_ascii_digit(),
        [next, ..] => next.is_ascii_alphanumeric() || next == b'_',
        [] => false,
    }
}
