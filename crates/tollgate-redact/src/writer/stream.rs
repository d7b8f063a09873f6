//! Masks a text that comes in pieces. Knows nothing of `std::io`.
//!
//! What may be part of a secret is held until it is clear what it is, so a number that is cut in two anywhere is masked all
//! the same. A line end makes everything before it clear; and a line longer than [`HELD_AT_MOST`] is put out in parts, each
//! cut where no number is open.

use super::tally::Tally;
use crate::redactor::Redactor;
use crate::rules::digits::Piece;
use crate::rules::digits::piece_at;
use crate::scan::{LOOK_BACK, LOOKAHEAD, Position, Scanner, Until};
use std::borrow::Cow;

/// No more of an unfinished line is held than this, in bytes.
const HELD_AT_MOST: usize = 64 * 1024;
/// Input is taken in pieces of this size, in bytes, so that memory is bounded whatever is written at once.
const PIECE: usize = 16 * 1024;

pub(crate) struct Stream {
    redactor: Redactor,
    /// The last of what was put out, which is looked back at for labels, and then what is held.
    buffer: Vec<u8>,
    /// Where in the buffer the held text begins.
    position: Position,
}

impl Stream {
    pub(crate) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            buffer: Vec::new(),
            position: Position::default(),
        }
    }

    /// How many bytes are held.
    pub(crate) fn held(&self) -> usize {
        self.buffer.len() - self.position.from
    }

    /// Masks whole lines without holding any of it, or gives `None` when something is held already or will have to be.
    pub(crate) fn whole_lines<'b>(&self, bytes: &'b [u8], tally: &Tally) -> Option<Cow<'b, [u8]>> {
        if !self.buffer.is_empty() || !bytes.ends_with(b"\n") || !self.is_wall(bytes, bytes.len() - 1) {
            return None;
        }
        let (found, masked) = Scanner::new(bytes, self.redactor.rules()).run();
        tally.add(&found);
        Some(masked.map_or(Cow::Borrowed(bytes), Cow::Owned))
    }

    /// Takes in more text, and puts out what is clear.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>, tally: &Tally) {
        for piece in bytes.chunks(PIECE) {
            let fresh = self.buffer.len();
            self.buffer.extend_from_slice(piece);
            if let Some(wall) = self.last_wall(fresh) {
                self.finish_to(wall + 1, out, tally);
            }
            if self.held() > HELD_AT_MOST {
                self.put_out(Until::Horizon(self.buffer.len() - LOOKAHEAD), out, tally);
            }
        }
    }

    /// Puts out all that no continuation could turn into a part of a secret.
    pub(crate) fn settle(&mut self, out: &mut Vec<u8>, tally: &Tally) {
        if self.held() > 0 {
            self.put_out(Until::Open, out, tally);
        }
    }

    /// The text ends here: puts out everything.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>, tally: &Tally) {
        if self.held() > 0 {
            self.finish_to(self.buffer.len(), out, tally);
        }
        (self.buffer, self.position) = (Vec::new(), Position::default());
    }

    /// The last line end at `from` or later that no secret can reach across.
    fn last_wall(&self, from: usize) -> Option<usize> {
        memchr::memrchr_iter(b'\n', &self.buffer[from..])
            .map(|offset| from + offset)
            .find(|&at| self.is_wall(&self.buffer, at))
    }

    /// Whether no secret can reach across the line end at `at`. In the strict profile a number may, if digits stand there.
    fn is_wall(&self, text: &[u8], at: usize) -> bool {
        if !self.redactor.rules().strict {
            return true;
        }
        let visible = text[..at].iter().rposition(|byte| !byte.is_ascii_whitespace());
        let Some(last) = visible else { return false };
        let escaped = last > 0 && text[last - 1] == b'\\';
        !escaped
            && !text[last].is_ascii_hexdigit()
            && piece_at(text, last).0 == Piece::Other
            && text[last] < 0x80
    }

    /// Puts out everything before `end`, of which no secret reaches across.
    fn finish_to(&mut self, end: usize, out: &mut Vec<u8>, tally: &Tally) {
        let (found, masked) =
            Scanner::resumed(&self.buffer[..end], self.redactor.rules(), self.position).run();
        tally.add(&found);
        out.extend_from_slice(masked.as_deref().unwrap_or(&self.buffer[self.position.from..end]));
        self.buffer.drain(..end);
        self.position = Position::default();
    }

    fn put_out(&mut self, until: Until, out: &mut Vec<u8>, tally: &Tally) {
        let scanner = Scanner::resumed(&self.buffer, self.redactor.rules(), self.position);
        let (found, masked, position) = scanner.run_unfinished(until);
        tally.add(&found);
        let clear = masked
            .as_deref()
            .unwrap_or(&self.buffer[self.position.from..position.from]);
        out.extend_from_slice(clear);
        let mut kept = self.buffer[..self.position.from].to_vec();
        kept.extend_from_slice(&clear[clear.len().saturating_sub(LOOK_BACK)..]);
        kept.drain(..kept.len().saturating_sub(LOOK_BACK));
        let before = kept.len();
        kept.extend_from_slice(&self.buffer[position.from..]);
        self.buffer = kept;
        self.position = Position {
            from: before,
            in_run: position.in_run,
            strings: position.strings.rebased(position.from, before),
        };
    }
}
