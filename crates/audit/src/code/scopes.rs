//! `__try` of C: where its filters and handlers lie ("x64 exception handling" in the C++ documentation).

use driver_image::MappedImage;
use driver_image::unwind::{RuntimeFunction, UnwindInfo, UnwindTail};
use nt_types::Rva;

use super::program::Program;

/// Most rows of a table looked at.
const MAX_ROWS: u32 = 256;
/// A filter that is not a routine: `EXCEPTION_EXECUTE_HANDLER`.
const EXECUTE_HANDLER: u32 = 1;

/// What a scope table names.
#[derive(Default)]
pub(super) struct Scopes {
    /// Filters and `__finally` blocks: routines of their own.
    pub(super) routines: Vec<u32>,
    /// `__except` blocks: parts of the function that no jump leads to.
    pub(super) blocks: Vec<u32>,
}

/// Reads the scope table of a function whose handler is `__C_specific_handler`, reached by a jump through its import.
pub(super) fn scopes(program: &Program<'_>, part: RuntimeFunction) -> Scopes {
    let mut scopes = Scopes::default();
    let Ok(info) = UnwindInfo::read(&mut MappedImage(&program.bytes), part.unwind_info) else { return scopes };
    let UnwindTail::Handler { handler: Rva(handler), data: Rva(data), .. } = info.tail else { return scopes };
    if program.thunk(handler).is_none_or(|id| program.import(id).name != "__C_specific_handler") {
        return scopes;
    }
    let rows = program.u32(data).unwrap_or(0).min(MAX_ROWS);
    for row in 0..rows {
        let field = |index: u32| program.u32(data.checked_add(4 + row * 16 + index * 4)?);
        let (Some(routine), Some(block)) = (field(2), field(3)) else { break };
        if routine > EXECUTE_HANDLER && program.is_executable(routine) {
            scopes.routines.push(routine);
        }
        if block != 0 && program.is_executable(block) {
            scopes.blocks.push(block);
        }
    }
    scopes
}
