//! What can happen to one key.

use super::*;
use proptest::collection::vec;
use proptest::sample::Index;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Begin {
        fingerprint: u8,
        owner: u8,
        lease: u64,
        arm: bool,
    },
    Arm(Index, u64),
    Renew(Index, u64),
    Settle(Index, Settlement),
    /// By a look that began so long ago.
    Resolve(Index, Resolution, u64),
    Forge(Index, bool),
    Sweep,
    Collect(u64),
    Wait(u64),
}

fn completion() -> impl Strategy<Value = Completion> {
    (any::<bool>(), 0u8..3).prop_map(|(executed, body)| Completion {
        executed,
        envelope: Some(Envelope {
            body: [body][..].into(),
            ..Envelope::default()
        }),
    })
}

fn settlement() -> impl Strategy<Value = Settlement> {
    prop_oneof![
        3 => completion().prop_map(Settlement::Completed),
        2 => Just(Settlement::Released),
        2 => prop::sample::select(&Doubt::ALL[..]).prop_map(Settlement::Unknown),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let token = any::<Index>;
    let resolution = || {
        prop_oneof![
            completion().prop_map(Resolution::Completed),
            Just(Resolution::Released)
        ]
    };
    prop_oneof![
        8 => (0u8..5, 0u8..4, 0u64..20, any::<bool>()).prop_map(|(fingerprint, owner, lease, arm)| Step::Begin {
            fingerprint: fingerprint / 4, owner, lease, arm,
        }),
        4 => (token(), 0u64..20).prop_map(|(token, lease)| Step::Arm(token, lease)),
        2 => (token(), 0u64..20).prop_map(|(token, lease)| Step::Renew(token, lease)),
        4 => (token(), settlement()).prop_map(|(token, how)| Step::Settle(token, how)),
        2 => (token(), resolution(), 0u64..30).prop_map(|(token, resolution, ago)| Step::Resolve(token, resolution, ago)),
        1 => (token(), any::<bool>()).prop_map(|(token, owner)| Step::Forge(token, owner)),
        1 => Just(Step::Sweep),
        2 => (0u64..60).prop_map(Step::Collect),
        5 => (0u64..40).prop_map(Step::Wait),
    ]
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 0..60)
}
