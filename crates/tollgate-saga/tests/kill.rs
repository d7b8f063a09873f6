//! A real process dies (no unwinding, no destructors) at every point of a checkout, and a second one goes on from the file.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tollgate_core::{Clock, PaymentError, SystemClock, Timestamp};
use tollgate_saga::{Definition, Effected, Sagas, Settled, StepContext, Undone, step};
use tollgate_sqlite::Sqlite;

const LEASE: Duration = Duration::from_secs(30);

/// The second process starts when the first one's lease has lapsed, without anybody waiting for it.
#[derive(Debug)]
struct Later(u32);

impl Clock for Later {
    fn now(&self) -> Timestamp {
        SystemClock.now().saturating_add(LEASE * 2 * self.0)
    }
}

/// Peers that keep their books in a folder: one file per effect, so that a key happens once.
struct Peers {
    books: PathBuf,
    refuses: bool,
    dies_at: u32,
    points: AtomicU32,
}

impl Peers {
    fn point(&self) {
        if self.points.fetch_add(1, SeqCst) == self.dies_at {
            std::process::abort();
        }
    }

    fn happen(&self, operation: &str, key: &str) {
        self.point();
        let path = self.books.join(format!("{operation} {key}"));
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists),
        }
        self.point();
    }

    fn has(&self, operation: &str, key: &str) -> bool {
        self.books.join(format!("{operation} {key}")).exists()
    }
}

type Cx = StepContext<Arc<Peers>>;

async fn forward(cx: Cx, operation: &'static str) -> Result<String, PaymentError> {
    cx.deps().happen(operation, cx.key("peer").as_str());
    Ok(operation.to_owned())
}

async fn undo(
    cx: Cx,
    what: &'static str,
    how: &'static str,
    _: Effected<String>,
) -> Result<Undone, PaymentError> {
    if !cx.deps().has(what, cx.forward_key("peer").as_str()) {
        return Ok(Undone::NothingThere);
    }
    cx.deps().happen(how, cx.key("peer").as_str());
    Ok(Undone::Reverted)
}

async fn ship(cx: Cx, _: (String, String)) -> Result<String, PaymentError> {
    if cx.deps().refuses {
        // a no clears the doubt that the crash left only if it is an answer under the one key
        let _key = cx.key("peer");
        cx.deps().point();
        return Err(PaymentError::declined("no carrier goes there", "unserviceable"));
    }
    forward(cx, "ship").await
}

fn checkout(peers: Peers) -> Definition<u64, String> {
    Definition::new("checkout", 1, Arc::new(peers), |mut flow, order| {
        let reserve = step("reserve", |cx: Cx, _: u64| forward(cx, "reserve"));
        let stock = flow.step(
            reserve.undo(|cx, _, effect| undo(cx, "reserve", "release", effect)),
            order,
        );
        let authorize = step("authorize", |cx: Cx, _: String| forward(cx, "authorize"));
        let hold = flow.step(
            authorize.undo(|cx, _, effect| undo(cx, "authorize", "void", effect)),
            stock,
        );
        let capture = step("capture", |cx: Cx, _: String| forward(cx, "capture")).supersedes(hold);
        let receipt = flow.step(
            capture.undo(|cx, _, effect| undo(cx, "capture", "refund", effect)),
            hold,
        );
        let (parcel, flow) = flow.pivot(step("ship", ship), (stock, receipt));
        flow.finish(parcel)
    })
    .unwrap()
}

/// Not a test of its own: what the two processes run.
#[tokio::test]
async fn child() {
    let Ok(told) = std::env::var("TOLLGATE_SAGA_CHILD") else {
        return;
    };
    let mut told = told.split(',');
    let mut next = || told.next().unwrap().parse::<u32>().unwrap();
    let (life, refuses, dies_at) = (next(), next() == 1, next());
    let folder = PathBuf::from(std::env::var("TOLLGATE_SAGA_FOLDER").unwrap());
    let checkout = checkout(Peers {
        books: folder.join("books"),
        refuses,
        dies_at,
        points: AtomicU32::new(0),
    });
    let journal = Sqlite::open_with(folder.join("saga.sqlite"), Later(life)).unwrap();
    let sagas = Sagas::on(journal)
        .register(&checkout)
        .lease(LEASE)
        .open()
        .unwrap();
    let resumed = sagas.recover().await.unwrap().resumed.len();
    assert_eq!(
        resumed,
        usize::try_from(life).unwrap(),
        "the second life takes up what the first one left"
    );
    let settled = sagas
        .start(&checkout, "order-1", &7)
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    match settled {
        Settled::Completed(_) => assert!(!refuses),
        Settled::Compensated(_) => assert!(refuses),
        other => panic!("{other:?}"),
    }
}

/// Whether it came to its end.
fn run(folder: &Path, life: u32, refuses: bool, dies_at: u32) -> bool {
    let told = format!("{life},{},{dies_at}", u32::from(refuses));
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env("TOLLGATE_SAGA_CHILD", told)
        .env("TOLLGATE_SAGA_FOLDER", folder)
        .output()
        .unwrap();
    let died = output.status.code().is_none();
    assert!(
        output.status.success() || died,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    !died
}

fn count(folder: &Path, operation: &str) -> usize {
    let entries = fs::read_dir(folder.join("books")).unwrap();
    let of = |entry: &fs::DirEntry| {
        entry
            .file_name()
            .to_str()
            .unwrap()
            .starts_with(&format!("{operation} "))
    };
    entries.map(Result::unwrap).filter(of).count()
}

#[test]
fn a_process_that_dies_anywhere_is_continued() {
    for refuses in [false, true] {
        let mut deaths = 0;
        loop {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            fs::create_dir(folder.join("books")).unwrap();
            let told = format!("refuses: {refuses}, dead at point {deaths}");
            let reached_end = run(folder, 0, refuses, deaths);
            if !reached_end {
                assert!(run(folder, 1, refuses, u32::MAX), "{told}");
            }
            let books = |operation| count(folder, operation);
            assert_eq!(
                (books("reserve"), books("authorize"), books("capture")),
                (1, 1, 1),
                "{told}"
            );
            let (shipped, back) = if refuses { (0, 1) } else { (1, 0) };
            assert_eq!(
                (books("ship"), books("refund"), books("release"), books("void")),
                (shipped, back, back, 0),
                "{told}"
            );
            if reached_end {
                break;
            }
            deaths += 1;
        }
        // before and after each of four effects; and with the refusal, of three effects, one no and two compensations
        assert_eq!(deaths, if refuses { 11 } else { 8 });
    }
}
