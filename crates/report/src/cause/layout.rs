//! What the image alone shows.

use crate::code::Level;
use crate::finding::Finding;
use crate::words::{Rule, Words};

/// A property of the image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Layout {
    /// A PAGE section without a single page that can leave (K15).
    PageableNowhere {
        /// The section.
        section: String,
        /// Its length in bytes.
        bytes: u32,
        /// The image's section alignment in bytes.
        alignment: u32,
    },
    /// A name that looks like PAGE or INIT and is not (K16).
    SuspiciousName {
        /// The name.
        section: String,
    },
    /// A name that looks like PAGE or INIT in the string table of the file, where the loader does not look (K16).
    LongName {
        /// The name there.
        section: String,
        /// The name in the header.
        header: String,
    },
    /// A section that stays, both writable and executable (A05).
    WritableCode {
        /// The section.
        section: String,
    },
    /// A PAGE section both writable and executable (K17).
    MixedSection {
        /// The section.
        section: String,
    },
    /// A Storport miniport imports a prohibited routine (K24).
    ProhibitedImport {
        /// The routine.
        routine: String,
    },
    /// Pageable code or data below 4 KB in total (K27).
    SmallPageable {
        /// Code rather than data.
        code: bool,
        /// Bytes in total.
        bytes: u64,
    },
}

const WHOLE_PAGES: Rule = Rule {
    text: "only whole pages can leave memory, and none of this section's is its own",
    source: "/ALIGN (Section Alignment)",
};
const CAPITALS: Rule =
    Rule { text: "`PAGE` and `INIT` are compared with capitals", source: "MmLockPagableCodeSection macro" };
const EIGHT_BYTES: Rule = Rule {
    text: "the name of a section in an image has at most eight bytes",
    source: "PE Format, Section Table (Section Headers)",
};
const CODE_FOREVER: Rule =
    Rule { text: "no section of a driver is both writable and executable", source: "Implement HVCI compatible code" };
const CODE_APART: Rule = Rule {
    text: "pageable code and pageable data have sections of different names",
    source: "Locking Pageable Code or Data",
};
const PROHIBITED: Rule = Rule {
    text: "a physical Storport miniport does not call this routine",
    source: "HwStorPortProhibitedDDIs Rule (Storport)",
};
const WORTH_A_PAGE: Rule = Rule {
    text: "a section is made pageable from 4 KB of code or data upward",
    source: "When Should Code and Data be Pageable",
};

impl Layout {
    pub(super) fn words(&self) -> Words {
        match self {
            Layout::PageableNowhere { section, bytes, alignment } => {
                let title = format!("section `{section}` has no page that can leave memory");
                Words::finding(Finding::PageableNowhere, Level::Info, title, WHOLE_PAGES)
                    .note(format!("it has {bytes} bytes in an image with section alignment {alignment:#x}"))
                    .help("link with `/align:4096`, or merge small sections")
            }
            Layout::SuspiciousName { section } => {
                let title = format!("section name `{section}` has no effect on paging");
                Words::finding(Finding::SuspiciousName, Level::Warning, title, CAPITALS)
                    .help("name it `PAGE` with up to four more characters, or exactly `INIT`")
            }
            Layout::LongName { section, header } => {
                let title = format!("section name `{section}` has no effect on paging");
                Words::finding(Finding::SuspiciousName, Level::Warning, title, EIGHT_BYTES)
                    .note(format!("its header has `{header}`, the place of the name in the string table of the file"))
                    .help("name it `PAGE` with up to four more characters, or exactly `INIT`")
            }
            Layout::WritableCode { section } => {
                let title = format!("section `{section}` is both executable and writable");
                Words::finding(Finding::WritableCode, Level::Info, title, CODE_FOREVER)
                    .help("put code and variables into different sections")
            }
            Layout::MixedSection { section } => {
                let title = format!("section `{section}` is both executable and writable");
                Words::finding(Finding::MixedSection, Level::Warning, title, CODE_APART)
                    .help("use `PAGE` for code, `PAGEDATA` for data and `PAGEBSS` for zeroed data")
            }
            Layout::ProhibitedImport { routine } => {
                let title = format!("Storport miniport imports `{routine}`");
                Words::finding(Finding::ProhibitedDdi, Level::Warning, title, PROHIBITED)
                    .help("use what the Storport library has for it, or do it in a driver above the miniport")
            }
            Layout::SmallPageable { code, bytes } => {
                let kind = if *code { "code" } else { "data" };
                let title = format!("{} of pageable {kind} in all", crate::plural(*bytes, "byte"));
                Words::finding(Finding::SmallPageable, Level::Info, title, WORTH_A_PAGE)
                    .help("leave it nonpaged: it costs more than it saves")
            }
        }
    }
}
