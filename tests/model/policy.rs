//! Who decides: the rule and the layer's policy as they are, in the places where a [control](super::controls) may differ.

use super::world::NOW;
use std::fmt;
use std::time::Duration;
use tollgate::retry::RetryConfig;
use tollgate::retry::rule::{Attempted, Decision, decide};
use tollgate_core::store::idempotency::rule::{self, Change};
use tollgate_core::store::idempotency::{
    Begin, Begun, Doubt, Held, Record, Resolve, Resolved, Settled, Settlement, Token,
};
use tollgate_core::{Effect, EffectLedger, Fault, PaymentError};

/// Every default is the real thing: [`rule`], the effect ledger, the retry rule, and what the layer does with them.
pub(crate) trait Policy: fmt::Debug + Sync {
    fn begin(&self, record: Option<&Record>, begin: &Begin) -> (Change, Begun) {
        rule::begin(record, begin, NOW)
    }
    fn arm(&self, record: Option<&Record>, token: &Token, lease: Duration) -> (Change, Held) {
        rule::arm(record, token, lease, NOW)
    }
    fn renew(&self, record: Option<&Record>, token: &Token, lease: Duration) -> (Change, Held) {
        rule::renew(record, token, lease, NOW)
    }
    fn settle(&self, record: Option<&Record>, token: &Token, how: &Settlement) -> (Change, Settled) {
        rule::settle(record, token, how, NOW)
    }
    fn resolve(&self, record: Option<&Record>, resolve: &Resolve) -> (Change, Resolved) {
        rule::resolve(record, resolve, NOW)
    }
    fn sweep(&self, record: &Record) -> Change {
        rule::sweep(record, NOW)
    }
    fn collect(&self, record: &Record, tombstone: Duration) -> Change {
        rule::collect(record, tombstone, NOW)
    }
    /// What the store does by itself when time passes: nothing.
    fn expire(&self, _record: &Record) -> Change {
        Change::Keep
    }

    /// What all attempts came to, given the last one.
    fn total(&self, ledger: &EffectLedger, last: Effect) -> Effect {
        ledger.total(last)
    }
    /// What is written when nobody knows.
    fn in_doubt(&self, doubt: Doubt) -> Settlement {
        Settlement::Unknown(doubt)
    }
    /// Whether an attempt that timed out is repeated.
    fn repeats(&self, made: u8, key_taken: bool) -> bool {
        let attempted = Attempted {
            verdict: PaymentError::timeout("no answer").verdict(),
            moves_money: true,
            key_taken,
            made: made.into(),
            remaining: None,
        };
        let config = RetryConfig::default().max_attempts(2);
        matches!(decide(&config, &attempted, 0), Decision::Repeat(_))
    }
    /// The downstream key of an attempt: one for all of them, over all epochs.
    fn downstream_key(&self, _owner: u8, _attempt: u8) -> u8 {
        0
    }

    /// Whether an owner whose begin was not answered sends all the same.
    fn sends_without_a_claim(&self) -> bool {
        false
    }
    /// Whether an owner whose arm was not answered sends all the same.
    fn sends_without_an_arm(&self) -> bool {
        false
    }
    /// Whether whoever met a running call, and will not wait, removes its record.
    fn waiter_deletes(&self) -> bool {
        false
    }
    /// Whether an owner that cannot write how it ended removes its record.
    fn removes_what_it_cannot_settle(&self) -> bool {
        false
    }
    /// Whether an owner that is dropped removes its record.
    fn drop_frees(&self) -> bool {
        false
    }
}

/// The policy as it is.
#[derive(Debug)]
pub(crate) struct AsItIs;

impl Policy for AsItIs {}
