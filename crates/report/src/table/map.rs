//! The image page by page, with equal neighbours merged.

use core::fmt::Write;

use driver_image::Image;
use driver_image::pageability::{DiscardMode, PageClass, PageInfo, PageProtection, discard_set, page_map};

use super::{bytes, kib};
use crate::plural;

/// What becomes of each page of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Map {
    /// File name of the image.
    pub image: String,
    /// `SectionAlignment` in bytes.
    pub section_alignment: u32,
    /// Runs of equal pages, ascending, without gaps.
    pub runs: Vec<Run>,
    /// Their sums.
    pub totals: Totals,
    /// Pages that the other discard rule would free; `None` where the two agree.
    pub other_discard: Option<u32>,
}

/// Consecutive pages of one state, protection and set of sections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// First page, counted from the image base.
    pub page: u32,
    /// Number of pages.
    pub pages: u32,
    /// What becomes of them.
    pub class: PageClass,
    /// What may be done with them.
    pub protection: PageProtection,
    /// The sections that have bytes there, in header order; empty for headers and gaps.
    pub sections: Vec<String>,
}

/// Sums over an image.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Totals {
    /// All pages.
    pub pages: u32,
    /// Pages that stay, edges not counted.
    pub nonpaged: u32,
    /// Pages that stay although pageable or discarded bytes lie in them.
    pub edge: u32,
    /// Bytes of pageable or discarded sections that stay in such pages.
    pub stuck_bytes: u64,
    /// Pages that can leave and come back.
    pub pageable: u32,
    /// Pages that are freed after initialisation.
    pub discarded: u32,
}

impl Map {
    /// The map of an image.
    pub fn new(name: &str, image: &Image, mode: DiscardMode) -> Map {
        let (headers, sections) = (image.headers(), image.sections());
        let pages = page_map(headers, sections, mode);
        let other = match mode {
            DiscardMode::Documented => DiscardMode::Tail,
            DiscardMode::Tail => DiscardMode::Documented,
        };
        let freed = |mode| discard_set(headers, sections, mode).pages;
        let (this, that) = (freed(mode), freed(other));
        Map {
            image: name.to_owned(),
            section_alignment: headers.section_alignment,
            totals: totals(&pages),
            runs: runs(&pages, |index| sections[index].name()),
            other_discard: (this != that).then(|| that.count()),
        }
    }

    /// The map as a table.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n\n", self.image, self.headline());
        let digits = format!("{:x}", bytes(self.totals.pages.into())).len().max(4);
        let range = 2 * digits + 3;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<range$}  pages  state      access  sections", "rva");
        for run in &self.runs {
            let _ = writeln!(text, "{}", run.row(digits));
        }
        text + "\n" + &self.sums()
    }

    fn headline(&self) -> String {
        let pages = u64::from(self.totals.pages);
        format!("{}, {}, section alignment {:#x}", plural(pages, "page"), kib(bytes(pages)), self.section_alignment)
    }

    fn sums(&self) -> String {
        let totals = &self.totals;
        let row = |name: &str, pages: u32, remark: &str| {
            format!("{name:<10} {pages:>5}  {:>11}  {remark}\n", kib(bytes(pages.into())))
        };
        let stuck =
            format!("{} of pageable or discarded sections stay in shared pages", plural(totals.stuck_bytes, "byte"));
        let mut text = row("nonpaged", totals.nonpaged, "stay in memory");
        text += &row("edge", totals.edge, &stuck);
        text += &row("pageable", totals.pageable, "can leave memory and come back");
        text += &row("discarded", totals.discarded, "are freed after initialisation");
        if totals.pageable == 0 && totals.stuck_bytes == 0 {
            text.push_str(
                "\nnote: no code or data can come back once it has left: no section's name begins with `PAGE`\n",
            );
        }
        if let Some(pages) = self.other_discard {
            let _ = writeln!(text, "\nnote: the other rule of `--discard` frees {}", plural(pages.into(), "page"));
        }
        text
    }
}

impl Run {
    fn row(&self, digits: usize) -> String {
        let first = bytes(self.page.into());
        let last = first + bytes(self.pages.into()) - 1;
        let sections = match (self.sections.is_empty(), self.page) {
            (true, 0) => "(headers)".to_owned(),
            (true, _) => "-".to_owned(),
            (false, _) => self.sections.join(" + "),
        };
        let stuck = match self.class {
            PageClass::Edge { stuck_bytes } => format!("  ({} stuck)", plural(stuck_bytes.into(), "byte")),
            _ => String::new(),
        };
        let (state, access) = (self.state(), self.access());
        format!("{first:0digits$x} - {last:0digits$x}  {:>5}  {state:<9}  {access}     {sections}{stuck}", self.pages)
    }

    /// The word for the state.
    pub fn state(&self) -> &'static str {
        match self.class {
            PageClass::Nonpaged => "nonpaged",
            PageClass::Edge { .. } => "edge",
            PageClass::Pageable => "pageable",
            PageClass::Discarded => "discarded",
        }
    }

    /// The protection as `rwx`.
    pub fn access(&self) -> String {
        let PageProtection { read, write, execute } = self.protection;
        [(read, 'r'), (write, 'w'), (execute, 'x')]
            .map(|(allowed, letter)| if allowed { letter } else { '-' })
            .iter()
            .collect()
    }

    /// Would this page continue the run?
    fn continues(&self, info: &PageInfo, sections: &[String]) -> bool {
        let whole = !matches!(self.class, PageClass::Edge { .. });
        whole && self.class == info.class && self.protection == info.protection && self.sections == sections
    }
}

fn runs(pages: &[PageInfo], name: impl Fn(usize) -> String) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for info in pages {
        let sections: Vec<String> = info.sections.iter().map(|&index| name(index)).collect();
        match runs.last_mut() {
            Some(run) if run.continues(info, &sections) => run.pages += 1,
            _ => runs.push(Run { page: info.page, pages: 1, class: info.class, protection: info.protection, sections }),
        }
    }
    runs
}

fn totals(pages: &[PageInfo]) -> Totals {
    let mut totals = Totals { pages: pages.len() as u32, ..Totals::default() };
    for info in pages {
        match info.class {
            PageClass::Nonpaged => totals.nonpaged += 1,
            PageClass::Edge { stuck_bytes } => {
                totals.edge += 1;
                totals.stuck_bytes += u64::from(stuck_bytes);
            }
            PageClass::Pageable => totals.pageable += 1,
            PageClass::Discarded => totals.discarded += 1,
        }
    }
    totals
}
