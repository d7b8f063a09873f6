//! Claims of every shape, some taken and settled together, and each one's twin alone.

use super::{FAR_AHEAD, begin, begin_together, settle, settle_together};
use crate::tests::server::Server;
use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Begun, Fingerprint, IdempotencyStore, Owner, RecordKey, Settled, Settlement, Tenant, Token,
};
use tollgate_testkit::histories::Trial;

const DURATIONS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_micros(1),
    Duration::from_secs(60),
    Duration::from_micros(u64::MAX),
    Duration::MAX,
];

#[derive(Clone, Copy, Debug)]
enum Twin {
    Together = 1,
    Alone,
}

/// Both claims of each shape.
fn claims(twin: Twin) -> Vec<Begin> {
    let mut claims = Vec::new();
    for lease in DURATIONS {
        for retention in DURATIONS {
            for tenant in [0, 7, u64::MAX] {
                let mut key = [twin as u8; 32];
                key[0] = u8::try_from(claims.len()).unwrap();
                claims.push(Begin {
                    key: RecordKey::new(key),
                    owner: Owner(u128::MAX),
                    fingerprint: Fingerprint::new([u8::MAX; 32]),
                    lease,
                    retention,
                    tenant: Tenant(tenant),
                    ..begin(0, 0)
                });
            }
        }
    }
    claims
}

const fn token(claim: &Begin, epoch: u64) -> Token {
    Token {
        key: claim.key,
        epoch,
        owner: claim.owner,
    }
}

async fn twins_are_alike(server: &mut Server) {
    server.inspect().await;
    for (one, other) in claims(Twin::Together).iter().zip(claims(Twin::Alone)) {
        let [one, other] = [one.key, other.key].map(|key| server.store().get(key));
        let one = one.await.unwrap();
        assert!(one.is_some());
        assert_eq!(one, other.await.unwrap());
    }
}

/// Makes a claim as old as if its key had been released and taken so often.
async fn age(server: &mut Server, claim: &Begin, epoch: u64) {
    let key = server.store().server().record_key(&claim.key);
    let stored: String = server.tell(redis::cmd("GET").arg(&key)).await;
    let younger = stored.strip_prefix("2 1 ").unwrap();
    let set = redis::cmd("SET")
        .arg(&key)
        .arg(format!("2 {} {younger}", epoch - 1))
        .take();
    server.tell::<()>(&set).await;
    let released = server
        .store()
        .settle(token(claim, epoch - 1), &Settlement::Released);
    assert_eq!(released.await.unwrap(), Settled::Applied);
    let again = server.store().server().begin(claim).await.unwrap();
    assert_eq!(again, Begun::Acquired(token(claim, epoch)));
}

async fn alike(epoch: u64) {
    let (together, alone) = (claims(Twin::Together), claims(Twin::Alone));
    let keys = together.iter().chain(&alone).map(|claim| claim.key);
    let mut server = Server::new().await.with_indexes_of(keys);
    server.set_time(FAR_AHEAD).await;
    let store = server.store().server().clone();
    assert!(!begin_together(&store, &together).await.contains(&false));
    for claim in &alone {
        let begun = store.begin(claim).await.unwrap();
        assert_eq!(begun, Begun::Acquired(token(claim, 1)));
    }
    twins_are_alike(&mut server).await;
    if epoch > 1 {
        for claim in together.iter().chain(&alone) {
            age(&mut server, claim, epoch).await;
        }
        twins_are_alike(&mut server).await;
    }
    let tokens = together.iter().map(|claim| token(claim, epoch));
    assert!(!settle_together(&store, tokens).await.contains(&false));
    for claim in &alone {
        let settled = store.settle(&settle(token(claim, epoch))).await.unwrap();
        assert_eq!(settled, Settled::Applied);
    }
    twins_are_alike(&mut server).await;
}

/// Leases and retentions of every length, tenants of every size, epochs of one digit and of many: the record and its places in the indexes
/// are the same, whichever script wrote them.
#[tokio::test]
async fn together_is_written_what_alone_would_be() {
    for epoch in [1, 2, 10, 12_345] {
        alike(epoch).await;
    }
}
