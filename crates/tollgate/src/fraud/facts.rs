//! What rules look at, brought into one form before any rule sees it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_core::Money;
use tollgate_core::gateway::{AvsResult, CvvResult, NewPayment};
use tollgate_core::id::{CallerId, CustomerId, InstrumentToken};

/// A country of ISO 3166-1, by its two letters. `"us"` and `"US"` are one country (seed F7).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

/// Not two letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a country is two letters of ISO 3166-1, as \"DE\"")]
pub struct NotACountry;

impl Country {
    /// The code, in capitals.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl std::str::FromStr for Country {
    type Err = NotACountry;

    fn from_str(code: &str) -> Result<Self, NotACountry> {
        match code.trim().as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(NotACountry),
        }
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An e-mail address in the form in which two spellings of one mailbox are equal: white space around it, capitals and `+tags` do not
/// count, nor do dots before `@gmail.com`. For comparing only: never send mail to it. Not printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mailbox(String);

impl Mailbox {
    /// The mailbox that an address names.
    ///
    /// ```
    /// use tollgate::fraud::Mailbox;
    /// assert_eq!(Mailbox::of("Eve+Shop@Example.com "), Mailbox::of("eve@example.com"));
    /// assert_eq!(Mailbox::of("e.v.e@googlemail.com"), Mailbox::of("eve@gmail.com"));
    /// ```
    #[must_use]
    pub fn of(address: &str) -> Self {
        // what a mail program would take for the same mailbox: "Eve <eve@example.com>", blanks, quotes, characters without a width
        let address = address.rsplit_once('<').map_or(address, |(_, inner)| inner);
        let address = address.split('>').next().unwrap_or_default().to_lowercase();
        let address = address.trim().strip_prefix("mailto:").unwrap_or(&address);
        let seen = |c: &char| {
            let widthless =
                matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
            !(widthless || c.is_whitespace() || c.is_control() || matches!(c, '"' | ','))
        };
        let address: String = address.chars().filter(seen).collect();
        let Some((local, domain)) = address.rsplit_once('@') else {
            return Self(address);
        };
        let local = match local.split_once('+') {
            Some((name, _)) if !name.is_empty() => name,
            _ => local,
        };
        let domain = domain.trim_end_matches('.');
        Self(match domain {
            "gmail.com" | "googlemail.com" => format!("{}@gmail.com", local.replace('.', "")),
            _ => format!("{local}@{domain}"),
        })
    }

    /// What stands behind the `@`.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.0.rsplit_once('@').map(|(_, domain)| domain)
    }

    /// The text; hash it before it reaches a store or a log.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox(..)")
    }
}

/// What is known about a payment when it is screened. What is not known stays unset, and a rule that needs it has no opinion.
///
/// ```
/// use tollgate::fraud::Facts;
///
/// let facts = Facts::default()
///     .amount("19.99 EUR".parse()?)
///     .email("Ann@Example.com")
///     .ip("::ffff:203.0.113.7".parse()?)
///     .card_country("DE".parse()?)
///     .billing_country("de".parse()?);
/// assert_eq!(facts.card_country, facts.billing_country);
/// assert_eq!(facts.ip, Some("203.0.113.7".parse()?));
/// assert!(!format!("{facts:?}").contains("ann")); // personal data is not printed
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// How much is to be paid.
    pub amount: Option<Money>,
    /// The merchant's customer.
    pub customer: Option<CustomerId>,
    /// Whose shop.
    pub caller: Option<CallerId>,
    /// The payer's mailbox.
    pub mailbox: Option<Mailbox>,
    /// Where the request came from. IPv4 in IPv6's clothes is undressed.
    pub ip: Option<IpAddr>,
    /// The card or account, as the vault's token.
    pub instrument: Option<InstrumentToken>,
    /// Where the card was issued.
    pub card_country: Option<Country>,
    /// Where the bill goes.
    pub billing_country: Option<Country>,
    /// What the address check said. Known only after an authorization.
    pub avs: Option<AvsResult>,
    /// What the security-code check said. Known only after an authorization.
    pub cvv: Option<CvvResult>,
    /// The payer has authenticated: challenges are met.
    pub authenticated: bool,
}

macro_rules! setters {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty;)+) => {$(
        $(#[doc = $doc])+
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = Some($name);
            self
        }
    )+};
}

impl Facts {
    /// What a payment message says by itself: amount, instrument and customer.
    #[must_use]
    pub fn of(payment: &NewPayment) -> Self {
        Self {
            amount: Some(payment.amount),
            instrument: Some(payment.instrument.clone()),
            customer: payment.customer.clone(),
            ..Self::default()
        }
    }

    setters! {
        /// Sets how much is to be paid (default: not known).
        amount: Money;
        /// Sets the merchant's customer (default: not known).
        customer: CustomerId;
        /// Sets whose shop it is (default: not known).
        caller: CallerId;
        /// Sets the card or account (default: not known).
        instrument: InstrumentToken;
        /// Sets where the card was issued (default: not known).
        card_country: Country;
        /// Sets where the bill goes (default: not known).
        billing_country: Country;
        /// Sets what the address check said (default: not checked).
        avs: AvsResult;
        /// Sets what the security-code check said (default: not checked).
        cvv: CvvResult;
    }

    /// Sets the payer's e-mail address (default: not known).
    #[must_use]
    pub fn email(mut self, address: &str) -> Self {
        self.mailbox = Some(Mailbox::of(address));
        self
    }

    /// Sets where the request came from (default: not known). Take it from the connection or from a proxy you trust.
    #[must_use]
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip.to_canonical());
        self
    }

    /// Sets whether the payer has authenticated (default: no).
    #[must_use]
    pub const fn authenticated(mut self, authenticated: bool) -> Self {
        self.authenticated = authenticated;
        self
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("amount", &self.amount)
            .field("card_country", &self.card_country)
            .field("billing_country", &self.billing_country)
            .field("avs", &self.avs)
            .field("cvv", &self.cvv)
            .field("authenticated", &self.authenticated)
            .finish_non_exhaustive()
    }
}

/// Where the facts come from.
pub(super) type FactsOf<Req> = Arc<dyn Fn(&Req) -> Facts + Send + Sync>;
