//! What is taken for given, one assumption dropped at a time: the policy is the real one, and the surroundings are worse than it is
//! made for. Each yields a counterexample, so each assumption is needed; the guide says how a deployment keeps it.

use super::policy::AsItIs;
use super::setting::Setting;
use super::{Invariant, finds_nothing, refute};
use tollgate::idempotency::ArmPolicy::AtBegin;

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $test:ident: $setting:expr, breaks after $steps:literal;)+) => {$(
        $(#[doc = $doc])+
        #[test]
        fn $test() {
            refute(stringify!($test), &AsItIs, $setting, Invariant::AtMostOneEffect, $steps);
        }
    )+};
}

const BARE: Setting = Setting::bare(AtBegin);
const KEYED: Setting = Setting::keyed(AtBegin);

limits! {
    /// An owner sends after its lease, a resolver has declared absence, and the gateway takes no key.
    an_owner_that_sends_after_its_lease: Setting { late: true, ..BARE }, breaks after 10;
    /// An owner that sends late, to a gateway that has forgotten the key by then.
    a_gateway_that_forgets_before_a_frozen_owner_sends: Setting { recognises: Some(0), copies: false, ..KEYED }, breaks after 7;
    /// A call that goes on repeating after the gateway has forgotten its first attempt.
    a_call_that_outlives_the_gateways_memory: Setting { renews: true, ..Setting::forgetful(AtBegin) }, breaks after 10;
    /// The network delivers a request twice to a gateway that takes no key: nobody on this side can help.
    a_network_that_makes_copies: Setting { copies: true, ..BARE }, breaks after 5;
    /// A gateway whose look-up does not show yet what it has booked.
    a_look_up_that_lags: Setting { looks_lag: true, ..BARE }, breaks after 10;
    /// Callers that go on trying after the answer and its tombstone are gone.
    a_retention_shorter_than_callers_try: Setting { patience: 4, ..BARE }, breaks after 13;
    /// A store that fails over to a replica without its last write.
    a_store_that_loses_a_write: Setting { fails_over: true, ..BARE }, breaks after 7;
}

/// A gateway that recognises the downstream key makes up for a store that loses a write: which is why one is always sent.
#[test]
fn a_downstream_key_makes_up_for_a_lost_write() {
    let setting = Setting {
        fails_over: true,
        faults: 1,
        ..KEYED
    };
    let claims = [
        Invariant::AtMostOneEffect,
        Invariant::NoFalseYes,
        Invariant::NoFalseNo,
    ];
    finds_nothing(
        "a_downstream_key_makes_up_for_a_lost_write",
        setting,
        &claims,
        false,
    );
}
