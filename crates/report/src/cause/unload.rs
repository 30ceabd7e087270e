//! Things left behind, and calls that outlive the driver.

use super::evidence::{Holder, ObjectKind, Tag};
use crate::code::Level;
use crate::diagnostic::Diagnostic;
use crate::finding::Finding;
use crate::plural;
use crate::words::{Rule, Words, on_verifier};

/// What is wrong at unload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnloadMisuse {
    /// Sections still locked (K05).
    Locks {
        /// The section.
        section: String,
        /// Its count.
        count: u32,
        /// Who took the outstanding locks, oldest first.
        holders: Vec<Holder>,
        /// Pages that stay in memory for good.
        pages: u32,
        /// `DriverEntry` failed, rather than the driver being unloaded.
        entry_failed: bool,
    },
    /// A call into a paging routine was in progress (K20).
    DuringCall {
        /// The routine.
        routine: String,
        /// The section it works on.
        section: Option<String>,
    },
    /// Pool not freed (0xC4/0x62 with the verifier).
    PoolLeak {
        /// The tag.
        tag: Tag,
        /// Allocations.
        blocks: u32,
        /// Bytes in them.
        bytes: u64,
        /// Who allocated them, oldest first.
        holders: Vec<Holder>,
    },
    /// An object left behind: a device, a symbolic link, a connected interrupt, a queued timer or work item.
    Left {
        /// Its kind.
        object: LeftBehind,
        /// Its name, where it has one.
        name: Option<String>,
    },
}

/// What a driver can leave behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LeftBehind {
    Device,
    SymbolicLink,
    DeviceInterface,
    Object(ObjectKind),
}

const RELEASE_HANDLES: Rule = Rule {
    text: "each section handle is released before the driver is unloaded",
    source: "Locking Pageable Code or Data",
};
const NO_CALLS: Rule = Rule {
    text: "no routine of the driver runs when its `Unload` routine returns",
    source: "Unload Routine Functionality",
};
const FREE_ALL: Rule =
    Rule { text: "a driver frees all that it allocated before it is unloaded", source: "Unload Routine Functionality" };

impl UnloadMisuse {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        match self {
            UnloadMisuse::Locks { section, count, holders, pages, entry_failed } => {
                let when = if *entry_failed { "when `DriverEntry` failed" } else { "at unload" };
                let title = format!("section `{section}` still locked {} {when}", times(*count));
                let words = Words::finding(Finding::UnloadWithLocks, Level::Error, title, RELEASE_HANDLES)
                    .note(format!("{} in memory for good", stay(*pages)));
                with_holders(words, "locked", holders).help(
                    "call `MmUnlockPagableImageSection` once for each lock, at the latest in the `Unload` routine",
                )
            }
            UnloadMisuse::DuringCall { routine, section } => {
                let of = section.as_ref().map(|section| format!(" on section `{section}`")).unwrap_or_default();
                let title = format!("driver unloaded while `{routine}`{of} is in progress");
                Words::finding(Finding::UnloadDuringCall, Level::Error, title, NO_CALLS)
                    .help("wait for the threads of the driver in its `Unload` routine")
            }
            UnloadMisuse::PoolLeak { tag, blocks, bytes, holders } => {
                let title = format!(
                    "{} of pool with tag `{tag}` not freed at unload, {} in all",
                    plural(u64::from(*blocks), "block"),
                    plural(*bytes, "byte")
                );
                with_holders(on_verifier(report, title, FREE_ALL), "allocated", holders)
            }
            UnloadMisuse::Left { object, name } => {
                let name = name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
                on_verifier(report, format!("{}{name} left behind at unload", object.noun()), FREE_ALL)
                    .help(object.remedy())
            }
        }
    }
}

impl LeftBehind {
    fn noun(self) -> String {
        match self {
            LeftBehind::Device => "device object".to_owned(),
            LeftBehind::SymbolicLink => "symbolic link".to_owned(),
            LeftBehind::DeviceInterface => "device interface".to_owned(),
            LeftBehind::Object(kind) => kind.to_string(),
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            LeftBehind::Device => "call `IoDeleteDevice`",
            LeftBehind::SymbolicLink => "call `IoDeleteSymbolicLink`",
            LeftBehind::DeviceInterface => "call `IoSetDeviceInterfaceState` with FALSE",
            LeftBehind::Object(ObjectKind::Interrupt) => "call `IoDisconnectInterrupt`",
            LeftBehind::Object(ObjectKind::Timer) => "call `KeCancelTimer`, then `KeFlushQueuedDpcs`",
            LeftBehind::Object(ObjectKind::Dpc) => "call `KeFlushQueuedDpcs`",
            LeftBehind::Object(ObjectKind::Thread) => "end the thread and wait for its object",
            LeftBehind::Object(_) => "wait for it, or cancel it, in the `Unload` routine",
        }
    }
}

/// At most this many call sites are listed.
const HOLDERS_SHOWN: usize = 8;

fn with_holders(words: Words, participle: &str, holders: &[Holder]) -> Words {
    let words = holders
        .iter()
        .take(HOLDERS_SHOWN)
        .fold(words, |words, holder| words.note(format!("{participle} by {} at step {}", holder.at, holder.step)));
    match holders.len().saturating_sub(HOLDERS_SHOWN) {
        0 => words,
        more => words.note(format!("and {} more", plural(more as u64, "time"))),
    }
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn stay(pages: u32) -> String {
    let verb = if pages == 1 { "stays" } else { "stay" };
    format!("{} of the section {verb}", plural(u64::from(pages), "page"))
}
