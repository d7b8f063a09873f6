use super::*;
use crate::store::memory::MemoryAudit;
use proptest::prelude::*;

fn entries(bodies: &[Vec<u8>]) -> (Vec<AuditEntry>, Receipt) {
    let (mut last, mut all) = (Receipt::START, Vec::new());
    for (at, body) in (0..).zip(bodies) {
        let entry = chain::next(
            "c",
            last,
            Timestamp::from_unix_seconds(at),
            body.as_slice().into(),
        );
        last = Receipt {
            seq: entry.seq,
            hash: entry.hash,
        };
        all.push(entry);
    }
    (all, last)
}

proptest! {
    #[test]
    fn every_kind_of_tampering_is_seen(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 2..20),
        place: prop::sample::Index, kind in 0u8..6
    ) {
        let (honest, head) = entries(&bodies);
        prop_assert_eq!(chain::verify("c", Receipt::START, &honest, Some(head)), Ok(head));
        prop_assert!(chain::verify("another", Receipt::START, &honest, Some(head)).is_err());
        let (mut forged, at) = (honest.clone(), place.index(honest.len()));
        match kind {
            0 => { let mut body = forged[at].body.to_vec(); body.push(0); forged[at].body = body.into(); }
            1 => { forged.remove(at); }
            2 => forged.swap(at, (at + 1) % honest.len()),
            3 => forged.truncate(at),
            4 => forged[at].at = Timestamp::from_unix_seconds(999),
            _ => { let copy = forged[at].clone(); forged.insert(at, copy); }
        }
        prop_assert!(chain::verify("c", Receipt::START, &forged, Some(head)).is_err());
    }
}

/// Someone who can rewrite the whole file can recompute every hash: only a receipt kept outside shows it.
#[test]
fn a_rewritten_chain_is_seen_by_its_anchor() {
    let (_, honest) = entries(&[b"charge 100".to_vec(), b"ok".to_vec()]);
    let (forged, _) = entries(&[b"charge 1".to_vec(), b"ok".to_vec()]);
    assert!(chain::verify("c", Receipt::START, &forged, None).is_ok());
    assert_eq!(
        chain::verify("c", Receipt::START, &forged, Some(honest)),
        Err(chain::Broken::Changed { seq: 2 })
    );
}

#[tokio::test]
async fn memory_keeps_chains_apart() {
    let store = MemoryAudit::new();
    for (chain, body) in [("a", "1"), ("b", "2"), ("a", "3")] {
        store.append(chain, body.as_bytes().into()).await.unwrap();
    }
    let head = store.head("a").await.unwrap();
    assert_eq!(head.seq, 2);
    let entries = store.read("a", 0, 10).await.unwrap();
    assert_eq!(chain::verify("a", Receipt::START, &entries, Some(head)), Ok(head));
    assert_eq!(store.read("a", 1, 10).await.unwrap().len(), 1);
    assert_eq!(store.head("none").await.unwrap(), Receipt::START);
}
