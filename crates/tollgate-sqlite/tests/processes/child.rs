//! What the children do. They say one line for each thing that was acknowledged, after it was.

use crate::parent::{FILE, NAME, ROLE, records};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tollgate_core::store::StoreError;
use tollgate_core::store::audit::AuditStore;
use tollgate_core::store::idempotency::{
    Begin, Begun, Held, IdempotencyStore, RecordKey, Settled, Settlement,
};
use tollgate_core::store::saga::{Append, Created, Fenced, NewSaga, SagaJournal, SagaState};
use tollgate_core::{Clock, SystemClock, Timestamp};
use tollgate_sqlite::Sqlite;
use tollgate_testkit::samples::{self, completion};

/// One line, whole, at once.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("@{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

pub(crate) fn run() {
    let role = std::env::var(ROLE).expect("started by a parent");
    let file = std::env::var(FILE).unwrap();
    let name = std::env::var(NAME).unwrap();
    say("ready");
    if role != "race" {
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    match role.as_str() {
        "open" => match Sqlite::open(&file) {
            Ok(_) => say("opened"),
            Err(error) => say(&format!("{error}: {:?}", std::error::Error::source(&error))),
        },
        "race" => runtime.block_on(race(&Sqlite::open(&file).unwrap(), name.parse().unwrap())),
        "freeze" => runtime.block_on(freeze(&file, &name)),
        "large" => runtime.block_on(write_large(&Sqlite::open(&file).unwrap(), &name)),
        "fill" => runtime.block_on(fill(&Sqlite::open(&file).unwrap(), &name)),
        "write" => runtime.block_on(write(Sqlite::open(&file).unwrap(), &name)),
        other => panic!("unknown role {other}"),
    }
}

fn begin(key: RecordKey, owner: u128) -> Begin {
    Begin {
        lease: records::LEASE,
        retention: records::RETENTION,
        arm: false,
        ..samples::begin(key, owner)
    }
}

/// Wants every key that its parent names, at the parent's word; says whenever it carried out the effect of one, and whose answer it
/// ended with.
async fn race(store: &Sqlite, name: u8) {
    for line in std::io::stdin().lines() {
        let number: u8 = line.unwrap().parse().unwrap();
        for turn in 0u128.. {
            let owner = u128::from(name) << 64 | turn;
            match store
                .begin(begin(RecordKey::new([number; 32]), owner))
                .await
                .unwrap()
            {
                Begun::Acquired(token) => {
                    assert_eq!(store.arm(token, records::LEASE).await.unwrap(), Held::Held);
                    // the first attempt of every key is turned away at the door
                    let settlement = if token.epoch == 1 {
                        Settlement::Released
                    } else {
                        say(&format!("effect {number} {name}"));
                        Settlement::Completed(completion(&[name]))
                    };
                    assert_eq!(store.settle(token, &settlement).await.unwrap(), Settled::Applied);
                }
                Begun::Replay(completion) => {
                    let who = completion.envelope.unwrap().body[0];
                    say(&format!("answer {number} {who}"));
                    break;
                }
                Begun::InFlight { .. } => tokio::task::yield_now().await,
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Writes on every port from several tasks, so that commits carry more than one step, until it is killed.
async fn write(store: Sqlite, round: &str) {
    let tasks = [
        tokio::spawn(write_audit(store.clone(), format!("r{round}a"))),
        tokio::spawn(write_audit(store.clone(), format!("r{round}b"))),
        tokio::spawn(write_records(store.clone(), format!("r{round}a"))),
        tokio::spawn(write_records(store.clone(), format!("r{round}b"))),
        tokio::spawn(write_saga(store, format!("r{round}"))),
    ];
    for task in tasks {
        task.await.unwrap();
    }
}

/// A clock that waits for its parent's word when it is asked for the first time: the store asks under the lock, in the midst of a
/// transaction.
#[derive(Debug, Default)]
struct Waiting(AtomicBool);

impl Clock for Waiting {
    fn now(&self) -> Timestamp {
        if !self.0.swap(true, SeqCst) {
            say("locked");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        SystemClock.now()
    }
}

/// Claims a key, and is frozen in the midst of that.
async fn freeze(file: &str, name: &str) {
    let store = Sqlite::open_with(file, Waiting::default()).unwrap();
    let begun = store.begin(begin(records::key(name), 7)).await.unwrap();
    assert!(matches!(begun, Begun::Acquired(_)));
    say("acquired");
}

/// Answers that are so large that every other of them brings a checkpoint, until it is killed.
async fn write_large(store: &Sqlite, round: &str) {
    for turn in 0u64.. {
        let id = format!("{round}-{turn}");
        let begun = store.begin(begin(records::key(&id), 7)).await.unwrap();
        let Begun::Acquired(token) = begun else {
            panic!("{begun:?}")
        };
        let settlement = Settlement::Completed(completion(&large(&id)));
        assert_eq!(store.settle(token, &settlement).await.unwrap(), Settled::Applied);
        say(&id);
    }
}

/// The answer to this request.
pub(crate) fn large(id: &str) -> Vec<u8> {
    let mut body = id.as_bytes().to_vec();
    body.resize(2_000_000, body[0]);
    body
}

/// Writes records until nothing fits any more, then looks whether what is there can still be read.
async fn fill(store: &Sqlite, name: &str) {
    let (mut failures, mut first) = (0, None);
    for turn in 0u64.. {
        let id = format!("{name}-{turn}");
        match fill_one(store, &id).await {
            Ok(()) => {
                failures = 0;
                first.get_or_insert(id);
            }
            Err((step, error)) => {
                failures += 1;
                say(&format!(
                    "{step} {id} {:?} {}",
                    error.kind(),
                    error.may_have_happened()
                ));
            }
        }
        if failures == 20 {
            break;
        }
    }
    let first = first.expect("something fitted");
    let found = store.get(records::key(&first)).await.unwrap().unwrap();
    assert!(found.completion.is_some());
    say(&format!("read {first} - -"));
}

/// One record, from begin to settlement; or which step failed.
async fn fill_one(store: &Sqlite, id: &str) -> Result<(), (&'static str, StoreError)> {
    let armed = Begin {
        arm: true,
        ..begin(records::key(id), 7)
    };
    let begun = store.begin(armed).await.map_err(|error| ("unclaimed", error))?;
    let Begun::Acquired(token) = begun else {
        panic!("{begun:?}")
    };
    say(&format!("armed {id} - -"));
    let settlement = Settlement::Completed(completion(&[7; 5000]));
    let settled = store.settle(token, &settlement).await;
    assert_eq!(settled.map_err(|error| ("unsettled", error))?, Settled::Applied);
    say(&format!("completed {id} - -"));
    Ok(())
}

async fn write_audit(store: Sqlite, name: String) {
    for turn in 0u64.. {
        let body = format!("{name}-{turn}");
        let receipt = AuditStore::append(&store, "payments", body.as_bytes().into())
            .await
            .unwrap();
        say(&format!("audit {}/{body}", receipt.seq));
    }
}

async fn write_records(store: Sqlite, name: String) {
    for turn in 0u64.. {
        let id = format!("{name}-{turn}");
        let begun = store.begin(begin(records::key(&id), 7)).await.unwrap();
        let Begun::Acquired(token) = begun else {
            panic!("{begun:?}")
        };
        assert_eq!(store.arm(token, records::LEASE).await.unwrap(), Held::Held);
        say(&format!("armed {id}"));
        if turn % 3 > 0 {
            let settlement = Settlement::Completed(completion(id.as_bytes()));
            assert_eq!(store.settle(token, &settlement).await.unwrap(), Settled::Applied);
            say(&format!("completed {id}"));
        }
    }
}

async fn write_saga(store: Sqlite, name: String) {
    for turn in 0u64.. {
        let saga = format!("{name}-{turn}");
        let id = records::saga(&saga);
        let new = NewSaga {
            id,
            name: "checkout".into(),
            key: saga.as_str().into(),
            records: vec![b"started"[..].into()],
            lease: records::LEASE,
        };
        assert_eq!(store.create(new).await.unwrap(), Created::Created);
        say(&format!("saga {saga}/started"));
        for seen in 1..4u64 {
            let record = format!("step{seen}");
            let append = Append {
                id,
                epoch: 1,
                seen,
                records: vec![record.as_bytes().into()],
                state: SagaState::Running,
                lease: records::LEASE,
            };
            assert_eq!(SagaJournal::append(&store, append).await.unwrap(), Fenced::No);
            say(&format!("saga {saga}/{record}"));
        }
    }
}
