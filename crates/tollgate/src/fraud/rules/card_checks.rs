//! What the issuer's checks of address and security code said.

use super::{Check, Rule};
use crate::fraud::decision::{Decision, Finding};
use crate::fraud::facts::Facts;
use tollgate_core::gateway::{AvsResult, CvvResult};

/// Blocks on a mismatch of security code or address, challenges on half an address. Both are known only after an authorization:
/// screen once more then, before the capture, and void what is blocked.
#[derive(Clone, Copy, Debug)]
pub struct CardChecks {
    partial_address: bool,
}

impl Default for CardChecks {
    fn default() -> Self {
        Self {
            partial_address: true,
        }
    }
}

impl CardChecks {
    /// Sets whether half an address asks for a challenge (default: yes).
    #[must_use]
    pub const fn challenge_partial_address(mut self, yes: bool) -> Self {
        self.partial_address = yes;
        self
    }
}

impl Rule for CardChecks {
    fn name(&self) -> &'static str {
        "card_checks"
    }

    fn check(&self, facts: &Facts) -> Check {
        Check::Now(match (facts.cvv, facts.avs) {
            (Some(CvvResult::Mismatch), _) => Some(Finding::new(
                Decision::Block,
                100,
                "the security code does not match",
            )),
            (_, Some(AvsResult::Mismatch)) => {
                Some(Finding::new(Decision::Block, 80, "the address does not match"))
            }
            (_, Some(AvsResult::Partial)) if self.partial_address => Some(Finding::new(
                Decision::Challenge,
                20,
                "the address matches in part",
            )),
            _ => None,
        })
    }
}
