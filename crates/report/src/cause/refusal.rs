//! Locks and unlocks that Windows answers with bug check 0x1A.

use nt_types::Va;

use super::paging::{HANDLE_IS_OPAQUE, INIT_IS_NOT_PAGEABLE};
use crate::code::Level;
use crate::diagnostic::Diagnostic;
use crate::words::{Rule, Words, bug_check};

/// Lock or unlock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operation {
    Lock,
    Unlock,
}

/// Reasons of bug check 0x1A for the six routines; the numbers are those of D16.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// 1: the address is in no loaded image.
    NoModule,
    /// 2: in an image, but in no section.
    NoSection {
        /// The image.
        image: String,
    },
    /// 3: the section was discarded.
    Discarded {
        /// The section.
        section: String,
    },
    /// 4: a handle that was never issued, NULL included.
    UnknownHandle,
    /// 5: a handle of an image that has been unloaded.
    StaleHandle {
        /// The image.
        image: String,
        /// The section.
        section: String,
        /// It is not gone yet: its `Unload` routine has returned, and calls on it are waited for.
        unloading: bool,
    },
    /// 6: the count is already zero.
    CountZero {
        /// The section.
        section: String,
        /// Another thread's first lock has not returned yet.
        locking: bool,
        /// The driver that took back the last lock, where it is not the section's own.
        taken_by: Option<String>,
    },
    /// 7: the count would pass its limit.
    CountOverflow {
        /// The section.
        section: String,
        /// The limit.
        limit: u32,
    },
}

/// LC, LD, UL: the documentation of the lock and unlock routines.
const LOCKS_BALANCE: Rule = Rule {
    text: "a section is unlocked exactly as often as it was locked",
    source: "MmUnlockPagableImageSection function",
};
pub(super) const LOCK_NAMES_A_SECTION: Rule = Rule {
    text: "an address to be locked lies in a section of a loaded driver",
    source: "Locking Pageable Code or Data",
};

impl Operation {
    pub(super) fn verb(self) -> &'static str {
        match self {
            Operation::Lock => "locks",
            Operation::Unlock => "unlocks",
        }
    }
}

impl Refusal {
    pub(super) fn words(&self, routine: &str, operation: Operation, value: Va, report: &Diagnostic) -> Words {
        let title = format!("`{routine}` called with {}", self.complaint(value));
        let words = Words::driver(bug_check(report.bug_check), Level::Error, title, self.rule(operation));
        let words = words.label(format!("with `{value}`"));
        match self.remedy() {
            Some(help) => words.help(help),
            None => words,
        }
    }

    fn complaint(&self, value: Va) -> String {
        match self {
            Refusal::NoModule => "an address in no loaded driver".to_owned(),
            Refusal::NoSection { image } => format!("an address of `{image}` outside its sections"),
            Refusal::Discarded { section } => format!("section `{section}`, which was discarded"),
            Refusal::UnknownHandle if value.is_null() => "NULL as a handle".to_owned(),
            Refusal::UnknownHandle => "a value that is no section handle".to_owned(),
            Refusal::StaleHandle { image, section, unloading } => {
                let end = if *unloading { "is being unloaded" } else { "was unloaded" };
                format!("the handle of section `{section}` of `{image}`, which {end}")
            }
            Refusal::CountZero { section, locking: false, .. } => format!("section `{section}`, which is not locked"),
            Refusal::CountZero { section, locking: true, .. } => {
                format!("section `{section}`, whose first lock has not returned yet")
            }
            Refusal::CountOverflow { section, limit } => format!("section `{section}`, locked {limit} times already"),
        }
    }

    fn rule(&self, operation: Operation) -> Rule {
        match (self, operation) {
            (Refusal::CountZero { .. } | Refusal::CountOverflow { .. }, _) => LOCKS_BALANCE,
            (Refusal::UnknownHandle | Refusal::StaleHandle { .. }, _) | (_, Operation::Unlock) => HANDLE_IS_OPAQUE,
            (Refusal::NoModule | Refusal::NoSection { .. }, Operation::Lock) => LOCK_NAMES_A_SECTION,
            (Refusal::Discarded { .. }, Operation::Lock) => INIT_IS_NOT_PAGEABLE,
        }
    }

    fn remedy(&self) -> Option<String> {
        let help = match self {
            Refusal::NoModule | Refusal::NoSection { .. } => "pass the address of a routine or variable in the section",
            Refusal::Discarded { .. } => "put what is to be locked later in a `PAGE` section",
            Refusal::UnknownHandle => "pass the value that the first lock returned",
            Refusal::StaleHandle { unloading: true, .. } => {
                "wait for the threads of the driver in its `Unload` routine"
            }
            Refusal::StaleHandle { unloading: false, .. } => "lock by address again after each load of the driver",
            Refusal::CountZero { taken_by: Some(other), .. } => {
                return Some(format!(
                    "let each driver unlock what it locked itself: `{other}` took back the last lock"
                ));
            }
            Refusal::CountZero { .. } => "let one place own the unlock: an error path and a close may both reach it",
            Refusal::CountOverflow { .. } => "unlock on each way out what was locked, those that fail included",
        };
        Some(help.to_owned())
    }
}
