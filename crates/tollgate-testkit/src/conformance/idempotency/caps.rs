//! What a cap on a tenant's unknown outcomes refuses, and what it never does.

use super::{acquire, answer, begin, key, record, resolution, settle};
use crate::conformance::Subject;
use tollgate_core::store::idempotency::{
    Begin, Begun, Doubt, Held, IdempotencyStore, Owner, Phase, Resolution, Resolved, Settled, Settlement,
    Tenant, Token,
};

const OURS: Tenant = Tenant(u64::MAX);
const THEIRS: Tenant = Tenant(1);

/// A begin of a tenant that may have so many unknown outcomes.
fn capped<S>(subject: &Subject<S>, number: u8, tenant: Tenant, most_open: u32) -> Begin
where
    S: Send + Sync + 'static,
{
    Begin {
        tenant,
        most_open,
        ..begin(subject, number, 7)
    }
}

/// Makes a key's outcome unknown.
async fn doubt<S: IdempotencyStore>(subject: &Subject<S>, number: u8, tenant: Tenant) -> Token {
    let token = armed(subject, number, tenant).await;
    let unknown = Settlement::Unknown(Doubt::AnswerInDoubt);
    settle(subject, token, &unknown, Settled::Applied).await;
    token
}

async fn armed<S: IdempotencyStore>(subject: &Subject<S>, number: u8, tenant: Tenant) -> Token {
    let token = acquire(subject, capped(subject, number, tenant, u32::MAX)).await;
    assert_eq!(ask!(subject.store().arm(token, subject.unit())), Held::Held);
    token
}

/// How many of the tenant's outcomes the store counts: the smallest cap under which a free key is acquired. Claims key 99 and gives
/// it back.
async fn counted<S: IdempotencyStore>(subject: &Subject<S>, tenant: Tenant) -> u32 {
    for open in 0_u32..20 {
        match ask!(
            subject
                .store()
                .begin(capped(subject, 99, tenant, open.saturating_add(1)))
        ) {
            Begun::Acquired(token) => {
                settle(subject, token, &Settlement::Released, Settled::Applied).await;
                return open;
            }
            refused => assert_eq!(refused, Begun::TooManyOpen),
        }
    }
    panic!("a cap of 20 refuses, and there are not so many keys");
}

/// With as many unknown outcomes as the cap allows, a tenant gets no new key, and the refusal leaves no record; other tenants do, and
/// so does whoever sets no cap. What is under way does not count.
pub async fn a_crowded_tenant_gets_no_new_key<S: IdempotencyStore>(subject: &Subject<S>) {
    for number in [1, 2] {
        doubt(subject, number, OURS).await;
    }
    doubt(subject, 3, Tenant::NONE).await;
    armed(subject, 4, OURS).await;

    for most_open in [0, 1, 2] {
        let asked = capped(subject, 5, OURS, most_open);
        assert_eq!(ask!(subject.store().begin(asked)), Begun::TooManyOpen);
        let arming = Begin { arm: true, ..asked };
        assert_eq!(ask!(subject.store().begin(arming)), Begun::TooManyOpen);
        assert_eq!(
            ask!(subject.store().get(key(5))),
            None,
            "a refusal leaves nothing behind"
        );
    }
    acquire(subject, capped(subject, 5, OURS, 3)).await;
    acquire(subject, capped(subject, 6, OURS, u32::MAX)).await;
    acquire(subject, capped(subject, 7, THEIRS, 1)).await;
    acquire(subject, capped(subject, 8, Tenant::NONE, 2)).await;
    let alone = capped(subject, 9, Tenant::NONE, 1);
    assert_eq!(
        ask!(subject.store().begin(alone)),
        Begun::TooManyOpen,
        "without scopes all keys are on one account"
    );
    let listed = ask!(subject.store().unresolved(None, 100));
    let listed: Vec<_> = listed
        .iter()
        .map(|open| (open.key.as_bytes()[0], open.tenant))
        .collect();
    assert_eq!(listed, [(1, OURS), (2, OURS), (3, Tenant::NONE)]);
}

/// A released key and a lapsed claim are acquired anew, so they wait too, as they stand. Nothing else is refused: replays, an owner
/// that asks again, answers about what others do, arms, settlements.
pub async fn a_crowd_stops_acquisitions_only<S: IdempotencyStore>(subject: &Subject<S>) {
    let done = armed(subject, 1, OURS).await;
    settle(
        subject,
        done,
        &Settlement::Completed(answer(b"done")),
        Settled::Applied,
    )
    .await;
    let released = armed(subject, 2, OURS).await;
    settle(subject, released, &Settlement::Released, Settled::Applied).await;
    acquire(subject, capped(subject, 3, OURS, u32::MAX)).await;
    subject.pass(1).await;
    doubt(subject, 4, OURS).await;
    let running = acquire(subject, capped(subject, 5, OURS, u32::MAX)).await;

    for number in [2, 3] {
        let before = record(subject, number).await;
        let asked = capped(subject, number, OURS, 1);
        assert_eq!(ask!(subject.store().begin(asked)), Begun::TooManyOpen);
        assert_eq!(record(subject, number).await, before);
    }
    let store = subject.store();
    let again = |number, owner| Begin {
        owner: Owner(owner),
        ..capped(subject, number, OURS, 0)
    };
    assert_eq!(ask!(store.begin(again(1, 8))), Begun::Replay(answer(b"done")));
    assert!(matches!(ask!(store.begin(again(4, 8))), Begun::Unknown { .. }));
    assert!(matches!(ask!(store.begin(again(5, 8))), Begun::InFlight { .. }));
    assert_eq!(
        ask!(store.begin(super::other_request(again(2, 8)))),
        Begun::Mismatch
    );
    assert_eq!(
        ask!(store.begin(again(5, 7))),
        Begun::Acquired(running),
        "its answer was lost"
    );
    let arming = Begin {
        arm: true,
        ..again(5, 7)
    };
    assert_eq!(ask!(store.begin(arming)), Begun::Acquired(running));
    assert_eq!(
        ask!(store.begin(arming)),
        Begun::Acquired(running),
        "armed, and asked once more"
    );
    let unknown = Settlement::Unknown(Doubt::Abandoned);
    settle(subject, running, &unknown, Settled::Applied).await;
    assert_eq!(
        counted(subject, OURS).await,
        2,
        "a doubt that exists is written down and counted"
    );
}

/// Whichever way a doubt comes and ends, it is counted exactly while it stands: settled twice, swept, met by a repeat; settled by its
/// owner, resolved either way, contradicted and in doubt again.
pub async fn a_doubt_counts_while_it_stands<S: IdempotencyStore>(subject: &Subject<S>) {
    let store = subject.store();
    let settled = doubt(subject, 1, OURS).await;
    let unknown = Settlement::Unknown(Doubt::AnswerInDoubt);
    settle(subject, settled, &unknown, Settled::AlreadyApplied).await;
    assert_eq!(counted(subject, OURS).await, 1);
    let met = armed(subject, 2, OURS).await;
    subject.pass(1).await;
    assert_eq!(counted(subject, OURS).await, 1, "not before the sweep");
    let repeat = ask!(store.begin(capped(subject, 2, OURS, 1)));
    assert!(
        matches!(repeat, Begun::Unknown { .. }),
        "armed and lapsed: {repeat:?}"
    );
    assert_eq!(counted(subject, OURS).await, 2, "or a repeat that met it");
    let swept = armed(subject, 3, OURS).await;
    subject.pass(1).await;
    assert_eq!(ask!(store.sweep(100)), 1);
    assert_eq!(counted(subject, OURS).await, 3, "one settled, one met, one swept");
    assert_eq!(counted(subject, THEIRS).await, 0, "none is theirs");

    settle(
        subject,
        settled,
        &Settlement::Completed(answer(b"late")),
        Settled::Applied,
    )
    .await;
    assert_eq!(counted(subject, OURS).await, 2, "its owner knew");
    let found = resolution(subject, met, Resolution::Completed(answer(b""))).await;
    assert_eq!(ask!(store.resolve(found)), Resolved::Resolved);
    assert_eq!(counted(subject, OURS).await, 1, "it was found");
    let absent = resolution(subject, swept, Resolution::Released).await;
    assert_eq!(ask!(store.resolve(absent)), Resolved::Resolved);
    assert_eq!(counted(subject, OURS).await, 0, "it was not there");
    settle(subject, swept, &unknown, Settled::Applied).await;
    assert_eq!(
        (record(subject, 3).await.phase, counted(subject, OURS).await),
        (Phase::Unknown, 1),
        "the owner's own word"
    );
    settle(
        subject,
        swept,
        &Settlement::Completed(answer(b"late")),
        Settled::Applied,
    )
    .await;
    assert_eq!(counted(subject, OURS).await, 0);
}

/// A key that runs again counts on the account of who runs it now, whoever began it first, and whether it was released or lapsed.
pub async fn a_doubt_counts_for_its_last_owner<S: IdempotencyStore>(subject: &Subject<S>) {
    let released = armed(subject, 1, OURS).await;
    settle(subject, released, &Settlement::Released, Settled::Applied).await;
    acquire(subject, capped(subject, 2, OURS, u32::MAX)).await;
    subject.pass(1).await;
    for number in [1, 2] {
        doubt(subject, number, THEIRS).await;
    }
    assert_eq!(
        (counted(subject, THEIRS).await, counted(subject, OURS).await),
        (2, 0),
        "whose are the two doubts: their keys began as ours"
    );
}
