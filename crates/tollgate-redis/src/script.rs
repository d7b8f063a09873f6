//! The scripts, one per transition, and how they are run.

use crate::error::Failure;
use crate::reply::Reply;
use crate::server::Server;
use redis::{Arg, Cmd, ErrorKind, ServerErrorKind, Value};
use std::time::Duration;
use tollgate_core::store::StoreError;

/// A script with what stands before it.
pub(crate) struct Script {
    code: String,
    hash: String,
    writes: bool,
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident: $writes:literal, [$($part:literal),+];)+) => {
        /// Every script, each behind the clock.
        pub(crate) struct Scripts {
            $($(#[$doc])* pub(crate) $name: Script,)+
        }

        impl Scripts {
            pub(crate) fn new(clock: &str) -> Self {
                Self {
                    $($name: Script::new(
                        [clock, $(include_str!(concat!("lua/", $part, ".lua"))),+].join("\n"),
                        $writes,
                    ),)+
                }
            }
        }
    };
}

scripts! {
    now: false, ["now"];
    begin: true, ["begin_new", "unreadable", "record", "begin"];
    arm: true, ["unreadable", "record", "arm"];
    renew: true, ["unreadable", "record", "renew"];
    settle: true, ["settle_completed", "unreadable", "record", "settle"];
    together: true, ["together"];
    resolve: true, ["unreadable", "record", "resolve"];
    unresolved: false, ["unreadable", "record", "unresolved"];
    sweep: true, ["unreadable", "record", "sweep"];
    collect: true, ["unreadable", "record", "collect"];
    due: false, ["due"];
    claim: true, ["unreadable", "expire", "event", "claim"];
    commit: true, ["unreadable", "expire", "event", "commit"];
    release: true, ["unreadable", "expire", "event", "release"];
    forget: true, ["unreadable", "expire", "event", "forget"];
    take: true, ["unreadable", "expire", "take"];
    give_back: true, ["unreadable", "expire", "give_back"];
    admit: true, ["unreadable", "admit"];
}

impl Script {
    fn new(code: String, writes: bool) -> Self {
        let hash = redis::Script::new(&code).get_hash().to_owned();
        Self { code, hash, writes }
    }

    /// A question to it, by its hash, over so many keys: these and then its arguments are still to be added.
    pub(crate) fn over(&self, keys: usize) -> Cmd {
        let mut question = Cmd::with_capacity(keys + 12, 512);
        question.arg("EVALSHA").arg(&self.hash).arg(keys);
        question
    }

    /// A question to it, by its text: how many keys, these, and its arguments are still to be added.
    pub(crate) fn text(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(&self.code);
        command
    }

    /// The same question by its text.
    fn by_text(&self, question: &Cmd) -> Cmd {
        let mut command = self.text();
        for argument in question.args_iter().skip(2) {
            if let Arg::Simple(bytes) = argument {
                command.arg(bytes);
            }
        }
        command
    }
}

impl Server {
    /// Runs a script over these keys with these arguments.
    pub(crate) async fn run<T>(
        &self,
        script: &Script,
        keys: Vec<Vec<u8>>,
        arguments: Vec<Vec<u8>>,
        read: impl FnOnce(Reply) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut question = script.over(keys.len());
        question.arg(keys).arg(arguments);
        self.ask(script, question, read).await
    }

    /// Asks a script a [question](Script::over): by its hash, and by its text when the server does not know it (new, restarted, or
    /// flushed). By its text, because a script that is loaded first may be flushed again before it is called.
    ///
    /// An answer that cannot be read comes too late to say that nothing was written.
    pub(crate) async fn ask<T>(
        &self,
        script: &Script,
        question: Cmd,
        read: impl FnOnce(Reply) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut found = self.connection().send(&question).await;
        if matches!(&found, Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            found = self.connection().send(&script.by_text(&question)).await;
        }
        let value = found.map_err(|error| Failure::of(&error).into_store_error(script.writes))?;
        Reply::of(value).and_then(read).map_err(|error| {
            if script.writes {
                error.possibly_applied()
            } else {
                error
            }
        })
    }

    /// Asks for something that only reads.
    pub(crate) async fn read(&self, command: Cmd) -> Result<Value, StoreError> {
        self.connection()
            .send(&command)
            .await
            .map_err(|error| Failure::of(&error).into_store_error(false))
    }

    /// Runs a script over what is due, in batches, until `limit` records changed or nothing is left. What stays in its place, because
    /// it cannot be read or is not due after all, is passed over: it must not stand in the way of what comes behind it.
    pub(crate) async fn upkeep(&self, script: &Script, due: Due<'_>, limit: u32) -> Result<u64, StoreError> {
        let (mut changed, mut stayed, mut unreadable) = (0u64, 0u64, 0u64);
        while changed < u64::from(limit) {
            let batch = BATCH.min(u64::from(limit) - changed);
            let mut question = self.scripts().due.over(1);
            question.arg(due.index).arg(batch).arg(stayed).arg(due.what);
            let members = self
                .ask(&self.scripts().due, question, Reply::all)
                .await
                .map_err(|error| since(error, changed))?;
            let Some(found) = u64::try_from(members.len()).ok().filter(|found| *found > 0) else {
                break;
            };
            let mut question = script.over(due.indexes.len() + members.len());
            question.arg(due.indexes);
            for member in &members {
                question.arg(self.key_of(due.kind, member));
            }
            question.arg(&due.first).arg(&members);
            let read = |mut reply: Reply| -> Result<[u64; 3], StoreError> {
                Ok([reply.number()?, reply.number()?, reply.number()?])
            };
            let [done, moved, damaged] = self
                .ask(script, question, read)
                .await
                .map_err(|error| since(error, changed))?;
            changed += done;
            unreadable += damaged;
            stayed += found.saturating_sub(moved);
        }
        if unreadable > 0 {
            return Err(since(Failure::Unreadable.into_store_error(false), changed));
        }
        Ok(changed)
    }
}

/// What a script of upkeep looks at.
pub(crate) struct Due<'d> {
    /// Where it is found.
    pub(crate) index: &'d [u8],
    /// Which part of that, as `due.lua` knows it.
    pub(crate) what: &'static str,
    /// The keys before the records'.
    pub(crate) indexes: &'d [Vec<u8>],
    /// What a record's key is called.
    pub(crate) kind: &'static str,
    /// The argument before the members.
    pub(crate) first: Option<Vec<u8>>,
}

/// How many records one script handles: the server does nothing else meanwhile.
pub(crate) const BATCH: u64 = 128;

/// What failed after some of it was done was possibly applied.
fn since(error: StoreError, changed: u64) -> StoreError {
    if changed > 0 {
        error.possibly_applied()
    } else {
        error
    }
}

/// Whole microseconds, as far as the scripts count.
pub(crate) fn micros(duration: Duration) -> Vec<u8> {
    const MOST: u128 = (1 << 53) - 1;
    duration.as_micros().min(MOST).to_string().into()
}
