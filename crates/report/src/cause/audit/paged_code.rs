//! `PAGED_CODE`: A02, A03, A04.

use nt_types::Irql;

use crate::code::Level;
use crate::finding::Finding;
use crate::words::{Rule, Words};

const ASSERTED: Rule = Rule {
    text: "`PAGED_CODE` stands in pageable routines, and asserts that IRQL is at or below `APC_LEVEL`",
    source: "PAGED_CODE macro",
};

pub(super) fn fails(irql: Irql) -> Words {
    let title = format!("routine with `PAGED_CODE` may be called at `{irql}`");
    Words::finding(Finding::PagedCodeFails, Level::Error, title, ASSERTED)
        .help("call it before the IRQL is raised, or drop the macro and keep the routine resident")
}

pub(super) fn in_nonpaged() -> Words {
    let title = "`PAGED_CODE` in a section that is not pageable";
    Words::finding(Finding::PagedCodeInNonpaged, Level::Info, title, ASSERTED)
        .note("code analysis calls this C28172")
        .help("put the routine into `PAGE`, or drop the macro")
}

pub(super) fn missing() -> Words {
    let title = "pageable routine without `PAGED_CODE`";
    Words::finding(Finding::PagedCodeMissing, Level::Info, title, ASSERTED)
        .note("code analysis calls this C28170; other routines of this driver have the macro")
        .help("begin it with `PAGED_CODE`")
}
