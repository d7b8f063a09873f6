//! Linearizability: several processes with several connections each ask a real server about the same records, at random, and core's
//! pure rule must be able to explain all they were told, in an order that respects what came before what. The same while the server is
//! killed (SIGKILL) and started again on its files, over and over: whatever was acknowledged is still there, whatever was not happened
//! whole or not at all.
//!
//! Leases lapse at once or not at all, so that answers do not depend on how fast a machine is.

mod child;

use crate::server::{SAFE, Server, prefix, url};
use child::{CLIENTS, Child, KEYS, OPS, PROCESSES};
use std::sync::mpsc;
use tollgate_testkit::linear::{Event, Unexplained, explain, overlaps};

/// Each key's history, client by client.
type Histories = Vec<Vec<Vec<Event>>>;

/// Runs all clients against this server; `disturb` is called with it each time so many operations were done.
fn record(server: &str, seed: u64, safe: bool, mut disturb: impl FnMut(usize)) -> Histories {
    let prefix = prefix();
    let (said, heard) = mpsc::channel();
    let children: Vec<_> = (0..PROCESSES)
        .map(|number| Child::start(server, &prefix, seed, number, safe, said.clone()))
        .collect();
    drop(said);
    let mut histories = vec![vec![Vec::new(); PROCESSES * CLIENTS]; KEYS];
    for (number, said) in heard.iter().enumerate() {
        let (key, client, event) = child::parse(&said, seed);
        histories[key][client].push(event);
        disturb(number + 1);
    }
    for child in children {
        child.finish();
    }
    let total: usize = histories.iter().flatten().map(Vec::len).sum();
    assert_eq!(total, PROCESSES * CLIENTS * OPS, "every operation has its line");
    histories
}

fn lost(histories: &Histories) -> usize {
    histories
        .iter()
        .flatten()
        .flatten()
        .filter(|event| event.answer.is_none())
        .count()
}

#[test]
fn several_processes_are_explained_by_the_rule() {
    let mut met = 0;
    for seed in 0..SEEDS {
        let histories = record(&url(), seed, true, |_| {});
        assert_eq!(lost(&histories), 0, "nothing was lost on the way");
        let overlaps: usize = histories.iter().map(|clients| overlaps(clients)).sum();
        for (key, clients) in histories.iter().enumerate() {
            assert_eq!(explain(clients), Ok(()), "seed {seed}, key {key}");
        }
        met += usize::from(overlaps > 50);
        if met == 4 {
            return;
        }
    }
    panic!("in only {met} histories did operations overlap");
}

/// How often is tried what needs some luck: that processes meet is up to the machine.
const SEEDS: u64 = 20;

/// Runs everybody against a server that is killed again and again; what every key's history comes to, and how many answers were lost.
fn killed(seed: u64, arguments: &[&str], safe: bool) -> (Vec<Result<(), Unexplained>>, usize) {
    let mut server = Server::start(arguments);
    let url = server.url();
    let mut kills = 0;
    let histories = record(&url, seed, safe, |done| {
        if done % 70 == 69 {
            server.kill();
            server.restart();
            kills += 1;
        }
    });
    assert!(kills >= 4, "{kills} kills");
    (
        histories.iter().map(|clients| explain(clients)).collect(),
        lost(&histories),
    )
}

#[test]
fn a_server_that_is_killed_forgets_nothing_it_acknowledged() {
    let mut hit = 0;
    for seed in 10..10 + SEEDS {
        let (histories, lost) = killed(seed, &SAFE, true);
        for (key, found) in histories.into_iter().enumerate() {
            assert_eq!(found, Ok(()), "seed {seed}, key {key}");
        }
        // otherwise the kills fell beside the work
        hit += usize::from(lost > 0);
        if hit == 3 {
            return;
        }
    }
    panic!("in only {hit} histories was an answer lost");
}

/// The control: a server without its log forgets, and that is found out. Otherwise the test above proves nothing.
#[test]
fn a_server_that_forgets_is_found_out() {
    let mut seeds = 10..10 + SEEDS;
    let noticed = seeds.any(|seed| killed(seed, &[], false).0.iter().any(Result::is_err));
    assert!(noticed, "nobody noticed that all was gone");
}

/// Not a test of its own: what the processes of the others run.
#[test]
#[ignore = "the child's side of the other tests"]
fn child_process() {
    child::run();
}
