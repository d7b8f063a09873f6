//! What is put out so far, which is also what the rules see when they look back.
//!
//! Looking back into the *output* makes masking idempotent: a second pass over the masked text sees the same words at the
//! same distance as the first one did. (Had the first pass measured distances in the raw text, a label just out of reach
//! might come within reach once the number between was masked and shortened.)

use crate::finding::{Finding, Kind};
use std::ops::Range;

#[derive(Debug)]
pub(crate) struct Output<'a> {
    text: &'a [u8],
    /// What was put out before this scan began, at the start of the text.
    before: usize,
    /// The masked text up to `copied`, or nothing while nothing was masked.
    out: Vec<u8>,
    copied: usize,
    masked_to: usize,
    found: Vec<Finding>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(text: &'a [u8], before: usize) -> Self {
        Self {
            text,
            before,
            out: Vec::new(),
            copied: 0,
            masked_to: before,
            found: Vec::new(),
        }
    }

    /// Where the last mask ends, in the raw text.
    pub(crate) fn masked_to(&self) -> usize {
        self.masked_to
    }

    /// The text put out for everything before `at`.
    pub(crate) fn left(&mut self, at: usize) -> &[u8] {
        if self.found.is_empty() {
            return &self.text[..at];
        }
        if at > self.copied {
            self.out.extend_from_slice(&self.text[self.copied..at]);
            self.copied = at;
        }
        &self.out[..self.out.len() - (self.copied - at)]
    }

    /// Puts a mask in the place of a range. Ranges must come in order.
    pub(crate) fn mask(&mut self, range: Range<usize>, kind: Kind, mask: &[u8]) {
        let start = range.start.max(self.masked_to);
        let length = self.left(start).len();
        if self.found.is_empty() {
            self.out.reserve(self.text.len() + mask.len());
            self.out.extend_from_slice(&self.text[..start]);
        }
        self.out.truncate(length);
        self.out.extend_from_slice(mask);
        self.copied = range.end;
        self.masked_to = range.end;
        self.found.push(Finding::new(kind, start..range.end));
    }

    /// What was found, and the masked text of everything up to `end`, or `None` when nothing was masked.
    pub(crate) fn finish(mut self, end: usize) -> (Vec<Finding>, Option<Vec<u8>>) {
        if self.found.is_empty() {
            return (self.found, None);
        }
        let length = self.left(end).len();
        self.out.truncate(length);
        self.out.drain(..self.before);
        (self.found, Some(self.out))
    }
}
