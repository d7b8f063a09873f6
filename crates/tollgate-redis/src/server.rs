//! A server as every port asks it: its connection, its scripts, and what its keys are called.

use crate::connection::Connection;
use crate::record::hex;
use crate::script::Scripts;
use std::sync::Arc;
use std::time::Duration;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Server(Arc<Inner>);

struct Inner {
    connection: Connection,
    scripts: Scripts,
    prefix: String,
    indexes: [Vec<u8>; 3],
    forget_after: Duration,
}

impl Server {
    pub(crate) fn new(connection: Connection, clock: &str, prefix: String, forget_after: Duration) -> Self {
        Self(Arc::new(Inner {
            connection,
            scripts: Scripts::new(clock),
            indexes: ["watch", "unknown", "doubtful"].map(|index| key(&prefix, index)),
            prefix,
            forget_after,
        }))
    }

    /// Where it is, without user and password.
    pub(crate) fn name(&self) -> String {
        self.0.connection.server()
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.0.prefix
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    pub(crate) fn scripts(&self) -> &Scripts {
        &self.0.scripts
    }

    pub(crate) fn forget_after(&self) -> Duration {
        self.0.forget_after
    }

    /// A key of ours: the prefix as hash tag, then what it is.
    pub(crate) fn key(&self, what: &str) -> Vec<u8> {
        key(&self.0.prefix, what)
    }

    /// The key of a record: its name in hexadecimal, so that a person can type it.
    pub(crate) fn key_of(&self, kind: &str, name: &[u8]) -> Vec<u8> {
        let prefix = self.0.prefix.as_bytes();
        let mut key = Vec::with_capacity(prefix.len() + kind.len() + 4 + 2 * name.len());
        for part in [b"{", prefix, b"}:", kind.as_bytes(), b":"] {
            key.extend_from_slice(part);
        }
        hex(name, &mut key);
        key
    }

    /// The indexes of the idempotency records, in the order in which the scripts know them.
    pub(crate) fn indexes(&self) -> &[Vec<u8>; 3] {
        &self.0.indexes
    }
}

pub(crate) fn key(prefix: &str, what: &str) -> Vec<u8> {
    format!("{{{prefix}}}:{what}").into()
}
