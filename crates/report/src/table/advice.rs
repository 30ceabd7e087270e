//! Where code could go instead.

use core::fmt::Write;

use nt_types::{Irql, PAGE_SIZE};

use super::size;
use crate::plural;
use crate::span::Place;

/// What could lie elsewhere.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Advice {
    /// Nonpaged functions that could move, by address.
    pub moves: Vec<Move>,
    /// Functions that no way is known to that needs them in memory, and that may have one, by address.
    pub doubtful: Vec<Doubtful>,
    /// Pageable sections that are locked as a whole although not all of it needs to be.
    pub splits: Vec<Split>,
    /// Names of pageable sections that could be one, and their bytes together.
    pub merges: Vec<(Vec<String>, u64)>,
    /// Bytes of code that are pageable already.
    pub pageable_code: u64,
    /// What logs of runs say, where there are any.
    pub used: Option<Used>,
}

/// A function that could lie in another section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Move {
    /// The function.
    pub function: Place,
    /// Its length.
    pub bytes: u32,
    /// Where it could go.
    pub to: Moved,
    /// What it was used for, where logs say so.
    pub uses: Option<Uses>,
}

/// A function that stays although no way is known that needs it to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Doubtful {
    /// The function.
    pub function: Place,
    /// Its length.
    pub bytes: u32,
    /// Why it stays.
    pub why: Doubt,
}

/// What may lead to a function at DISPATCH_LEVEL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// Code that was not looked at.
    Unseen,
    /// A call through a pointer.
    Pointer,
}

/// What of a pageable section that the driver locks could lie in another that it does not lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Split {
    /// The section.
    pub section: String,
    /// The functions, with their lengths.
    pub functions: Vec<(Place, u32)>,
    /// Their bytes together.
    pub bytes: u64,
}

/// Where a function could go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moved {
    /// `PAGE`.
    Page,
    /// A pageable section apart from what is rarely used.
    Apart,
    /// `INIT`.
    Init,
}

/// The use of a function in the runs that were logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uses {
    /// How often it was entered.
    pub times: u64,
    /// Highest IRQL at which any of it ran.
    pub highest_irql: Irql,
    /// It ran after DriverEntry and the Reinitialize routines.
    pub after_initialisation: bool,
}

/// What logs say about a driver.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Used {
    /// How many there are.
    pub logs: u32,
    /// Requests sent in their runs.
    pub requests: u64,
    /// Functions of the driver.
    pub functions: u64,
    /// Those that ran.
    pub ran: u64,
    /// Nonpaged functions that ran at DISPATCH_LEVEL or above.
    pub raised: u64,
    /// Bytes of these.
    pub bytes_raised: u64,
    /// Functions that the audit would let go, but that ran at DISPATCH_LEVEL or above.
    pub stay: Vec<Place>,
    /// Pageable sections of code, in header order.
    pub sections: Vec<SectionUses>,
}

/// What ran of a pageable section.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct SectionUses {
    /// Its name.
    pub name: String,
    /// Its functions, and their bytes.
    pub functions: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Functions that ran.
    pub ran: u64,
    /// Bytes of these.
    pub bytes_ran: u64,
    /// Pages of the section.
    pub pages: u64,
    /// Pages with something that ran.
    pub pages_ran: u64,
    /// Pages that would suffice for what ran if it lay together.
    pub pages_together: u64,
}

impl Advice {
    /// Bytes that could go there.
    pub fn bytes(&self, to: Moved) -> u64 {
        self.to(to).map(|one| u64::from(one.bytes)).sum()
    }

    /// Whole pages that moving everything there would save: those that the moved code fills, in `PAGE` together with what
    /// is pageable already.
    pub fn pages(&self, to: Moved) -> u64 {
        let there = if to == Moved::Page { self.pageable_code % PAGE_SIZE } else { 0 };
        (there + self.bytes(to)) / PAGE_SIZE
    }

    fn to(&self, to: Moved) -> impl Iterator<Item = &Move> {
        self.moves.iter().filter(move |one| one.to == to)
    }

    /// The table.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let logged = self.used.is_some();
        let rarely = if logged { ", and used rarely or never" } else { "" };
        let later = if logged { ", and not seen later" } else { "" };
        for (to, name, why) in [
            (Moved::Page, "PAGE", format!("reached at or below APC_LEVEL only{rarely}")),
            (Moved::Apart, "a pageable section apart", "reached at or below APC_LEVEL only, but used often".into()),
            (Moved::Init, "INIT", format!("reached by DriverEntry and Reinitialize routines only{later}")),
        ] {
            if self.to(to).next().is_some() {
                let (count, bytes) = (plural(self.to(to).count() as u64, "function"), size(self.bytes(to)));
                let _ = writeln!(text, "\n{count} of {bytes} could go to {name}: {why}");
                let _ = writeln!(text, "{}", worth(to, self.pages(to)));
                self.to(to).for_each(|one| text += &one.row());
            }
        }
        for split in &self.splits {
            text += &split.text();
        }
        for (why, reason) in [
            (Doubt::Unseen, "code that was not looked at may lead there"),
            (Doubt::Pointer, "a call through a pointer at DISPATCH_LEVEL may lead there"),
        ] {
            text += &doubtful(self.doubtful.iter().filter(|one| one.why == why), reason);
        }
        for (sections, bytes) in &self.merges {
            let _ = writeln!(text, "\n{} could be one section of {}", sections.join(" + "), size(*bytes));
            text.push_str("a section below 4 KB costs more than it saves, and none of these is locked on its own\n");
        }
        let nothing = if text.is_empty() { "\nnothing could move\n" } else { "" };
        self.used.as_ref().map_or_else(String::new, Used::text) + &text + nothing
    }
}

/// Functions that stay for one reason.
fn doubtful<'a>(functions: impl Iterator<Item = &'a Doubtful> + Clone, reason: &str) -> String {
    let (count, bytes) =
        functions.clone().fold((0, 0), |(count, bytes), one| (count + 1, bytes + u64::from(one.bytes)));
    if count == 0 {
        return String::new();
    }
    let heading =
        format!("\n{} of {} must stay as far as is known: {reason}\n", plural(count, "function"), size(bytes));
    functions.fold(heading, |text, one| text + &row(&one.function, one.bytes, ""))
}

fn row(function: &Place, bytes: u32, uses: &str) -> String {
    let section = function.section.as_deref().unwrap_or_default();
    format!("{:04x}  {bytes:>6}  {section:<8}  {uses}{function}\n", function.rva.0)
}

impl Move {
    fn row(&self) -> String {
        let uses = self.uses.map_or_else(String::new, |uses| format!("{:<12}  ", uses.word()));
        row(&self.function, self.bytes, &uses)
    }
}

impl Split {
    /// Whole pages that need not be locked.
    pub fn pages(&self) -> u64 {
        self.bytes / PAGE_SIZE
    }

    fn text(&self) -> String {
        let Split { section, functions, bytes } = self;
        let (count, bytes) = (plural(functions.len() as u64, "function"), size(*bytes));
        let mut text =
            format!("\n{count} of {bytes} in {section} could go to PAGE: reached at or below APC_LEVEL only\n");
        let pages = plural(self.pages(), "page");
        let _ = writeln!(text, "{pages} would not be locked where the driver locks {section}");
        for (function, bytes) in functions {
            let _ = writeln!(text, "{:04x}  {bytes:>6}  {section:<8}  {function}", function.rva.0);
        }
        text
    }
}

impl Uses {
    /// `never`, `initial`, or how often.
    pub fn word(&self) -> String {
        match self {
            Uses { times: 0, .. } => "never".to_owned(),
            Uses { after_initialisation: false, .. } => "at the start".to_owned(),
            Uses { times, .. } => plural(*times, "time"),
        }
    }
}

impl Used {
    /// What runs at most once in so many requests is rarely used.
    pub const REQUESTS_A_RARE_USE: u64 = 10;

    fn text(&self) -> String {
        let (logs, requests) = (plural(self.logs.into(), "log"), plural(self.requests, "request"));
        let mut text =
            format!("\n{logs} with {requests}: {} of {} ran\n", self.ran, plural(self.functions, "function"));
        let requests = Used::REQUESTS_A_RARE_USE;
        let _ = writeln!(
            text,
            "rarely used is what runs at most once each time the driver is loaded, or in {requests} requests"
        );
        if self.raised > 0 {
            let (functions, bytes) = (plural(self.raised, "function"), size(self.bytes_raised));
            let _ = writeln!(text, "nonpaged  {functions} of {bytes} ran at DISPATCH_LEVEL or above, and must stay");
        }
        for section in self.sections.iter().filter(|section| section.functions > 0) {
            text += &section.text();
        }
        for place in &self.stay {
            let _ = writeln!(
                text,
                "{place} stays: it ran at DISPATCH_LEVEL or above, by a way that the audit does not see"
            );
        }
        text
    }
}

impl SectionUses {
    fn text(&self) -> String {
        let SectionUses { name, functions, bytes, ran, bytes_ran, pages, pages_ran, pages_together } = self;
        let mut text = format!(
            "{name:<8}  {ran} of {} ran, {bytes_ran} of {}, in {pages_ran} of {}",
            plural(*functions, "function"),
            plural(*bytes, "byte"),
            plural(*pages, "page")
        );
        if pages_together < pages_ran {
            let pages = plural(*pages_together, "page");
            let _ = write!(text, "\n          {pages} would do if the others lay in a section of their own");
        }
        text + "\n"
    }
}

/// What moving is worth (R10).
fn worth(to: Moved, pages: u64) -> String {
    let saves = match to {
        Moved::Apart => "leave memory while nothing uses them",
        Moved::Page | Moved::Init => "",
    };
    match (pages, saves) {
        (0, _) => "together they fill no page: not worth a section of their own".to_owned(),
        (pages, "") => format!("together they save {}", plural(pages, "page")),
        (pages, saves) => format!("together they fill {}, which can {saves}", plural(pages, "page")),
    }
}
