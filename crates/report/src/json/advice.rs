//! Where code could go instead.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::span::Place;
use crate::table::{self, Doubt, Moved};

/// What could lie elsewhere.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(super) struct Advice {
    /// Nonpaged functions that could move, by address.
    moves: Vec<Move>,
    /// Whole pages that all moves to `PAGE` save.
    page_pages: u64,
    /// Whole pages that all moves to `INIT` save.
    init_pages: u64,
    /// Whole pages that all moves to a section of their own fill.
    apart_pages: u64,
    /// Functions that no way is known to that needs them in memory, and that may have one, by address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    doubtful: Vec<Doubtful>,
    /// Pageable sections that are locked as a whole although not all of it needs to be.
    splits: Vec<Split>,
    /// Pageable sections that could be one.
    merges: Vec<Merge>,
    /// With `--log`: what the logs say.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<Used>,
}

/// A function that could lie in another section.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Move {
    #[serde(flatten)]
    function: Function,
    /// Its length.
    bytes: u32,
    /// `PAGE`, `INIT`, or `apart`: a pageable section without what is rarely used.
    to: &'static str,
    /// With `--log`: what it was used for.
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<Uses>,
}

/// A function that stays although no way is known that needs it to.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Doubtful {
    #[serde(flatten)]
    function: Function,
    /// Its length.
    bytes: u32,
    /// `unseen`: code that was not looked at may lead there. `pointer`: so may a call through a pointer at DISPATCH_LEVEL.
    why: &'static str,
}

/// A function.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Function {
    /// Bytes from the image base.
    rva: u32,
    /// Its name, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
    /// Its section now.
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<String>,
}

/// The use of a function in all runs.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Uses {
    /// How often it was entered.
    times: u64,
    /// Highest IRQL at which any of it ran.
    highest_irql: u8,
    /// It ran after DriverEntry and the Reinitialize routines.
    after_initialisation: bool,
}

/// What the logs say.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Used {
    /// Logs that were read.
    logs: u32,
    /// Requests sent in their runs.
    requests: u64,
    /// Functions of the driver.
    functions: u64,
    /// Those that ran.
    ran: u64,
    /// Nonpaged functions that ran at DISPATCH_LEVEL or above.
    raised: u64,
    /// Their bytes.
    bytes_raised: u64,
    /// Functions that the audit would let go, but that ran at DISPATCH_LEVEL or above: they stay.
    stay: Vec<Function>,
    /// Pageable sections of code, in header order.
    sections: Vec<SectionUses>,
}

/// What ran of a pageable section.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct SectionUses {
    /// Its name.
    name: String,
    /// Its functions.
    functions: u64,
    /// Their bytes.
    bytes: u64,
    /// Functions that ran.
    ran: u64,
    /// Their bytes.
    bytes_ran: u64,
    /// Pages of the section.
    pages: u64,
    /// Pages with something that ran.
    pages_ran: u64,
    /// Pages that would suffice for what ran if it lay together.
    pages_together: u64,
}

/// What of a pageable section that the driver locks could go to `PAGE`.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Split {
    /// The section.
    section: String,
    /// The functions, by address.
    functions: Vec<Function>,
    /// Their bytes together.
    bytes: u64,
    /// Whole pages that would not be locked with the section.
    pages: u64,
}

/// Pageable sections that could be one.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Merge {
    /// Their names.
    sections: Vec<String>,
    /// Their bytes together.
    bytes: u64,
}

impl From<&table::Advice> for Advice {
    fn from(advice: &table::Advice) -> Advice {
        let merges = advice.merges.iter().map(|(sections, bytes)| Merge { sections: sections.clone(), bytes: *bytes });
        Advice {
            moves: advice.moves.iter().map(Move::from).collect(),
            page_pages: advice.pages(Moved::Page),
            init_pages: advice.pages(Moved::Init),
            apart_pages: advice.pages(Moved::Apart),
            doubtful: advice.doubtful.iter().map(Doubtful::from).collect(),
            splits: advice.splits.iter().map(Split::from).collect(),
            merges: merges.collect(),
            used: advice.used.as_ref().map(Used::from),
        }
    }
}

impl From<&table::Move> for Move {
    fn from(one: &table::Move) -> Move {
        let to = match one.to {
            Moved::Page => "PAGE",
            Moved::Apart => "apart",
            Moved::Init => "INIT",
        };
        let uses = one.uses.map(|table::Uses { times, highest_irql, after_initialisation }| Uses {
            times,
            highest_irql: highest_irql.level(),
            after_initialisation,
        });
        Move { function: Function::from(&one.function), bytes: one.bytes, to, uses }
    }
}

impl From<&table::Doubtful> for Doubtful {
    fn from(one: &table::Doubtful) -> Doubtful {
        let why = match one.why {
            Doubt::Unseen => "unseen",
            Doubt::Pointer => "pointer",
        };
        Doubtful { function: Function::from(&one.function), bytes: one.bytes, why }
    }
}

impl From<&table::Split> for Split {
    fn from(split: &table::Split) -> Split {
        let functions = split.functions.iter().map(|(function, _)| Function::from(function)).collect();
        Split { section: split.section.clone(), functions, bytes: split.bytes, pages: split.pages() }
    }
}

impl From<&Place> for Function {
    fn from(place: &Place) -> Function {
        let symbol = place.symbol.as_ref().map(|symbol| symbol.name.clone());
        Function { rva: place.rva.0, symbol, section: place.section.clone() }
    }
}

impl From<&table::Used> for Used {
    fn from(used: &table::Used) -> Used {
        let table::Used { logs, requests, functions, ran, raised, bytes_raised, stay, sections } = used;
        let sections = sections.iter().cloned().map(
            |table::SectionUses { name, functions, bytes, ran, bytes_ran, pages, pages_ran, pages_together }| {
                SectionUses { name, functions, bytes, ran, bytes_ran, pages, pages_ran, pages_together }
            },
        );
        Used {
            logs: *logs,
            requests: *requests,
            functions: *functions,
            ran: *ran,
            raised: *raised,
            bytes_raised: *bytes_raised,
            stay: stay.iter().map(Function::from).collect(),
            sections: sections.collect(),
        }
    }
}
