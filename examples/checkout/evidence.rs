//! What a scenario has to show.

use serde::Serialize;
use std::time::Duration;

/// One line of evidence.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Line {
    kind: Kind,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Sent,
    CameBack,
    Counted,
    Right,
    Wrong,
}

/// The evidence of one scenario, printed as it comes in.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    pub scenario: usize,
    pub title: &'static str,
    pub passed: bool,
    lines: Vec<Line>,
}

impl Evidence {
    pub fn new(scenario: usize, title: &'static str) -> Self {
        println!("\n{scenario:>2}. {title}");
        Self {
            scenario,
            title,
            passed: true,
            lines: Vec::new(),
        }
    }

    fn line(&mut self, kind: Kind, text: String) {
        let label = match kind {
            Kind::Sent => "sent     ",
            Kind::CameBack => "came back",
            Kind::Counted => "counted  ",
            Kind::Right => "right    ",
            Kind::Wrong => "WRONG    ",
        };
        println!("      {label}  {text}");
        self.lines.push(Line { kind, text });
    }

    /// What was sent, and to whom.
    pub fn sent(&mut self, text: impl Into<String>) {
        self.line(Kind::Sent, text.into());
    }

    /// What came back.
    pub fn came_back(&mut self, text: impl Into<String>) {
        self.line(Kind::CameBack, text.into());
    }

    /// What somebody else's ledger counts.
    pub fn counted(&mut self, text: impl Into<String>) {
        self.line(Kind::Counted, text.into());
    }

    /// Whether that is right.
    pub fn check(&mut self, claim: impl Into<String>, holds: bool) {
        self.passed &= holds;
        self.line(if holds { Kind::Right } else { Kind::Wrong }, claim.into());
    }

    pub fn failed(&mut self, error: &crate::Error) {
        self.check(format!("the scenario ran to its end: {error}"), false);
    }
}

/// The last lines: for people, and for scripts.
pub fn summary(all: &[Evidence], took: Duration, json: bool) -> bool {
    let failed: Vec<usize> = all
        .iter()
        .filter(|evidence| !evidence.passed)
        .map(|evidence| evidence.scenario)
        .collect();
    let passed = all.len() - failed.len();
    println!(
        "\n{passed} of {} scenarios are right, after {:.1} s",
        all.len(),
        took.as_secs_f32()
    );
    if !failed.is_empty() {
        println!("wrong: {failed:?}");
    }
    if json {
        let line = serde_json::json!({ "passed": passed, "failed": failed.len(), "scenarios": all });
        println!("{line}");
    }
    failed.is_empty()
}
