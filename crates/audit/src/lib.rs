//! What the image of a driver shows about paging without running it.
//!
//! - `code` finds functions and the flow of control within each
//! - `ddi` holds what the documentation says about imported routines
//! - `flow` interprets each function once, relative to the IRQL and locks at its entry
//! - `reach` follows calls from the routines that the system calls, with documented IRQLs
//! - `findings` judges, `advice` says what could lie elsewhere
//!
//! The audit runs nothing and knows nothing of the modelled kernel, so that it and a run are two independent judges.
//! Input is hostile: no byte of it may cause a panic, an endless loop or an allocation without bound. What is not
//! understood is counted in [`Incomplete`], never passed over.
#![forbid(unsafe_code)]

mod advice;
mod code;
mod ddi;
mod findings;
mod flow;
mod model;
mod reach;

use std::collections::BTreeSet;

use driver_image::{Image, ImageError, Section, SectionFlags};
use nt_types::Rva;

pub use advice::{Advice, Destination, Doubt, Merge, Placed};
pub use ddi::Kind;
pub use findings::{Assumption, Finding, FindingKind, LeftBy, Target, Use};
pub use reach::{Step, StepKind};

use findings::Collector;
use model::Model;
use reach::{Reach, missing};

/// How often an image is interpreted again because of what it names to the system.
const MAX_ROUNDS: usize = 3;

/// What the audit of one image came to.
#[derive(Clone, Debug)]
pub struct Audit {
    /// What is wrong, in the order of addresses.
    pub findings: Vec<Finding>,
    /// The routines that the system calls, those with a known purpose first.
    pub entries: Vec<Entry>,
    /// What was looked at.
    pub extent: Extent,
    /// What could not be looked at.
    pub incomplete: Incomplete,
}

/// A routine that the system calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Where it begins.
    pub routine: Rva,
    /// The documented name of this kind of routine.
    pub role: &'static str,
    /// Lowest and highest IRQL at which the system calls it.
    pub irql: (u8, u8),
}

/// What was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Functions.
    pub functions: u32,
    /// Functions that the audit knows a way to.
    pub reached: u32,
    /// Instructions.
    pub instructions: u64,
}

/// Most addresses that are named one by one.
const NAMED: usize = 8;

/// What could not be looked at. Findings may be missing for each.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Incomplete {
    /// Functions with bytes that are no instructions, or with more instructions than are looked at.
    pub undecoded_functions: u32,
    /// Functions, or pieces of them, that are longer than is looked at.
    pub long_functions: u32,
    /// Addresses that are taken of what may be code or data.
    pub doubtful_addresses: u32,
    /// The first of them.
    pub doubtful: [Option<Rva>; NAMED],
    /// Jumps through tables that are not understood.
    pub unresolved_jumps: u32,
    /// Functions whose values were given up to come to an end.
    pub given_up_functions: u32,
    /// Functions that were not followed because that would take too long.
    pub unfollowed_functions: u32,
    /// Ways into functions that were left out because there were too many.
    pub left_out_contexts: u32,
    /// There were more ways to follow from function to function than are looked at.
    pub too_many_ways: bool,
    /// There were more functions than are looked at.
    pub too_many_functions: bool,
    /// There were more findings than are told.
    pub too_many_findings: bool,
    /// The function table cannot be read.
    pub unreadable_function_table: bool,
    /// Executable sections of which the file has no bytes: their code is made at run time, as packers do.
    pub empty_code_sections: u32,
}

impl Incomplete {
    /// Was everything looked at?
    pub fn is_complete(&self) -> bool {
        *self == Incomplete::default()
    }

    /// Is there code of which it is not known what it calls?
    fn hides_code(&self) -> bool {
        let counts = [self.undecoded_functions, self.long_functions, self.unresolved_jumps, self.empty_code_sections];
        counts != [0; 4] || self.too_many_functions || self.unreadable_function_table || self.too_many_ways
    }
}

fn empty_code_sections(image: &Image) -> u32 {
    let empty = |section: &&Section| {
        section.flags.has(SectionFlags::EXECUTE) && section.raw_size == 0 && section.virtual_size > 0
    };
    image.sections().iter().filter(empty).count() as u32
}

/// Where code of an image could go instead, and what could not be looked at: a way there to such code is not known. `names` as
/// for [`audit`].
///
/// # Errors
/// If the image cannot be laid out in memory.
pub fn advise(image: &Image, names: &[Rva]) -> Result<(Advice, Incomplete), ImageError> {
    let mut model = interpret(image, names)?;
    let reach = Reach::new(&mut model);
    let incomplete = incomplete(&model, &reach);
    Ok((advice::advise(&model, &reach, incomplete.hides_code()), incomplete))
}

/// Interprets a driver. Code that it turns out to name to the system, and that was not taken for code, is looked at then.
fn interpret<'a>(image: &'a Image, names: &[Rva]) -> Result<Model<'a>, ImageError> {
    let mut names: BTreeSet<Rva> = names.iter().copied().collect();
    let mut model = Model::new(image, &names)?;
    for _ in 0..MAX_ROUNDS {
        let known = names.len();
        names.extend(missing(&model));
        if names.len() == known {
            break;
        }
        model = Model::new(image, &names)?;
    }
    Ok(model)
}

fn incomplete(model: &Model<'_>, reach: &Reach) -> Incomplete {
    let mut doubtful = model.functions.doubtful.iter().copied().map(Rva);
    Incomplete {
        undecoded_functions: model.functions.cut,
        long_functions: model.functions.too_long,
        doubtful_addresses: model.functions.doubtful.len() as u32,
        doubtful: std::array::from_fn(|_| doubtful.next()),
        unresolved_jumps: model.functions.unresolved_jumps,
        given_up_functions: model.gave_up.len() as u32,
        unfollowed_functions: model.unfollowed.len() as u32,
        left_out_contexts: reach.left_out,
        too_many_ways: reach.unfinished,
        too_many_functions: model.functions.too_many,
        too_many_findings: false,
        unreadable_function_table: model.functions.unreadable_table,
        empty_code_sections: empty_code_sections(model.program.image),
    }
}

/// Is it a virtual miniport of Storport, to which rules for the physical ones do not apply?
///
/// # Errors
/// If the image cannot be laid out in memory.
pub fn is_virtual_miniport(image: &Image) -> Result<bool, ImageError> {
    let model = interpret(image, &[])?;
    Ok(reach::roots(&model).iter().any(|root| root.role == ddi::Role::FreeResources))
}

/// Audits an image. `names` are offsets of functions that symbols name; the function table, exports and calls give the
/// others.
///
/// # Errors
/// If the image cannot be laid out in memory.
pub fn audit(image: &Image, names: &[Rva]) -> Result<Audit, ImageError> {
    let mut model = interpret(image, names)?;
    let reach = Reach::new(&mut model);
    let extent = Extent {
        functions: model.functions.all.len() as u32,
        reached: (0..model.functions.all.len()).filter(|&function| reach.is_reached(function)).count() as u32,
        instructions: model.functions.instructions,
    };
    let entry = |root: &reach::Root| {
        let levels = root.role.irql();
        let routine = Rva(model.functions.all[root.function].entry);
        Entry { routine, role: root.role.name(), irql: (levels.low, levels.high) }
    };
    let entries = reach.roots.iter().map(entry).collect();
    let (findings, too_many_findings) = Collector::all(&model, &reach);
    let incomplete = Incomplete { too_many_findings, ..incomplete(&model, &reach) };
    Ok(Audit { entries, findings, extent, incomplete })
}
