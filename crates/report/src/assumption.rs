//! What a report that is only possible takes for granted.

/// What the audit cannot see, and what must be so for its report to be right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Assumption {
    /// The section is not locked then, although the driver locks it somewhere.
    NotLocked {
        /// The section.
        section: String,
    },
    /// A routine whose purpose is not known is called after initialisation.
    CalledLater,
    /// The system calls the routine at DISPATCH_LEVEL, which it may.
    AtDispatch,
}

impl Assumption {
    /// The note that says so.
    pub(crate) fn note(&self) -> String {
        match self {
            Assumption::NotLocked { section } => {
                format!(
                    "possible: this assumes that section `{section}`, which the driver locks elsewhere, is not locked then"
                )
            }
            Assumption::CalledLater => {
                "possible: this assumes that the routine at the start of the path is called after initialisation".into()
            }
            Assumption::AtDispatch => {
                "possible: this assumes that the system calls the routine at `DISPATCH_LEVEL`, as it may".into()
            }
        }
    }
}
