//! What came of all cases.

use super::case::{Case, Finding, Verdict};
use super::cases;
use super::probe::Probe;
use super::target::{Profile, Target, Unusable};
use std::fmt;

/// Every case, in the order of their numbers.
pub fn all_cases() -> impl Iterator<Item = &'static Case> {
    cases::all()
}

/// The case with this number or name.
#[must_use]
pub fn find_case(number_or_name: &str) -> Option<&'static Case> {
    all_cases().find(|case| case.name == number_or_name || number_or_name.parse() == Ok(case.number))
}

/// Reaches the server and looks at every case, or at those that `only` names; one after the other, because they share the counter.
///
/// # Errors
/// [`Unusable`]: the server cannot be reached, or its effects not be counted.
pub async fn run(target: Target, only: &[&'static Case]) -> Result<Report, Unusable> {
    run_telling(target, only, |_| ()).await
}

/// As [`run`], and tells of each case as soon as it is done.
///
/// # Errors
/// As [`run`].
pub async fn run_telling(
    target: Target,
    only: &[&'static Case],
    mut tell: impl FnMut(&Outcome),
) -> Result<Report, Unusable> {
    let probe = Probe::new(target).await?;
    let mut report = Report {
        server: probe.target.base().to_string(),
        profile: probe.profile(),
        outcomes: Vec::new(),
    };
    for case in all_cases() {
        if !only.is_empty() && only.iter().all(|named| named.number != case.number) {
            continue;
        }
        let finding = case.look(&probe).await?;
        let outcome = Outcome { case, finding };
        tell(&outcome);
        report.outcomes.push(outcome);
    }
    Ok(report)
}

/// A case and what came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case.
    pub case: &'static Case,
    /// What came of it.
    pub finding: Finding,
}

/// One case, told so that a reader needs no documentation.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, finding } = self;
        writeln!(
            f,
            "{:>2} {:<4} {}",
            case.number,
            finding.verdict.as_str(),
            case.name
        )?;
        match finding.verdict {
            Verdict::NotApplicable => writeln!(f, "         because   {}", finding.seen),
            Verdict::Pass => writeln!(f, "         seen      {}", finding.seen),
            Verdict::Fail => {
                writeln!(f, "         sent      {}", case.sent)?;
                writeln!(f, "         expected  {}", case.expected)?;
                writeln!(f, "         seen      {}", finding.seen)?;
                writeln!(f, "         wrong     {}", finding.wrong)
            }
        }
    }
}

/// What came of all of them.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where the server is.
    pub server: String,
    /// Whose words were expected.
    pub profile: Profile,
    /// By number.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// How many ended so.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.named(verdict).count()
    }

    /// The names of those that ended so, by number.
    pub fn named(&self, verdict: Verdict) -> impl Iterator<Item = &'static str> {
        self.outcomes
            .iter()
            .filter(move |outcome| outcome.finding.verdict == verdict)
            .map(|outcome| outcome.case.name)
    }

    /// One sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        format!(
            "{}, profile {}: {} passed, {} failed, {} not applicable",
            self.server,
            self.profile.as_str(),
            self.count(Verdict::Pass),
            self.count(Verdict::Fail),
            self.count(Verdict::NotApplicable)
        )
    }

    /// For programs: `server`, `profile`, `passed`, `failed`, `not_applicable`, and `cases` with `number`, `name`, `sent`, `expected`, `seen`,
    /// `wrong` and `verdict`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let cases: Vec<_> = self
            .outcomes
            .iter()
            .map(|Outcome { case, finding }| {
                serde_json::json!({
                    "number": case.number, "name": case.name, "sent": case.sent, "expected": case.expected,
                    "seen": finding.seen, "wrong": finding.wrong,
                    "verdict": match finding.verdict {
                        Verdict::Pass => "pass",
                        Verdict::Fail => "fail",
                        Verdict::NotApplicable => "not-applicable",
                    },
                })
            })
            .collect();
        serde_json::json!({
            "server": self.server,
            "profile": self.profile.as_str(),
            "passed": self.count(Verdict::Pass),
            "failed": self.count(Verdict::Fail),
            "not_applicable": self.count(Verdict::NotApplicable),
            "cases": cases,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.outcomes {
            write!(f, "{outcome}")?;
        }
        writeln!(f, "\n{}", self.summary())
    }
}
