//! Fail points: where a process kills or freezes itself, at the n-th passage. The environment variable [`KILL_AT`] names one, as
//! `before_settle:17:kill` or `after_begin:4:freeze`.

use crate::Error;
use crate::evidence::{Event, Lines};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

pub const KILL_AT: &str = "TOLLGATE_KILL_AT";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The store has granted the claim.
    AfterBegin,
    /// The store has armed it (only where that is a step of its own).
    AfterArm,
    /// The first byte to the gateway is about to leave.
    BeforeSend,
    /// The request has left, or has been answered; nobody has looked at the answer.
    AfterSend,
    /// The outcome is about to be written.
    BeforeSettle,
    /// It is written; nobody has been told.
    AfterSettle,
}

impl Point {
    pub const ALL: [Self; 6] = [
        Self::AfterBegin,
        Self::AfterArm,
        Self::BeforeSend,
        Self::AfterSend,
        Self::BeforeSettle,
        Self::AfterSettle,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfterBegin => "after_begin",
            Self::AfterArm => "after_arm",
            Self::BeforeSend => "before_send",
            Self::AfterSend => "after_send",
            Self::BeforeSettle => "before_settle",
            Self::AfterSettle => "after_settle",
        }
    }
}

/// What happens at which passage of which point; nothing, without the environment variable.
#[derive(Clone, Debug)]
pub struct Points(Arc<Plan>);

#[derive(Debug)]
struct Plan {
    at: Option<(Point, u64, bool)>,
    passed: AtomicU64,
    events: Arc<Lines>,
}

impl Points {
    pub fn from_environment(events: Arc<Lines>) -> Result<Self, Error> {
        let at = match std::env::var(KILL_AT) {
            Err(_) => None,
            Ok(text) => {
                Some(parse(&text).ok_or_else(|| format!("{KILL_AT}={text}: point:passage:kill|freeze"))?)
            }
        };
        Ok(Self(Arc::new(Plan {
            at,
            passed: AtomicU64::new(0),
            events,
        })))
    }

    /// Stands where the point is. A process that is killed here does not return; one that is frozen does, later.
    pub fn pass(&self, point: Point) {
        let Some((at, passage, kill)) = self.0.at else {
            return;
        };
        if at != point || self.0.passed.fetch_add(1, SeqCst) + 1 != passage {
            return;
        }
        let name = point.as_str().to_owned();
        let (event, script) = if kill {
            (Event::Killed(name), "kill -KILL $PPID")
        } else {
            // longer than the lease of 1 s; whoever freezes itself has to be woken by somebody else
            (
                Event::Froze(name),
                "kill -STOP $PPID; sleep 1.6; kill -CONT $PPID",
            )
        };
        let _ = self.0.events.write(&event);
        let _ = Command::new("sh").args(["-c", script]).status();
    }
}

fn parse(text: &str) -> Option<(Point, u64, bool)> {
    let mut parts = text.split(':');
    let name = parts.next()?;
    let point = Point::ALL.into_iter().find(|point| point.as_str() == name)?;
    let passage = parts.next()?.parse().ok()?;
    let kill = match parts.next()? {
        "kill" => true,
        "freeze" => false,
        _ => return None,
    };
    parts.next().is_none().then_some((point, passage, kill))
}
