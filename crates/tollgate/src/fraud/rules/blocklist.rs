//! Who is not served.

use super::{Check, Rule};
use crate::fraud::decision::{Decision, Finding};
use crate::fraud::facts::{Facts, Mailbox};
use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use tollgate_core::id::{CustomerId, InstrumentToken};

/// Blocks listed mailboxes, mail domains, networks, instruments and customers. Entries are brought into the same form as the facts,
/// so capitals, spaces and `+tags` do not get past it (seed F6). Not printed.
#[derive(Clone, Default)]
pub struct Blocklist {
    mailboxes: HashSet<Mailbox>,
    domains: HashSet<String>,
    networks: Vec<Network>,
    instruments: HashSet<InstrumentToken>,
    customers: HashSet<CustomerId>,
}

/// An address, or all addresses that share its first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address or network: write it as \"203.0.113.7\" or \"2001:db8::/48\"")]
pub struct NotANetwork;

impl std::str::FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.trim().split_once('/') {
            None => (text.trim(), None),
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| NotANetwork)?)),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        if bits > all {
            return Err(NotANetwork);
        }
        // ::ffff:a.b.c.d/120 is a.b.c.0/24: the facts are undressed, so the entry is too
        match (address.to_canonical(), address) {
            (IpAddr::V4(inner), IpAddr::V6(_)) if bits >= 96 => Ok(Self {
                address: inner.into(),
                bits: bits - 96,
            }),
            _ => Ok(Self { address, bits }),
        }
    }
}

impl Network {
    /// Whether an address belongs to it.
    ///
    /// ```
    /// use tollgate::fraud::Network;
    /// let network: Network = "203.0.113.0/24".parse()?;
    /// assert!(network.contains("203.0.113.77".parse()?));
    /// assert!(!network.contains("203.0.114.77".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let rest = 32 - u32::from(self.bits);
                (u32::from(network) ^ u32::from(address))
                    .checked_shr(rest)
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let rest = 128 - u32::from(self.bits);
                (u128::from(network) ^ u128::from(address))
                    .checked_shr(rest)
                    .unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }
}

impl Blocklist {
    /// Adds e-mail addresses (default: none).
    #[must_use]
    pub fn emails<A: AsRef<str>>(mut self, addresses: impl IntoIterator<Item = A>) -> Self {
        self.mailboxes
            .extend(addresses.into_iter().map(|address| Mailbox::of(address.as_ref())));
        self
    }

    /// Adds mail domains, with everything under them (default: none).
    #[must_use]
    pub fn domains<D: AsRef<str>>(mut self, domains: impl IntoIterator<Item = D>) -> Self {
        self.domains.extend(domains.into_iter().map(|domain| {
            let domain = domain.as_ref().trim().to_lowercase();
            domain.trim_start_matches('@').trim_matches('.').to_owned()
        }));
        self
    }

    /// Adds addresses and networks (default: none).
    #[must_use]
    pub fn networks(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.networks.extend(networks);
        self
    }

    /// Adds instruments (default: none).
    #[must_use]
    pub fn instruments(mut self, instruments: impl IntoIterator<Item = InstrumentToken>) -> Self {
        self.instruments.extend(instruments);
        self
    }

    /// Adds customers (default: none).
    #[must_use]
    pub fn customers(mut self, customers: impl IntoIterator<Item = CustomerId>) -> Self {
        self.customers.extend(customers);
        self
    }

    fn lists_domain(&self, mailbox: &Mailbox) -> bool {
        let mut domain = if self.domains.is_empty() {
            None
        } else {
            mailbox.domain()
        };
        while let Some(name) = domain {
            if self.domains.contains(name) {
                return true;
            }
            domain = name.split_once('.').map(|(_, parent)| parent);
        }
        false
    }

    fn reason(&self, facts: &Facts) -> Option<&'static str> {
        let mailbox = facts.mailbox.as_ref();
        if mailbox.is_some_and(|mailbox| self.mailboxes.contains(mailbox)) {
            Some("the mailbox is blocked")
        } else if mailbox.is_some_and(|mailbox| self.lists_domain(mailbox)) {
            Some("the mail domain is blocked")
        } else if facts
            .ip
            .is_some_and(|ip| self.networks.iter().any(|network| network.contains(ip)))
        {
            Some("the network is blocked")
        } else if facts
            .instrument
            .as_ref()
            .is_some_and(|token| self.instruments.contains(token))
        {
            Some("the instrument is blocked")
        } else if facts
            .customer
            .as_ref()
            .is_some_and(|customer| self.customers.contains(customer))
        {
            Some("the customer is blocked")
        } else {
            None
        }
    }
}

impl Rule for Blocklist {
    fn name(&self) -> &'static str {
        "blocklist"
    }

    fn check(&self, facts: &Facts) -> Check {
        Check::Now(
            self.reason(facts)
                .map(|reason| Finding::new(Decision::Block, 100, reason)),
        )
    }
}

impl fmt::Debug for Blocklist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocklist")
            .field("mailboxes", &self.mailboxes.len())
            .field("domains", &self.domains.len())
            .field("networks", &self.networks.len())
            .field("instruments", &self.instruments.len())
            .field("customers", &self.customers.len())
            .finish()
    }
}
