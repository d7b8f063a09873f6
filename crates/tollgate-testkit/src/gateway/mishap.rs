//! What can happen to a call on its way to a gateway and back.

use std::time::Duration;

/// What happens to one call. Without a mishap the call arrives, is booked, and is answered.
///
/// | mishap | booked | remembered under the key | the caller sees |
/// |---|---|---|---|
/// | [`NotConnected`](Self::NotConnected) | no | no | network error, certainly not sent |
/// | [`LostBefore`](Self::LostBefore) | no | no | connection lost: in doubt |
/// | [`TimeoutBefore`](Self::TimeoutBefore) | no | no | time-out: in doubt |
/// | [`LostAfter`](Self::LostAfter) | **yes** | yes | connection lost: in doubt |
/// | [`TimeoutAfter`](Self::TimeoutAfter) | **yes** | yes | time-out: in doubt |
/// | [`BooksLate`](Self::BooksLate) | **later** | then | time-out: in doubt |
/// | [`FailsBefore`](Self::FailsBefore) | no | no | 5xx: in doubt |
/// | [`FailsAfter`](Self::FailsAfter) | **yes** | yes | 5xx: in doubt |
/// | [`Declines`](Self::Declines) | no | yes | declined |
/// | [`NeedsAuthentication`](Self::NeedsAuthentication) | no | yes | authentication required |
/// | [`TurnsAway`](Self::TurnsAway) | no | no | 429, with its wait |
/// | [`ArrivesTwice`](Self::ArrivesTwice) | once per arrival, unless it knows the key | yes | the second answer |
/// | [`Slow`](Self::Slow) | yes, at once | yes | the answer, after the wait |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mishap {
    /// No connection: nothing leaves.
    NotConnected,
    /// The connection breaks before the gateway has the call.
    LostBefore,
    /// No answer in time, and the gateway never had the call.
    TimeoutBefore,
    /// Booked; the connection breaks before the answer arrives.
    LostAfter,
    /// Booked; no answer in time.
    TimeoutAfter,
    /// No answer in time; the call sits in a queue and is booked after this long. A look-up before that finds nothing: absence is
    /// not proved by one look.
    BooksLate(Duration),
    /// The gateway fails (5xx) before it books.
    FailsBefore,
    /// The gateway books, and then fails (5xx).
    FailsAfter,
    /// The issuer says no, with this code.
    Declines(&'static str),
    /// The payer has to authenticate.
    NeedsAuthentication,
    /// Too many calls: come back after this long.
    TurnsAway(Duration),
    /// The network delivers the call twice.
    ArrivesTwice,
    /// Booked at once, answered after this long. Dropping the call in between does not undo the booking.
    Slow(Duration),
}
