//! Whose quota a call uses.

use std::fmt;
use std::sync::Arc;

/// Finds a call's key.
pub trait KeyFrom<Req> {
    /// The key; `None` shares one quota with all others that have none.
    fn key_from(&self, req: &Req) -> Option<String>;
}

/// All calls share one quota.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unkeyed;

impl<Req> KeyFrom<Req> for Unkeyed {
    fn key_from(&self, _: &Req) -> Option<String> {
        None
    }
}

type KeyFn<Req> = dyn Fn(&Req) -> Option<String> + Send + Sync;

/// A key by a function.
pub struct KeyedBy<Req>(Arc<KeyFn<Req>>);

impl<Req> KeyedBy<Req> {
    pub(super) fn new(key: impl Fn(&Req) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(key))
    }
}

impl<Req> KeyFrom<Req> for KeyedBy<Req> {
    fn key_from(&self, req: &Req) -> Option<String> {
        (self.0)(req)
    }
}

impl<Req> Clone for KeyedBy<Req> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Req> fmt::Debug for KeyedBy<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedBy(..)")
    }
}
