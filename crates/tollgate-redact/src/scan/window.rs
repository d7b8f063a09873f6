//! Which of the groups from the first one on form a card number.
//!
//! Every window begins with the first group and ends with another, never within one: so a 20-digit id is left alone, and
//! an amount, an expiry or a timestamp beside a number does not hide it.

use super::Field;
use super::output::Output;
use crate::meter::tick;
use crate::rules::groups::{Gap, Group};
use crate::rules::near::{Before, before};
use crate::rules::pan::{self, Evidence, LONGEST};
use crate::rules::{label, luhn, suppress, track};
use std::cell::OnceCell;
use std::ops::Range;

/// How much speaks for a window. Of two windows the stronger wins, and of two equal ones the longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    /// It is called a card number, but its check digit is wrong: a typing error leaks fifteen right digits.
    Mistyped,
    /// So, and with the length that its issuer's numbers have.
    MistypedOfIssuer,
    /// The check digit is right and a word such as "card" stands before it, but nobody groups digits so.
    Loose,
    /// The check digit is right, and so are issuer, length, and grouping.
    Sound,
}

/// A window that is taken for a card number.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    /// Its extent in the text.
    pub(crate) range: Range<usize>,
    pub(crate) strength: Strength,
    /// Whether some scheme issues numbers that begin like this and are as long.
    pub(crate) issued: bool,
    /// Whether a shorter window from the same group is as sound, so that nobody can say which four digits are the last.
    pub(crate) ambiguous: bool,
    digits: [u8; LONGEST],
    count: usize,
}

impl Number {
    /// Its digits, as values.
    pub(crate) fn digits(&self) -> &[u8] {
        &self.digits[..self.count]
    }
}

/// What stands before the first digit, which is the same for all windows. Labels are looked for when they first matter,
/// since most runs of digits fail by their check digit alone.
struct Surroundings<'l> {
    left: &'l [u8],
    before: Before,
    given: Field,
    named: OnceCell<bool>,
    mentioned: OnceCell<bool>,
}

impl<'l> Surroundings<'l> {
    fn new(left: &'l [u8], given: Field) -> Self {
        let before = before(left, left.len());
        Self {
            left,
            before,
            given,
            named: OnceCell::new(),
            mentioned: OnceCell::new(),
        }
    }

    /// Whether it is said to be a card number.
    fn named(&self) -> bool {
        let look = || label::names_card_number(self.left, self.left.len());
        self.given == Field::NamesCardNumber || *self.named.get_or_init(look)
    }

    /// Whether a word that speaks of cards stands near.
    fn labelled(&self) -> bool {
        let look = || label::mentions_card(self.left, self.left.len());
        self.given == Field::MentionsCard || self.named() || *self.mentioned.get_or_init(look)
    }

    fn glued(&self) -> bool {
        matches!(self.before, Before::Letter | Before::Digit | Before::Joint)
    }
}

/// The groups of one window, taken in one by one.
struct Window {
    start: usize,
    end: usize,
    digits: [u8; LONGEST],
    count: usize,
    lengths: [usize; LONGEST],
    groups: usize,
    gap: Option<Gap>,
    mixed: bool,
    wrapped: bool,
}

impl Window {
    fn new(first: &Group) -> Self {
        Self {
            start: first.start,
            end: first.start,
            digits: [0; LONGEST],
            count: 0,
            lengths: [0; LONGEST],
            groups: 0,
            gap: None,
            mixed: false,
            wrapped: false,
        }
    }

    /// Takes in one more group, unless it can be no part of the same number.
    fn grow(&mut self, group: &Group) -> Option<()> {
        if self.groups > 0 {
            self.join(group.gap?)?;
        }
        let digits = group.digits()?;
        tick(digits.len());
        self.digits
            .get_mut(self.count..self.count + digits.len())?
            .copy_from_slice(digits);
        self.lengths[self.groups] = digits.len();
        self.count += digits.len();
        self.groups += 1;
        self.end = group.end;
        Some(())
    }

    /// All gaps of a number are alike, except that space and dash may mix, and that a line may end in any.
    fn join(&mut self, gap: Gap) -> Option<()> {
        if gap.wraps() {
            self.wrapped = true;
            return Some(());
        }
        match self.gap {
            None => self.gap = Some(gap),
            Some(first) if first == gap => {}
            Some(first) if first.is_space_or_dash() && gap.is_space_or_dash() => self.mixed = true,
            Some(_) => return None,
        }
        Some(())
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..self.count]
    }

    fn lengths(&self) -> &[usize] {
        &self.lengths[..self.groups]
    }

    fn is_solid(&self) -> bool {
        self.groups == 1
    }

    /// Whether somebody would write a card number like this.
    fn is_known_shape(&self) -> bool {
        self.is_solid() || pan::is_known_grouping(self.lengths())
    }

    /// Whether these gaps and this place rule out a number.
    fn is_impossible(&self, around: &Surroundings<'_>) -> bool {
        let dotted = self.gap.is_some_and(Gap::is_dot);
        (self.mixed && !pan::may_mix_gaps(self.lengths()))
            || (self.wrapped && !self.is_known_shape())
            || (self.is_solid() && around.before == Before::Point)
            || (dotted && !(self.is_known_shape() && self.groups >= 3))
    }

    /// What speaks for this window being a card number. The cheapest questions come first.
    fn strength(&self, around: &Surroundings<'_>) -> Option<Strength> {
        tick(self.count);
        let valid = luhn::passes(self.digits());
        if (!valid && !around.named()) || self.is_impossible(around) {
            return None;
        }
        let needed = pan::evidence_needed(self.digits());
        if !self.is_known_shape() {
            return (valid && self.is_loose(around, needed)).then_some(Strength::Loose);
        }
        if valid && self.is_sound(around, needed) {
            return Some(Strength::Sound);
        }
        let named = around.named() && self.count > pan::SHORTEST;
        named.then_some(match needed {
            Some(Evidence::Enough) => Strength::MistypedOfIssuer,
            _ => Strength::Mistyped,
        })
    }

    fn is_sound(&self, around: &Surroundings<'_>, needed: Option<Evidence>) -> bool {
        match needed {
            // A short number after a plus sign is a telephone's.
            _ if around.before == Before::Plus && self.count < 15 && !around.labelled() => false,
            Some(Evidence::Enough) => true,
            Some(Evidence::Unglued) => !(self.is_solid() && around.glued()) || around.labelled(),
            Some(Evidence::Labelled) => around.labelled(),
            None => {
                self.is_varied() && around.labelled() && !(self.is_solid() && around.before == Before::Letter)
            }
        }
    }

    fn is_loose(&self, around: &Surroundings<'_>, needed: Option<Evidence>) -> bool {
        let few_and_visible = self.groups <= 5 && self.gap.is_some_and(Gap::is_visible);
        let no_single_digits = self.lengths().iter().all(|&length| length >= 2);
        around.labelled() && (few_and_visible || no_single_digits) && (needed.is_some() || self.is_varied())
    }

    /// Whether there are more than two different digits. Of the others, most are placeholders.
    fn is_varied(&self) -> bool {
        let seen = self.digits().iter().fold(0u16, |seen, digit| seen | 1 << digit);
        seen.count_ones() > 2
    }
}

/// The number that the chain begins with.
///
/// Two windows from the same group may both be sound: a 16-digit number with a security code after it passes for a
/// 19-digit one now and then. Then the longer is masked, and none of its digits shown.
pub(crate) fn best(chain: &[Group], text: &[u8], output: &mut Output<'_>, field: Field) -> Option<Number> {
    let first = chain.first()?;
    let left = output.left(first.start);
    if is_remainder(left, &text[first.end..], first) {
        return None;
    }
    let mut window = Window::new(first);
    let around = Surroundings::new(left, field);
    let mut best: Option<Number> = None;
    for (index, group) in chain.iter().enumerate() {
        let other = || track::around(text, group).is_some() || is_remainder(&[], &text[group.end..], group);
        if (index > 0 && other()) || window.grow(group).is_none() {
            break;
        }
        if window.count < pan::SHORTEST {
            continue;
        }
        let Some(strength) = window.strength(&around) else {
            continue;
        };
        let range = window.start..window.end;
        if best.as_ref().is_some_and(|best| best.strength > strength)
            || suppress::is_something_else(left, text, &range)
        {
            continue;
        }
        let issued = pan::evidence_needed(window.digits()).is_some();
        let ambiguous = best.is_some_and(|best| best.strength == Strength::Sound);
        best = Some(Number {
            range,
            strength,
            issued,
            ambiguous,
            digits: window.digits,
            count: window.count,
        });
    }
    best
}

/// Whether this group is what a mask left of a number: `1111` in `************1111`, `411111` in `411111******1111`.
fn is_remainder(left: &[u8], right: &[u8], group: &Group) -> bool {
    const STARS: &[u8] = b"****";
    (group.count() == 4 && left.ends_with(STARS)) || (group.count() == 6 && right.starts_with(STARS))
}
