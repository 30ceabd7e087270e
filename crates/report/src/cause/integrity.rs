//! What code integrity checks do not allow in an image.

use crate::diagnostic::Diagnostic;
use crate::words::{Rule, Words, on_verifier};

/// A section that code integrity checks do not allow (0xC4/0x2003 to 0x2005).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Integrity {
    /// The section.
    pub section: String,
    /// What about it.
    pub flaw: ImageFlaw,
}

/// What code integrity checks do not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageFlaw {
    /// It is both executable and writable.
    WritableCode,
    /// It does not begin at a page.
    Unaligned,
    /// It is executable, and has the import address table in it.
    ImportsInCode,
}

const SOURCE: &str = "Code integrity checking";
const WRITABLE_CODE: Rule = Rule { text: "no section is both executable and writable", source: SOURCE };
const UNALIGNED: Rule = Rule { text: "each section begins at a page", source: SOURCE };
const IMPORTS: Rule = Rule { text: "the import address table is in no executable section", source: SOURCE };

impl Integrity {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        let section = &self.section;
        let (title, rule, help) = match self.flaw {
            ImageFlaw::WritableCode => (
                format!("section `{section}` is both executable and writable"),
                WRITABLE_CODE,
                "give code and data sections of different names",
            ),
            ImageFlaw::Unaligned => (
                format!("section `{section}` does not begin at a page"),
                UNALIGNED,
                "link with `/ALIGN:4096`, or without `/ALIGN`",
            ),
            ImageFlaw::ImportsInCode => (
                format!("the import address table is in executable section `{section}`"),
                IMPORTS,
                "link without merging `.rdata` or `.idata` into a section of code",
            ),
        };
        on_verifier(report, title, rule).help(help)
    }
}
