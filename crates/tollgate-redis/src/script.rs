//! The scripts, one per transition, and how they are run.

use crate::Redis;
use crate::error::Failure;
use crate::reply::Reply;
use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};
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
    begin: true, ["record", "begin"];
    arm: true, ["record", "arm"];
    renew: true, ["record", "renew"];
    settle: true, ["record", "settle"];
    resolve: true, ["record", "resolve"];
    unresolved: false, ["record", "unresolved"];
    sweep: true, ["record", "sweep"];
    collect: true, ["record", "collect"];
    due: false, ["due"];
    claim: true, ["event", "claim"];
    commit: true, ["event", "commit"];
    release: true, ["event", "release"];
    forget: true, ["event", "forget"];
    take: true, ["take"];
    give_back: true, ["give_back"];
    admit: true, ["admit"];
}

impl Script {
    fn new(code: String, writes: bool) -> Self {
        let hash = redis::Script::new(&code).get_hash().to_owned();
        Self { code, hash, writes }
    }

    /// The command that runs it by its hash, or by its text.
    fn command(&self, by_hash: bool, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Cmd {
        let mut command = if by_hash {
            redis::cmd("EVALSHA").arg(&self.hash).take()
        } else {
            redis::cmd("EVAL").arg(&self.code).take()
        };
        command.arg(keys.len()).arg(keys).arg(arguments);
        command
    }
}

impl Redis {
    /// Runs a script: by its hash, and by its text when the server does not know it (new, restarted, or flushed). By its text,
    /// because a script that is loaded first may be flushed again before it is called.
    ///
    /// An answer that cannot be read comes too late to say that nothing was written.
    pub(crate) async fn run<T>(
        &self,
        script: &Script,
        keys: Vec<Vec<u8>>,
        arguments: Vec<Vec<u8>>,
        read: impl FnOnce(Reply) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut found = self.send(script.command(true, &keys, &arguments)).await;
        if matches!(&found, Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            found = self.send(script.command(false, &keys, &arguments)).await;
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
    pub(crate) async fn read(&self, command: Cmd) -> Result<Reply, StoreError> {
        let value = self
            .send(command)
            .await
            .map_err(|error| Failure::of(&error).into_store_error(false))?;
        Reply::of(value)
    }

    async fn send(&self, command: Cmd) -> RedisResult<Value> {
        self.connection().send(&command).await
    }

    /// Runs a script over what is due in an index, in batches, until `limit` records changed or nothing is left.
    pub(crate) async fn upkeep(
        &self,
        script: &Script,
        index: &[u8],
        indexes: &[Vec<u8>],
        first: Option<Vec<u8>>,
        limit: u32,
        key_of: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Result<u64, StoreError> {
        let mut changed = 0u64;
        while changed < u64::from(limit) {
            let batch = BATCH.min(u64::from(limit) - changed);
            let members = self
                .run(
                    &self.scripts().due,
                    vec![index.to_vec()],
                    vec![batch.to_string().into()],
                    Reply::all,
                )
                .await
                .map_err(|error| since(error, changed))?;
            if members.is_empty() {
                break;
            }
            let keys = indexes
                .iter()
                .cloned()
                .chain(members.iter().map(|member| key_of(member)))
                .collect();
            let arguments = first.iter().cloned().chain(members).collect();
            let (done, moved, unreadable) = self
                .run(script, keys, arguments, |mut reply| {
                    Ok((
                        reply.number::<u64>()?,
                        reply.number::<u64>()?,
                        reply.number::<u64>()?,
                    ))
                })
                .await
                .map_err(|error| since(error, changed))?;
            changed += done;
            if unreadable > 0 {
                return Err(since(Failure::Unreadable.into_store_error(false), changed));
            }
            if moved == 0 {
                break;
            }
        }
        Ok(changed)
    }
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
