//! The way to a place that the audit found: from here, through here, to here.

use nt_types::Irql;

use crate::span::Span;

/// One step on the way, in the order of execution.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waypoint {
    /// What happens.
    pub kind: WaypointKind,
    /// Where.
    pub at: Span,
}

/// What happens at a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WaypointKind {
    /// The driver names the routine to the system.
    Named,
    /// The system calls the routine.
    Entered {
        /// As what: "dispatch routine" and so on.
        role: String,
        /// Lowest IRQL.
        lowest: Irql,
        /// Highest IRQL.
        highest: Irql,
    },
    /// IRQL is raised.
    Raised {
        /// Lowest level before.
        from: Irql,
        /// Lowest level after.
        to: Irql,
    },
    /// A call on the way.
    Called,
    /// The section is locked that the finding is about.
    Locked,
    /// It is unlocked.
    Unlocked,
}

impl WaypointKind {
    /// The sentence above the code.
    pub(crate) fn sentence(&self) -> String {
        match self {
            WaypointKind::Named => "the routine is named to the system here".to_owned(),
            WaypointKind::Entered { role, lowest, highest } if lowest == highest => {
                format!("from here: the system calls this {role} at `{lowest}`")
            }
            WaypointKind::Entered { role, lowest, highest } => {
                format!("from here: the system calls this {role} at `{lowest}` to `{highest}`")
            }
            WaypointKind::Raised { from, to } => format!("through here: IRQL is raised from `{from}` to `{to}`"),
            WaypointKind::Called => "through here: this call leads on".to_owned(),
            WaypointKind::Locked => "through here: the section is locked".to_owned(),
            WaypointKind::Unlocked => "through here: the section is unlocked".to_owned(),
        }
    }

    /// Is it a step on the way, and not only what led to it?
    pub(crate) fn leads_on(&self) -> bool {
        !matches!(self, WaypointKind::Named)
    }

    /// The word in the JSON form.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            WaypointKind::Named => "named",
            WaypointKind::Entered { .. } => "entered",
            WaypointKind::Raised { .. } => "raised",
            WaypointKind::Called => "called",
            WaypointKind::Locked => "locked",
            WaypointKind::Unlocked => "unlocked",
        }
    }
}
