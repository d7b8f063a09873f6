//! What core's pure rule would have told them.

use super::op::{KEY, Op, What, begin, resolve, settlement, show, show_begun, show_open, show_resolved};
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::rule::{self, Change};
use tollgate_core::store::idempotency::{Record, Unresolved};

/// Asks the rule.
pub(super) fn expect(record: Option<&Record>, op: Op, now: Timestamp) -> (Option<Record>, String) {
    let (change, answer) = match op.0 {
        What::Begin {
            fingerprint,
            owner,
            lapses,
            arm,
        } => {
            let (change, begun) = rule::begin(record, &begin(fingerprint, owner, lapses, arm), now);
            (change, show_begun(&begun))
        }
        What::Arm(claim) => {
            let (change, held) = rule::arm(record, &claim.token(), claim.lease(), now);
            (change, format!("{held:?}"))
        }
        What::Renew(claim) => {
            let (change, held) = rule::renew(record, &claim.token(), claim.lease(), now);
            (change, format!("{held:?}"))
        }
        What::Settle(claim, how) => {
            let (change, settled) = rule::settle(record, &claim.token(), &settlement(how), now);
            (change, format!("{settled:?}"))
        }
        What::Resolve {
            epoch,
            absent,
            old_look,
        } => {
            let (change, resolved) = rule::resolve(record, &resolve(epoch, absent, old_look), now);
            (change, show_resolved(resolved))
        }
        What::Get => (Change::Keep, show(record)),
        What::Unresolved => {
            let open = record.filter(|record| rule::is_unresolved(record, now));
            (
                Change::Keep,
                show_open(open.map(|record| Unresolved::of(KEY, record)).as_ref()),
            )
        }
        What::Sweep => {
            let change = record.map_or(Change::Keep, |record| rule::sweep(record, now));
            let swept = u8::from(change != Change::Keep);
            (change, swept.to_string())
        }
    };
    let record = match change {
        Change::Keep => record.cloned(),
        Change::Put(record) => Some(record),
        Change::Remove => None,
    };
    (record, answer)
}

/// All that later answers depend on: two records that are equal in this have one future.
pub(super) fn essence(record: Option<&Record>, now: Timestamp) -> String {
    let lapsed = record.is_some_and(|record| record.lease_until <= now);
    format!("{} {lapsed}", show(record))
}
