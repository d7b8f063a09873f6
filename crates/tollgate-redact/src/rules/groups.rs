//! From text to groups of digits, and from groups to the chains in which a number may be spread.

use super::digits::{Piece, piece_at};
use super::harmless;
use super::pan::LONGEST;
use crate::meter::tick;

/// More invisible characters than this in a row end a number, so that a number's extent stays bounded.
const INVISIBLE_AT_MOST: usize = 8;
/// More gap characters than this in a row end a number.
const GAP_AT_MOST: u8 = 3;

/// What stands between a group and the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    characters: [char; GAP_AT_MOST as usize],
    length: u8,
    breaks: u8,
}

impl Gap {
    const NOTHING: Self = Self {
        characters: ['\0'; GAP_AT_MOST as usize],
        length: 0,
        breaks: 0,
    };

    /// Longer by one character, unless that is too long.
    fn and(mut self, character: char) -> Option<Self> {
        *self.characters.get_mut(usize::from(self.length))? = character;
        self.length += 1;
        Some(self)
    }

    /// With a line break in it. Two make one line end (`\r\n`), three a blank line, which ends a number.
    fn and_break(mut self) -> Option<Self> {
        self.breaks += 1;
        (self.breaks <= 2).then_some(self)
    }

    /// A single space or dash: the two that people mix.
    pub(crate) fn is_space_or_dash(self) -> bool {
        self.length == 1 && matches!(self.characters[0], ' ' | '-')
    }

    pub(crate) fn is_dot(self) -> bool {
        self.length == 1 && self.characters[0] == '.'
    }

    /// Whether something is to be seen between the groups.
    pub(crate) fn is_visible(self) -> bool {
        self.characters[..usize::from(self.length)]
            .iter()
            .any(|character| !character.is_whitespace())
    }

    /// Whether a line ends here: only in the strict profile.
    pub(crate) fn wraps(self) -> bool {
        self.breaks > 0
    }
}

/// Whether the number that ends at `at` cannot go on, nor what follows change what it is, whatever may be added to the text.
pub(crate) fn is_closed(text: &[u8], at: usize, wraps: bool) -> bool {
    /// Enough for the longest escape, and for what may follow a security code.
    const CLEAR: usize = 8;
    let mut at = at;
    while text.len() >= at + CLEAR {
        let (piece, length) = piece_at(text, at);
        match piece {
            Piece::Other => return true,
            Piece::Break if !wraps => return true,
            _ => at += length,
        }
    }
    false
}

/// Consecutive digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// Where its first digit begins, in bytes.
    pub(crate) start: usize,
    /// Where its last digit ends.
    pub(crate) end: usize,
    /// The gap to the group before, or `None` when that group can be no part of the same number.
    pub(crate) gap: Option<Gap>,
    digits: [u8; LONGEST],
    count: usize,
}

impl Group {
    const EMPTY: Self = Self {
        start: 0,
        end: 0,
        gap: None,
        digits: [0; LONGEST],
        count: 0,
    };

    /// The digits, or `None` when there are more than any card number has.
    pub(crate) fn digits(&self) -> Option<&[u8]> {
        self.digits.get(..self.count)
    }

    /// How many digits. All numbers beyond the longest card number are alike: one more than it.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    fn push(&mut self, digit: u8, end: usize) {
        if let Some(slot) = self.digits.get_mut(self.count) {
            *slot = digit;
        }
        self.count = (self.count + 1).min(LONGEST + 1);
        self.end = end;
    }
}

/// The groups of digits in a text, in order.
pub(crate) struct Groups<'a> {
    text: &'a [u8],
    at: usize,
    wraps: bool,
    started: bool,
    /// Whether the text before `at` ends within a run of digits, whose rest is then no number of its own.
    in_run: bool,
    /// Whether to take the long way through every digit, to prove that the short one comes to the same.
    #[cfg(test)]
    thorough: bool,
}

impl<'a> Groups<'a> {
    /// The groups that begin at `from` or later. With `wraps`, a number may go on in the next line. With `in_run`, digits
    /// at `from` are the rest of a run that is known to be too long for a card number.
    pub(crate) fn new(text: &'a [u8], from: usize, wraps: bool, in_run: bool) -> Self {
        Self {
            text,
            at: from,
            wraps,
            started: false,
            in_run,
            #[cfg(test)]
            thorough: tests::THOROUGH.get(),
        }
    }

    #[cfg(test)]
    fn is_thorough(&self) -> bool {
        self.thorough
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self)]
    fn is_thorough(&self) -> bool {
        false
    }

    fn read_group(&mut self, first: u8, length: usize, gap: Option<Gap>) -> Group {
        let mut group = Group {
            start: self.at,
            gap,
            ..Group::EMPTY
        };
        if std::mem::take(&mut self.in_run) {
            group.count = LONGEST;
        }
        group.push(first, self.at + length);
        self.at += length;
        let mut ahead = self.at;
        let mut invisible = 0;
        while ahead < self.text.len() && invisible <= INVISIBLE_AT_MOST {
            let (piece, length) = piece_at(self.text, ahead);
            tick(1);
            ahead += length;
            match piece {
                Piece::Digit(digit) => {
                    group.push(digit, ahead);
                    self.at = ahead;
                    invisible = 0;
                }
                Piece::Invisible => invisible += 1,
                _ => break,
            }
        }
        group
    }
}

impl Iterator for Groups<'_> {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        let mut gap = self.started.then_some(Gap::NOTHING);
        let mut invisible = 0;
        while self.at < self.text.len() {
            if gap.is_none() && !self.in_run && !self.is_thorough() {
                // No number is open, so nothing but a digit matters, and few of those.
                self.at = harmless::skip(self.text, self.at, self.wraps);
                if self.at == self.text.len() {
                    return None;
                }
            }
            let (piece, length) = piece_at(self.text, self.at);
            tick(1);
            match piece {
                Piece::Digit(digit) => {
                    self.started = true;
                    return Some(self.read_group(digit, length, gap));
                }
                Piece::Gap(character) => gap = gap.and_then(|gap| gap.and(character)),
                Piece::Break if self.wraps => gap = gap.and_then(Gap::and_break),
                Piece::Invisible if invisible < INVISIBLE_AT_MOST => invisible += 1,
                _ => gap = None,
            }
            self.in_run &= piece == Piece::Invisible;
            self.at += length;
        }
        None
    }
}

/// The groups that may yet form one number, first to last: at most as many as it takes to exceed its longest length.
///
/// They lie in the middle of a longer array, so that forgetting the first few moves none of the others.
pub(crate) struct Chain {
    groups: [Group; SLOTS],
    first: usize,
    length: usize,
    digits: usize,
}

const SLOTS: usize = 2 * (LONGEST + 1);

impl Chain {
    pub(crate) fn new() -> Self {
        Self {
            groups: [Group::EMPTY; SLOTS],
            first: 0,
            length: 0,
            digits: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        (self.first, self.length, self.digits) = (0, 0, 0);
    }

    pub(crate) fn as_slice(&self) -> &[Group] {
        &self.groups[self.first..self.first + self.length]
    }

    /// How many digits there are in all.
    pub(crate) fn digits(&self) -> usize {
        self.digits
    }

    /// Whether no further group could matter to a number that begins with the first.
    pub(crate) fn is_full(&self) -> bool {
        self.digits > LONGEST
    }

    pub(crate) fn push(&mut self, group: Group) {
        if self.first + self.length == SLOTS {
            self.groups.copy_within(self.first.., 0);
            self.first = 0;
        }
        if let Some(slot) = self.groups.get_mut(self.first + self.length) {
            *slot = group;
            self.length += 1;
            self.digits += group.count();
        }
    }

    /// Forgets the first `count` groups.
    pub(crate) fn drop_first(&mut self, count: usize) {
        let count = count.min(self.length);
        self.digits -= self.as_slice()[..count].iter().map(Group::count).sum::<usize>();
        self.first += count;
        self.length -= count;
        if self.length == 0 {
            self.first = 0;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    thread_local! {
        /// Whether scanners of this thread take the long way.
        pub(crate) static THOROUGH: Cell<bool> = const { Cell::new(false) };
    }
}
