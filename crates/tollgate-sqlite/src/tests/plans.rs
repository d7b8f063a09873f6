//! No statement walks through a whole table: the writer does nothing else meanwhile, and a sweep must not stop the payments.
//!
//! What SQLite makes of a query changes with a word. It uses a partial index only where the query says the index's own condition, for
//! example, so that a sweep for `phase = 'armed'` walked past the index of `phase in ('armed', 'unknown')`.

use crate::Sqlite;
use crate::open::prepare;
use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tollgate_core::Clock;
use tollgate_testkit::conformance::{Subject, prove, run};

/// The text of every statement that was run.
type Seen = Arc<Mutex<BTreeSet<String>>>;

fn listened(path: &Path, clock: impl Clock, seen: Seen) -> Sqlite {
    let mut connection = prepare(path).unwrap();
    let note = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(statement, _) = event {
            seen.lock().unwrap().insert(statement.sql().into_owned());
        }
    };
    connection
        .trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note))
        .unwrap();
    Sqlite::over(connection, clock).unwrap()
}

/// Whether it reads or writes a table.
fn has_a_plan(statement: &str) -> bool {
    ["select ", "insert ", "update ", "delete "]
        .iter()
        .any(|verb| statement.starts_with(verb))
}

/// The steps of a plan that read a table from end to end.
fn walks(connection: &Connection, statement: &str) -> Vec<String> {
    let mut plan = connection
        .prepare(&format!("explain query plan {statement}"))
        .unwrap();
    // whatever its parameters are: they are left out
    let steps = plan.raw_query().mapped(|row| row.get::<_, String>(3));
    steps
        .map(Result::unwrap)
        // what a subquery has found is read from end to end, as it should
        .filter(|step| step.starts_with("SCAN ") && !step.starts_with("SCAN (subquery"))
        .collect()
}

#[test]
fn no_statement_walks_through_a_table() {
    let seen = Seen::default();
    let fresh = async || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        Subject::manual(|clock| listened(&path, clock, Arc::clone(&seen))).keeping(folder)
    };
    macro_rules! every {
        ($port:ident: $($name:ident,)+) => {
            $(run(prove(fresh, tollgate_testkit::conformance::$port::$name));)+
        };
    }
    tollgate_testkit::each_property!(every);

    let folder = tempfile::tempdir().unwrap();
    let connection = prepare(&folder.path().join("empty.sqlite")).unwrap();
    let seen = seen.lock().unwrap();
    let asked: Vec<_> = seen.iter().filter(|statement| has_a_plan(statement)).collect();
    for table in [
        "idempotency",
        "dedup",
        "quota",
        "velocity",
        "audit",
        "carry_over",
        "saga",
        "saga_record",
    ] {
        assert!(
            asked
                .iter()
                .any(|statement| statement.split_whitespace().any(|word| word == table)),
            "nothing was heard of {table}"
        );
    }
    for statement in asked {
        let walks = walks(&connection, statement);
        assert!(walks.is_empty(), "{statement}\n{walks:#?}");
    }
}
