//! Crate `idempotent`: its layer, and its store without HTTP.

use crate::charge::{CHARGE, CHARGED, Expected, bare, batch, charge, fresh_requests, same_request};
use crate::harness::{Batch, Row, start, stop};
use idempotent::memory::MemoryStore;
use idempotent::middleware::IdempotencyLayer;
use idempotent::{CachedResponse, ExecutionOutcome, IdempotencyKey, IdempotencyStore, Metadata};
use std::time::Duration;
use tokio::runtime::Runtime;
use tower::{Service, ServiceBuilder, service_fn};

const OF: &str = "idempotent 2.0.0";
const MARK: &str = "idempotent-replayed";

pub(crate) fn rows(runtime: &'static Runtime) -> Vec<Row> {
    let _inside = runtime.enter();
    let stack = || {
        ServiceBuilder::new()
            .layer(IdempotencyLayer::new(store()))
            .service(service_fn(charge))
    };
    let (first, again) = (
        Expected {
            status: 200,
            mark: (MARK, false),
        },
        Expected {
            status: 200,
            mark: (MARK, true),
        },
    );

    let new = batch(runtime, stack(), first, fresh_requests());
    let mut known = stack();
    runtime.block_on(async { known.call(same_request()).await.unwrap() });
    let replay = batch(runtime, known, again, same_request);

    vec![
        Row::new(OF, "HTTP, new key", new, bare(runtime, fresh_requests()))
            .fixed(100, 50)
            .note("the store is an actor task; the handler runs in a task of its own"),
        Row::new(OF, "HTTP, replay", replay, bare(runtime, same_request)),
        Row::new(OF, "no HTTP, new key", direct(runtime, true), nothing(runtime))
            .fixed(100, 50)
            .note("`store.claim().execute_or_replay()`"),
        Row::new(OF, "no HTTP, replay", direct(runtime, false), nothing(runtime)),
    ]
}

fn store() -> MemoryStore {
    MemoryStore::builder().try_build().expect("a store")
}

/// The store itself, with a fresh key for each call or always the same.
fn direct(runtime: &'static Runtime, unique: bool) -> Batch {
    let (store, mut serial) = (store(), 0_u64);
    let mut call = move || {
        let key = IdempotencyKey::new(format!("direct-{serial:016x}")).unwrap();
        serial += u64::from(unique);
        let store = store.clone();
        async move {
            let done = store
                .claim(&key, Duration::from_secs(60))
                .fingerprint("POST /charges", CHARGE.as_bytes())
                .execute_or_replay(Duration::from_secs(3600), |_| async {
                    Ok(CachedResponse::new(200, Metadata::new(), CHARGED.into()))
                })
                .await
                .unwrap();
            matches!(done, ExecutionOutcome::Executed(_))
        }
    };
    if !unique {
        runtime.block_on(call()); // the first one runs
    }
    Box::new(move |calls| {
        runtime.block_on(tokio::task::unconstrained(async {
            let started = start();
            for _ in 0..calls {
                assert_eq!(call().await, unique);
            }
            stop(started)
        }))
    })
}

/// Making the key, and nothing else.
fn nothing(runtime: &'static Runtime) -> Batch {
    Box::new(move |calls| {
        runtime.block_on(tokio::task::unconstrained(async {
            let started = start();
            for serial in 0..calls {
                let key = IdempotencyKey::new(format!("direct-{serial:016x}")).unwrap();
                assert!(async move { !key.as_str().is_empty() }.await);
            }
            stop(started)
        }))
    })
}
