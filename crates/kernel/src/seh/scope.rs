//! `__C_specific_handler`: `__try`, `__except` and `__finally` of C, as scope tables say where they are.

use nt_types::constants::{EXCEPTION_TARGET_UNWIND, EXCEPTION_UNWINDING};
use nt_types::layout::{dispatcher_context, exception_pointers, exception_record, scope_record, scope_table};
use nt_types::{Rva, Va};

use super::disposition;
use super::unwind::{Destination, Unwind};
use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::machine::Machine;

/// A filter that is not a routine: `EXCEPTION_EXECUTE_HANDLER`.
const EXECUTE_HANDLER: u32 = 1;
/// Most rows of a table looked at. Compilers write one for each `__try`.
const MAX_ROWS: u32 = 1 << 12;

/// One call of the handler.
#[derive(Clone, Hash, Debug)]
pub struct Scopes {
    record: Va,
    frame: u64,
    context: Va,
    dispatcher: Va,
    /// Where `EXCEPTION_POINTERS` may be put: the home of the first two parameters.
    home: Va,
    base: Va,
    control: Rva,
    target: Rva,
    table: Va,
    rows: u32,
    /// The next row.
    index: u32,
    flags: u32,
}

/// A row of a scope table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Row {
    begin: Rva,
    end: Rva,
    /// Filter or termination handler.
    routine: u32,
    /// The `__except` block; 0 for `__finally`.
    block: Rva,
}

impl Row {
    fn covers(self, rva: Rva) -> bool {
        (self.begin..self.end).contains(&rva)
    }

    fn is_finally(self) -> bool {
        self.block.0 == 0
    }
}

/// The parameters of the export.
pub(crate) fn handler(
    m: &mut Machine,
    call: &Call,
    record: Va,
    frame: u64,
    context: Va,
    dispatcher: Va,
) -> Result<Next, Trap> {
    let base = m.read_va(dispatcher_context::IMAGE_BASE.at(dispatcher))?;
    let control = m.read_va(dispatcher_context::CONTROL_PC.at(dispatcher))?;
    let target = m.read_va(dispatcher_context::TARGET_IP.at(dispatcher))?;
    let table = m.read_va(dispatcher_context::HANDLER_DATA.at(dispatcher))?;
    let scopes = Scopes {
        record,
        frame,
        context,
        dispatcher,
        home: Va(call.rsp.wrapping_add(8)),
        base,
        control: Rva((control - base) as u32),
        target: Rva((target - base) as u32),
        table,
        rows: m.read_u32(scope_table::COUNT.at(table))?.min(MAX_ROWS),
        index: m.read_u32(dispatcher_context::SCOPE_INDEX.at(dispatcher))?,
        flags: m.read_u32(exception_record::EXCEPTION_FLAGS.at(record))?,
    };
    scopes.go_on(m)
}

impl Scopes {
    fn go_on(self, m: &mut Machine) -> Outcome {
        if self.flags & EXCEPTION_UNWINDING != 0 { self.leave(m) } else { self.search(m) }
    }

    /// The next row that covers the instruction in question. `index` is past it then.
    fn next_row(&mut self, m: &mut Machine) -> Result<Option<Row>, Trap> {
        while self.index < self.rows {
            let row = self.row(m, self.index)?;
            self.index += 1;
            if row.covers(self.control) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn row(&self, m: &mut Machine, index: u32) -> Result<Row, Trap> {
        let at = scope_table::SCOPE_RECORD.at(self.table) + u64::from(index) * scope_record::SIZEOF;
        Ok(Row {
            begin: Rva(m.read_u32(scope_record::BEGIN_ADDRESS.at(at))?),
            end: Rva(m.read_u32(scope_record::END_ADDRESS.at(at))?),
            routine: m.read_u32(scope_record::HANDLER_ADDRESS.at(at))?,
            block: Rva(m.read_u32(scope_record::JUMP_TARGET.at(at))?),
        })
    }

    /// First phase: does a filter want the exception?
    fn search(mut self, m: &mut Machine) -> Outcome {
        while let Some(row) = self.next_row(m)? {
            if row.is_finally() {
                continue;
            }
            if row.routine == EXECUTE_HANDLER {
                return self.execute(m, row.block);
            }
            m.write_u64(exception_pointers::EXCEPTION_RECORD.at(self.home), self.record.0)?;
            m.write_u64(exception_pointers::CONTEXT_RECORD.at(self.home), self.context.0)?;
            let arguments = [self.home.0, self.frame];
            let filter = self.base + Rva(row.routine);
            let then = super::Then::Filtered(Box::new(self), row.block);
            return Ok(Next::call(filter, &arguments, Then::Seh(then)));
        }
        Ok(Next::Return(u64::from(disposition::CONTINUE_SEARCH)))
    }

    /// A filter has returned.
    pub(crate) fn filtered(self, m: &mut Machine, value: u64, block: Rva) -> Outcome {
        match value as i32 {
            0 => self.search(m),
            1.. => self.execute(m, block),
            _ => Ok(Next::Return(u64::from(disposition::CONTINUE_EXECUTION))),
        }
    }

    /// Unwinds to an `__except` block, where RAX is the exception code.
    fn execute(self, m: &mut Machine, block: Rva) -> Outcome {
        let code = m.read_u32(exception_record::EXCEPTION_CODE.at(self.record))?;
        let (frame, target, record) = (self.frame, self.base + block, self.record);
        Unwind::begin(m, Destination { frame, target, value: u64::from(code), record })
    }

    /// Second phase: runs the `__finally` blocks of the scopes that are left.
    pub(crate) fn leave(mut self, m: &mut Machine) -> Outcome {
        while let Some(row) = self.next_row(m)? {
            if self.is_inside(m, row)? {
                break;
            }
            if !row.is_finally() {
                continue;
            }
            m.write_u32(dispatcher_context::SCOPE_INDEX.at(self.dispatcher), self.index)?;
            let (routine, arguments) = (self.base + Rva(row.routine), [1, self.frame]);
            return Ok(Next::call(routine, &arguments, Then::Seh(super::Then::Left(Box::new(self)))));
        }
        Ok(Next::Return(u64::from(disposition::CONTINUE_SEARCH)))
    }

    /// Does the unwind end inside this scope, or in its `__except` block? Then this scope and those around it stay.
    fn is_inside(&self, m: &mut Machine, row: Row) -> Result<bool, Trap> {
        if self.flags & EXCEPTION_TARGET_UNWIND == 0 {
            return Ok(false);
        }
        if !row.is_finally() && row.block == self.target {
            return Ok(true);
        }
        // One `__try` may have several rows, where its code is not in one piece.
        for index in 0..self.rows {
            let other = self.row(m, index)?;
            let same = (other.routine, other.block) == (row.routine, row.block);
            if same && other.covers(self.target) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
