//! A numbered case and what came of it.

use super::probe::Probe;
use super::target::Unusable;
use std::fmt;
use std::pin::Pin;

/// What came of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Pass,
    /// Not as expected.
    Fail,
    /// This server, or this set of options, cannot be asked.
    NotApplicable,
}

impl Verdict {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::NotApplicable => "n/a",
        }
    }
}

/// What was seen, and what to make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What to make of it.
    pub verdict: Verdict,
    /// What was seen; for a case that is not applicable, why.
    pub seen: String,
    /// What of it was wrong; empty unless it failed.
    pub wrong: String,
}

impl Finding {
    pub(super) fn not_applicable(why: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::NotApplicable,
            seen: why.into(),
            wrong: String::new(),
        }
    }
}

/// Collects what is seen and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Look {
    seen: Vec<String>,
    wrong: Vec<String>,
}

impl Look {
    pub(super) fn saw(&mut self, what: impl fmt::Display) -> &mut Self {
        self.seen.push(what.to_string());
        self
    }

    /// Says what is wrong unless it holds.
    pub(super) fn must(&mut self, holds: bool, wrong: impl fmt::Display) -> &mut Self {
        if !holds {
            self.wrong.push(wrong.to_string());
        }
        self
    }

    /// So many effects, no more and no less.
    pub(super) fn effects(&mut self, seen: i64, expected: i64) -> &mut Self {
        self.saw(format_args!("{seen} effect(s)"));
        self.must(
            seen == expected,
            format_args!("{seen} effect(s) instead of {expected}"),
        )
    }

    pub(super) fn done(&mut self) -> Finding {
        Finding {
            verdict: if self.wrong.is_empty() {
                Verdict::Pass
            } else {
                Verdict::Fail
            },
            seen: self.seen.join("; "),
            wrong: self.wrong.join("; "),
        }
    }
}

pub(super) type Looking<'p> = Pin<Box<dyn Future<Output = Result<Finding, Unusable>> + Send + 'p>>;

/// A numbered case. Numbers and names are stable: a case that is given up leaves a gap.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its number.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// What is sent.
    pub sent: &'static str,
    /// What is expected.
    pub expected: &'static str,
    pub(super) look: for<'p> fn(&'p Probe) -> Looking<'p>,
}

impl Case {
    /// Looks.
    ///
    /// # Errors
    /// [`Unusable`] when effects can no longer be counted, or a command fails. A server that does not answer fails the case instead.
    pub async fn look(&self, probe: &Probe) -> Result<Finding, Unusable> {
        (self.look)(probe).await
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("number", &self.number)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A table of cases: number, name, what is sent, what is expected, the function that looks.
macro_rules! cases {
    ($($number:literal $name:literal, $sent:literal, $expected:literal, $look:path;)+) => {
        pub(in crate::http_conformance) const CASES: &[$crate::http_conformance::Case] = &[$(
            $crate::http_conformance::Case {
                number: $number, name: $name, sent: $sent, expected: $expected,
                look: |probe| Box::pin($look(probe)),
            },
        )+];
    };
}
pub(super) use cases;
