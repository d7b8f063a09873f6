use super::*;
use std::time::Duration;
use tollgate_core::gateway::{Call, GetPayment, NewPayment, Payment, Sale};
use tollgate_core::id::{CallerId, IdempotencyKey, InstrumentToken, MerchantReference, PaymentId};
use tollgate_core::store::audit::AuditStore;
use tollgate_core::store::memory::MemoryAudit;
use tollgate_core::{Effect, PaymentError, Secrets};
use tollgate_testkit::fault::{Fault, Faulty, When};
use tower::{Layer, ServiceExt, service_fn};

fn sale() -> Call<Sale> {
    let payment = NewPayment::new(
        "19.99 EUR".parse().unwrap(),
        InstrumentToken::new("tok_secret_instrument").unwrap(),
        MerchantReference::new("order-1").unwrap(),
    );
    let mut call = Call::new(Sale {
        key: IdempotencyKey::new("a-secret-key").unwrap(),
        payment,
    });
    call.context.caller = Some(CallerId::new("merchant-77").unwrap());
    call
}

fn log<St: AuditStore>(store: St) -> AuditLayer<crate::Gateway, St> {
    AuditLayer::gateway(AuditLog::new(store, "payments", Secrets::ephemeral()))
}

async fn entries(store: &MemoryAudit) -> Vec<Entry> {
    let raw = store.read("payments", 0, 100).await.unwrap();
    raw.iter()
        .map(|entry| serde_json::from_slice(&entry.body).unwrap())
        .collect()
}

#[tokio::test]
async fn intent_stands_before_anything_is_sent() {
    let store = MemoryAudit::new();
    let seen = store.clone();
    let gateway = service_fn(move |_: Call<Sale>| {
        let seen = seen.clone();
        async move {
            assert_eq!(entries(&seen).await.len(), 1, "the intent stands before the send");
            Err::<(), _>(PaymentError::timeout("10 s"))
        }
    });
    let _ = log(store.clone()).layer(gateway).oneshot(sale()).await;
    let entries = entries(&store).await;
    assert_eq!((entries[0].kind, entries[1].kind), (Kind::Intent, Kind::Outcome));
    assert_eq!(entries[0].call, entries[1].call);
    assert_eq!(entries[1].effect, Some(Effect::Unknown));
}

#[tokio::test]
async fn nothing_secret_is_in_an_entry() {
    let store = MemoryAudit::new();
    let gateway = service_fn(|_: Call<Sale>| async { Ok::<_, PaymentError>("answer body") });
    log(store.clone()).layer(gateway).oneshot(sale()).await.unwrap();
    for entry in store.read("payments", 0, 10).await.unwrap() {
        let text = String::from_utf8(entry.body.to_vec()).unwrap();
        for secret in ["secret", "merchant-77", "order-1", "19.99", "answer"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn reads_are_logged_only_when_asked() {
    for (reads, expected) in [(false, 0), (true, 2)] {
        let store = MemoryAudit::new();
        let gateway = service_fn(|_: Call<GetPayment>| async { Ok::<_, PaymentError>(()) });
        let get = Call::new(GetPayment {
            payment: PaymentId::new("pay_1").unwrap(),
        });
        log(store.clone())
            .reads(reads)
            .layer(gateway)
            .oneshot(get)
            .await
            .unwrap();
        assert_eq!(entries(&store).await.len(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_call_is_told() {
    let store = MemoryAudit::new();
    let hung = service_fn(|_: Call<Sale>| std::future::pending::<Result<(), PaymentError>>());
    let call = log(store.clone()).layer(hung).oneshot(sale());
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    tokio::task::yield_now().await;
    assert_eq!(entries(&store).await[1].kind, Kind::Abandoned);
}

/// seed S6: the log was down, and money moved without any record.
#[tokio::test]
async fn no_intent_no_send() {
    let gateway = service_fn(|_: Call<Sale>| async { panic!("sent") as Result<(), PaymentError> });
    let down = Faulty::new(MemoryAudit::new()).failing(0, When::Before);
    let error = log(down).layer(gateway).oneshot(sale()).await.unwrap_err();
    assert_eq!(error.code(), Some("audit-unavailable"));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_fails_after_the_send_changes_no_answer() {
    let store = (1..5).fold(Faulty::new(MemoryAudit::new()), |store, append| {
        store.failing(append, When::Before)
    });
    let gateway = service_fn(|_: Call<Sale>| async { Ok::<_, PaymentError>("charged") });
    assert_eq!(
        log(store.clone()).layer(gateway).oneshot(sale()).await,
        Ok("charged")
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(entries(store.inner()).await[1].effect, Some(Effect::Executed)); // written at last
}

/// It is tried for minutes, and counted then: the intent stands alone.
#[tokio::test(start_paused = true)]
async fn an_outcome_that_cannot_be_written_is_counted() {
    let store = (1..100).fold(Faulty::new(MemoryAudit::new()), |store, append| {
        store.failing(append, When::Before)
    });
    let log = AuditLog::new(store.clone(), "payments", Secrets::ephemeral());
    let layer = AuditLayer::gateway(log.clone());
    let gateway = service_fn(|_: Call<Sale>| async { Ok::<_, PaymentError>("charged") });
    assert_eq!(layer.layer(gateway).oneshot(sale()).await, Ok("charged"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(log.lost_outcomes(), 0, "it is still tried");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!((log.lost_outcomes(), entries(store.inner()).await.len()), (1, 1));
}

/// Whoever stops to wait while the outcome is being written loses nothing of the log.
#[tokio::test(start_paused = true)]
async fn an_outcome_that_nobody_waits_for_is_written_all_the_same() {
    let store = MemoryAudit::new();
    let slow = Faulty::new(store.clone()).failing(1, Fault::queue(Duration::from_secs(5)));
    let gateway = service_fn(|_: Call<Sale>| async { Ok::<_, PaymentError>("captured") });
    let call = log(slow).layer(gateway).oneshot(sale());
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let entries = entries(&store).await;
    assert_eq!((entries.len(), entries[1].kind), (2, Kind::Outcome));
    assert_eq!(entries[1].effect, Some(Effect::Executed));
}

/// An auditor who asks what became of a payment joins its attempts and what was said about its outcome by the record.
#[cfg(feature = "idempotency")]
#[tokio::test]
async fn calls_under_a_claim_name_its_record() {
    use crate::idempotency::IdempotencyLayer;
    use tollgate_core::store::idempotency::IdempotencyStore;
    use tollgate_core::store::memory::MemoryIdempotency;

    let (store, records) = (MemoryAudit::new(), MemoryIdempotency::new());
    let gateway = service_fn(|_: Call<Sale>| async { Err::<Payment, _>(PaymentError::timeout("10 s")) });
    let guard = IdempotencyLayer::dangerous_gateway(records.clone(), Secrets::ephemeral());
    let guarded = guard.layer(log(store.clone()).layer(gateway));
    assert!(guarded.oneshot(sale()).await.is_err());

    let open = records.unresolved(None, 10).await.unwrap();
    let of_claim = (Some(open[0].key.to_hex()), Some(1));
    let told: Vec<_> = entries(&store)
        .await
        .into_iter()
        .map(|entry| (entry.record, entry.epoch))
        .collect();
    assert_eq!(told, [of_claim.clone(), of_claim], "intent and outcome");
}

/// Entries of before there were records can be read.
#[test]
fn an_entry_without_a_record_reads() {
    let old = r#"{"v":1,"kind":"intent","call":"6f13-0","attempt":0,"operation":"sale"}"#;
    let entry: Entry = serde_json::from_str(old).unwrap();
    assert_eq!((&entry.record, entry.epoch), (&None, None));
    assert_eq!(entry.to_bytes()[..], *old.as_bytes());
}

/// The log was away when the outcome came: whoever shuts down waits until it is back, or hears how many outcomes are cut off.
#[tokio::test(start_paused = true)]
async fn drains_what_is_written_in_the_background() {
    let store = MemoryAudit::new();
    let failing = Faulty::new(store.clone()).failing_at(
        "append",
        [Fault::NONE].into_iter().chain([When::Before.into(); 4]),
    );
    let log = AuditLog::new(failing, "payments", Secrets::ephemeral());
    let gateway = service_fn(|_: Call<Sale>| async { Ok::<_, PaymentError>(()) });
    AuditLayer::gateway(log.clone())
        .layer(gateway)
        .oneshot(sale())
        .await
        .unwrap();

    let left = log.drain(Duration::from_millis(1)).await;
    assert_eq!(left, Err(StillWriting { outcomes: 1 }));
    assert_eq!(entries(&store).await.len(), 1, "the intent alone");
    assert_eq!(log.drain(Duration::from_secs(60)).await, Ok(()));
    assert_eq!(entries(&store).await.len(), 2);
    assert_eq!(log.lost_outcomes(), 0);
}
