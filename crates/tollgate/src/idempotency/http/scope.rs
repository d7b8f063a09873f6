//! Whose keys these are.

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

impl KeyScope {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

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
