//! Whose keys these are, and which record is a key's.

use super::GuardedHttp;
use tollgate_core::store::idempotency::{RecordKey, Tenant};
use tollgate_core::{IdempotencyKey, Secrets};

/// Whose keys: a tenant, and the environment if test and live share a store. Equal keys in two scopes are two keys.
///
/// ```
/// use tollgate::idempotency::KeyScope;
///
/// assert_eq!(KeyScope::from("acme"), KeyScope::from(("acme", "")));
/// assert_ne!(KeyScope::from(("acme", "test")), KeyScope::from(("acme", "live")));
/// assert_ne!(KeyScope::from(("ab", "c")), KeyScope::from(("a", "bc"))); // no two pairs run together
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyScope(String);

/// Tenant and environment.
impl<T: AsRef<str>, E: AsRef<str>> From<(T, E)> for KeyScope {
    fn from((tenant, environment): (T, E)) -> Self {
        let (tenant, environment) = (tenant.as_ref(), environment.as_ref());
        Self(format!("{}:{tenant}{environment}", tenant.len()))
    }
}

/// A tenant with one environment.
impl From<&str> for KeyScope {
    fn from(tenant: &str) -> Self {
        Self::from((tenant, ""))
    }
}

/// A tenant with one environment.
impl From<String> for KeyScope {
    fn from(tenant: String) -> Self {
        Self::from((tenant, ""))
    }
}

/// The control character keeps a caller's keys apart from those of typed calls in the same store: handed on to a gateway call, a key
/// would meet its own record, and a stranger could use up the key of somebody's refund.
pub(super) fn record_key(secrets: &Secrets, scope: Option<&KeyScope>, key: &str) -> RecordKey {
    let scope = scope.map_or("", |scope| &scope.0);
    secrets.record_key(&format!("http\0{scope}"), key)
}

/// On whose account open outcomes are counted: the scope's, since that is as far apart as keys are kept.
pub(super) fn tenant(secrets: &Secrets, scope: Option<&KeyScope>) -> Tenant {
    secrets.tenant(scope.map_or("", |scope| &scope.0))
}

impl GuardedHttp {
    /// Names the record of a caller's key, for whoever wants to see how it stands: support, operators, tests. `scope` is what
    /// [`scope`](Self::scope) makes of the caller's requests; `None` without it.
    ///
    /// ```
    /// use tollgate::idempotency::{GuardedHttp, KeyScope};
    /// use tollgate_core::store::{idempotency::IdempotencyStore, memory::MemoryIdempotency};
    /// use tollgate_core::{IdempotencyKey, Secrets};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (store, secrets) = (MemoryIdempotency::new(), Secrets::ephemeral());
    /// let (acme, key) = (KeyScope::from("acme"), IdempotencyKey::new("order-4711")?);
    /// let record = GuardedHttp::record_key(&secrets, Some(&acme), &key);
    /// assert_eq!(store.get(record).await?, None); // nobody has used this key
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn record_key(secrets: &Secrets, scope: Option<&KeyScope>, key: &IdempotencyKey) -> RecordKey {
        record_key(secrets, scope, key.as_str())
    }

    /// On whose account the open outcomes of a scope are counted: what stands as `tenant` at each open key and in log lines. Stores and logs
    /// hold no customer's name; whoever has a list of customers finds out in this way which of them it is. `scope` is as in
    /// [`record_key`](Self::record_key); without one it is [`Tenant::NONE`].
    ///
    /// ```
    /// use tollgate::idempotency::{GuardedHttp, KeyScope};
    /// use tollgate_core::{Secrets, store::idempotency::Tenant};
    ///
    /// let secrets = Secrets::ephemeral();
    /// let account = |customer| GuardedHttp::tenant(&secrets, Some(&KeyScope::from((customer, "live"))));
    /// let logged = account("acme");
    /// let whose = ["zenith", "acme"].into_iter().find(|customer| account(customer) == logged);
    /// assert_eq!(whose, Some("acme"));
    /// assert_eq!(GuardedHttp::tenant(&secrets, None), Tenant::NONE);
    /// ```
    #[must_use]
    pub fn tenant(secrets: &Secrets, scope: Option<&KeyScope>) -> Tenant {
        tenant(secrets, scope)
    }
}
