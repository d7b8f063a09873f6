//! Who and what: the names by which a store knows requests, callers and claims.

use std::fmt;

macro_rules! hashes {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From a keyed hash.
            #[must_use]
            pub const fn new(hash: [u8; 32]) -> Self {
                Self(hash)
            }

            /// The hash.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// As 64 hex digits, for people and audits.
            #[must_use]
            pub fn to_hex(&self) -> String {
                crate::id::hex(&self.0)
            }

            /// From 64 hex digits; `None` when it is anything else.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                let digits = text.as_bytes();
                if digits.len() != 64 {
                    return None;
                }
                let mut hash = [0; 32];
                for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
                    let digit = |at: usize| char::from(pair[at]).to_digit(16);
                    *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
                }
                Some(Self(hash))
            }
        }

        /// Four bytes: enough to find it in a log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}..)"), crate::id::hex(&self.0[..4]))
            }
        }
    )+};
}

hashes! {
    /// Names a record: a keyed hash of scope and client key. The client's key itself is never stored.
    RecordKey;
    /// Tells a repeat from a reuse: a keyed hash of everything that must not differ.
    Fingerprint;
}

/// As [`to_hex`](Self::to_hex): whole, so that whoever finds it in a log can show the record.
impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// Who began: random, made by the client of the store, so that a begin whose answer was lost can be recognised.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub u128);

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({:08x}..)", self.0 >> 96)
    }
}

/// On whose account open outcomes are counted: a keyed hash of the scope, made by [`Secrets::tenant`](crate::Secrets::tenant). Who has
/// too many of them gets no new claim ([`Begin::most_open`](super::Begin::most_open)), so that one tenant's flood does not fill the store for all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(pub u64);

impl Tenant {
    /// Of services that serve nobody in particular: all their keys are on one account.
    pub const NONE: Self = Self(0);
}

/// Four bytes: enough to tell two apart in a log.
impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tenant({:08x}..)", self.0 >> 32)
    }
}

/// Proof of a claim: epoch and owner fence every later write. The epoch orders attempts and makes audits readable; the
/// random owner survives a store that lost its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// Which record.
    pub key: RecordKey,
    /// Goes up by one at every acquisition.
    pub epoch: u64,
    /// Who holds it.
    pub owner: Owner,
}
