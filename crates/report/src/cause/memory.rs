//! Faults: accesses that memory refused, and pages that could not come back.

use nt_types::{NtStatus, Va};

use super::evidence::Access;
use super::fault::{Fault, INIT_IS_DISCARDED};
use crate::code::{Class, Level};
use crate::diagnostic::Diagnostic;
use crate::finding::Finding;
use crate::words::{Words, bug_check};

/// A fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Memory {
    /// An access that ended the run, or would have (K13). 0x0A, 0x50, 0xBE, 0xCE, 0xD1, 0xD3, 0xD4, 0xFC.
    Fault(Fault),
    /// Discarded bytes were used where their page was kept (K12, D11).
    InitUse {
        /// The discarded section.
        section: String,
        /// How it was used.
        access: Access,
    },
    /// A page could not be read back (0x7A).
    InPage {
        /// Address whose access needed the page.
        address: Va,
        /// Why not.
        reason: InPageReason,
    },
    /// A page came back with a wrong checksum (0x1A/0x3f).
    PagingFileCorrupt {
        /// Offset of the page in the paging file, in bytes.
        offset: u64,
        /// The checksum found.
        found: u32,
        /// The checksum expected.
        expected: u32,
    },
}

/// Why a page could not be read back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InPageReason {
    /// The paging file returned this status.
    Io(NtStatus),
    /// A read error that the scenario asked for.
    Injected(NtStatus),
    /// Pinned pages, or pages that are needed together, fill the frame budget (D27).
    NoFrames {
        /// The budget, in pages.
        frames: u64,
    },
}

impl Memory {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        match self {
            Memory::Fault(fault) => fault.words(report),
            Memory::InitUse { section, access } => init_use(section, *access),
            Memory::InPage { address, reason } => {
                let title = format!("the page at `{}` could not be read from the paging file", address.page_down());
                in_page(title, *reason, report)
            }
            Memory::PagingFileCorrupt { offset, found, expected } => corrupt(*offset, *found, *expected, report),
        }
    }
}

fn init_use(section: &str, access: Access) -> Words {
    let title = format!("discarded bytes of section `{section}` {} after initialisation ended", access.participle());
    Words::finding(Finding::InitUseAfterDiscard, Level::Error, title, INIT_IS_DISCARDED)
        .label(format!("{} of discarded bytes", access.noun()))
        .note("their page is still there because a section that is kept shares it; in another build it may not be")
        .help(format!("move what is used after initialisation from `{section}` to a section that is kept"))
}

pub(super) fn in_page(title: String, reason: InPageReason, report: &Diagnostic) -> Words {
    let words = Words::plain(bug_check(report.bug_check), Level::Error, Class::Limit, title);
    match reason {
        InPageReason::Io(status) => words.note(format!("the paging file answered with {status}")),
        InPageReason::Injected(status) => words.note(format!("the scenario made this read fail with {status}")),
        InPageReason::NoFrames { frames } => words
            .note(format!(
                "all frames of `--frames={frames}` hold pages that cannot leave, or that are needed together"
            ))
            .help("give the run more frames"),
    }
}

fn corrupt(offset: u64, found: u32, expected: u32, report: &Diagnostic) -> Words {
    let title = format!("the page at offset {offset:#x} of the paging file does not hold what was written to it");
    Words::plain(bug_check(report.bug_check), Level::Error, Class::Limit, title)
        .note(format!("its checksum is {found:#010x}, expected {expected:#010x}"))
        .help("keep other programs from writing to the file that `--paging-file` names")
}
