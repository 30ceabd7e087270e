//! Where code could go instead.

use core::fmt::Write;

use nt_types::PAGE_SIZE;

use super::kib;
use crate::plural;
use crate::span::Place;

/// What could lie elsewhere.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Advice {
    /// Nonpaged functions that could move, by address.
    pub moves: Vec<Move>,
    /// Names of pageable sections that could be one, and their bytes together.
    pub merges: Vec<(Vec<String>, u64)>,
    /// Bytes of code that are pageable already.
    pub pageable_code: u64,
}

/// A function that could lie in another section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Move {
    /// The function.
    pub function: Place,
    /// Its length.
    pub bytes: u32,
    /// It could go to `INIT`; otherwise to `PAGE`.
    pub init: bool,
}

impl Advice {
    /// Bytes that could go to `PAGE`, or to `INIT`.
    pub fn bytes(&self, init: bool) -> u64 {
        self.moves.iter().filter(|one| one.init == init).map(|one| u64::from(one.bytes)).sum()
    }

    /// Whole pages that moving everything to `PAGE`, or to `INIT`, would save: those that the moved code fills together
    /// with what is there already.
    pub fn pages(&self, init: bool) -> u64 {
        let there = if init { 0 } else { self.pageable_code % PAGE_SIZE };
        (there + self.bytes(init)) / PAGE_SIZE
    }

    /// The table.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (init, name, why) in [
            (false, "PAGE", "at or below APC_LEVEL only"),
            (true, "INIT", "by DriverEntry and Reinitialize routines only"),
        ] {
            let moves: Vec<&Move> = self.moves.iter().filter(|one| one.init == init).collect();
            if moves.is_empty() {
                continue;
            }
            let (count, bytes) = (plural(moves.len() as u64, "function"), kib(self.bytes(init)));
            let _ = writeln!(text, "\n{count} of {bytes} could go to {name}: reached {why}");
            let _ = writeln!(text, "{}", worth(self.pages(init)));
            for one in moves {
                let section = one.function.section.as_deref().unwrap_or_default();
                let _ = writeln!(text, "{:04x}  {:>6}  {section:<8}  {}", one.function.rva.0, one.bytes, one.function);
            }
        }
        for (sections, bytes) in &self.merges {
            let _ = writeln!(text, "\n{} could be one section of {}", sections.join(" + "), kib(*bytes));
            text.push_str("a section below 4 KB costs more than it saves, and none of these is locked on its own\n");
        }
        if text.is_empty() { "\nnothing could move\n".to_owned() } else { text }
    }
}

/// What moving is worth (R10).
fn worth(pages: u64) -> String {
    match pages {
        0 => "together they fill no page: not worth a section of their own".to_owned(),
        pages => format!("together they save {}", plural(pages, "page")),
    }
}
