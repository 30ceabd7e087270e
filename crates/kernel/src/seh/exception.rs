//! Exceptions: what is raised, and how it gets onto the guest stack.

use engine::{Access, Exception, Gpr, PageFault, Rflags};
use memory::{Absence, PageState};
use nt_types::constants::{EXCEPTION_MAXIMUM_PARAMETERS, EXCEPTION_NONCONTINUABLE};
use nt_types::layout::{Field, exception_record};
use nt_types::{BugCheck, BugCheckCode, NtStatus, Va};

use super::scratch::Scratch;
use super::search::Search;
use super::source::Reading;
use super::walk::Walk;
use crate::call::{Next, Then, Trap};
use crate::event::EventKind;
use crate::machine::Machine;
use crate::stop::{Cause, Stop, StopKind};

/// Bytes below the stack pointer that hand-written assembly may use.
const RED_ZONE: u64 = 128;
/// What Windows reports where the processor does not say which address was touched.
const UNKNOWN_ADDRESS: u64 = u64::MAX;

/// An exception to be raised.
#[derive(Clone, Hash, Debug)]
pub struct Raised {
    pub(crate) code: NtStatus,
    /// `EXCEPTION_*` flags of the record.
    pub(crate) flags: u32,
    /// Where.
    pub(crate) address: Va,
    /// `ExceptionInformation`.
    pub(crate) information: Vec<u64>,
    /// The record of the exception that led to this one.
    pub(crate) chained: Va,
    /// What raised it; a handler that continues execution continues here.
    pub(crate) origin: Walk,
}

impl Raised {
    /// A software exception that cannot be continued, without parameters.
    pub(crate) fn noncontinuable(code: NtStatus, address: Va, origin: Walk) -> Raised {
        let (flags, chained) = (EXCEPTION_NONCONTINUABLE, Va::NULL);
        Raised { code, flags, address, information: Vec::new(), chained, origin }
    }

    /// `EXCEPTION_RECORD`.
    pub(crate) fn record(&self) -> Vec<u8> {
        let mut bytes = vec![0; exception_record::SIZEOF as usize];
        let mut put = |field: Field, value: u64| {
            let at = field.offset as usize;
            bytes[at..at + field.size as usize].copy_from_slice(&value.to_le_bytes()[..field.size as usize]);
        };
        let information = self.information.iter().take(EXCEPTION_MAXIMUM_PARAMETERS as usize);
        put(exception_record::EXCEPTION_CODE, u64::from(self.code.0));
        put(exception_record::EXCEPTION_FLAGS, u64::from(self.flags));
        put(exception_record::EXCEPTION_RECORD, self.chained.0);
        put(exception_record::EXCEPTION_ADDRESS, self.address.0);
        put(exception_record::NUMBER_PARAMETERS, information.len() as u64);
        for (index, value) in (0..).zip(information) {
            put(exception_record::EXCEPTION_INFORMATION.element(index, 8), *value);
        }
        bytes
    }

    /// The continuation that looks for its handler, for code that has one to run next.
    pub(crate) fn next(self, m: &mut Machine) -> Next {
        m.record_at(self.address, EventKind::Exception { code: self.code, address: self.address });
        Next::Below(Then::Seh(super::Then::Search(Box::new(Search::new(self)))), Scratch::BYTES)
    }
}

impl Machine {
    /// `ExRaiseStatus` and failed probes: an exception in the caller of the export in progress.
    pub(crate) fn raise_status(&mut self, status: NtStatus) {
        match self.caller() {
            Ok(origin) => self.raise(Raised::noncontinuable(status, Va(origin.registers.rip), origin)),
            Err(trap) => self.trap(trap, Va::NULL),
        }
    }

    /// The caller of the export in progress, as it will be after the call.
    pub(crate) fn caller(&mut self) -> Result<Walk, Trap> {
        let mut walk = Walk::current(self);
        match walk.step(self, Reading::Look) {
            Ok(_) => Ok(walk),
            Err(_) => Err(self.double_fault(Va(walk.registers.rsp())).into()),
        }
    }

    /// A user-mode address that cannot be touched. What touched it starts over if a handler continues execution.
    pub(crate) fn access_violation(&mut self, fault: PageFault, instruction: Va) {
        let operation = match fault.access {
            Access::Read => 0,
            Access::Write => 1,
            Access::Execute => 8,
        };
        self.raise_here(NtStatus::ACCESS_VIOLATION, instruction, vec![operation, fault.address]);
    }

    /// An exception that the processor raised; `instruction` raised it.
    pub(crate) fn processor_exception(&mut self, exception: Exception, instruction: Va) {
        if let (12 | 13, false) = (exception.vector, exception.software)
            && let Some(fault) = self.non_canonical_access(instruction)
        {
            return self.non_canonical(fault, instruction);
        }
        let mut information = Vec::new();
        let code = match (exception.vector, exception.software) {
            (0, false) => NtStatus::INTEGER_DIVIDE_BY_ZERO,
            (1, _) => NtStatus::SINGLE_STEP,
            (3, _) => NtStatus::BREAKPOINT,
            (6, false) => NtStatus::ILLEGAL_INSTRUCTION,
            (16, false) => floating_point(self.cpu().x87.status & !self.cpu().x87.control),
            (17, false) => NtStatus::DATATYPE_MISALIGNMENT,
            (19, false) => floating_point((self.cpu().mxcsr & !(self.cpu().mxcsr >> 7)) as u16),
            (FAST_FAIL, true) => return self.fast_fail(instruction),
            (ASSERTION, true) => NtStatus::ASSERTION_FAILURE,
            (DEBUG_SERVICE, true) => {
                information.push(self.cpu().get(Gpr::Rax));
                NtStatus::BREAKPOINT
            }
            _ => {
                information = vec![0, UNKNOWN_ADDRESS];
                NtStatus::ACCESS_VIOLATION
            }
        };
        // `int` is a trap: the processor is past it. Handlers find the context on it.
        if exception.software && exception.vector != DEBUG_SERVICE {
            self.cpu().rip = instruction.0;
        }
        self.raise_here(code, instruction, information);
    }

    /// An exception that may be continued, raised by what executes now.
    fn raise_here(&mut self, code: NtStatus, address: Va, information: Vec<u64>) {
        let origin = Walk::current(self);
        self.raise(Raised { code, flags: 0, address, information, chained: Va::NULL, origin });
    }

    /// Begins to look for a handler, below all that is in use of the stack.
    pub(crate) fn raise(&mut self, raised: Raised) {
        self.record_at(raised.address, EventKind::Exception { code: raised.code, address: raised.address });
        let in_use = raised.origin.registers.rsp().min(self.cpu().get(Gpr::Rsp));
        let then = Then::Seh(super::Then::Search(Box::new(Search::new(raised))));
        let service = self.kernel_images.exception_entry;
        // As the processor does when it enters an exception handler.
        self.cpu().rflags &= !(Rflags::TF | Rflags::NT | Rflags::RF);
        self.suspend_below(then, in_use.wrapping_sub(RED_ZONE), Scratch::BYTES, service);
    }

    /// The processor cannot even write what an exception needs to the stack (bug check 0x7F, 8).
    pub(crate) fn double_fault(&mut self, stack: Va) -> Stop {
        let check = BugCheck { code: BugCheckCode::UNEXPECTED_KERNEL_MODE_TRAP, parameters: [8, 0, 0, 0] };
        let cause = match self.memory.page_state(stack) {
            PageState::Absent(Absence::Guard) => Cause::StackOverflow { address: stack },
            _ => Cause::BadStack { address: stack },
        };
        let here = self.here();
        self.stop_at(here, StopKind::BugCheck(check, cause))
    }

    /// `int 29h`: the driver or its compiler found that memory is corrupt. Nothing may handle it (bug check 0x139).
    fn fast_fail(&mut self, instruction: Va) {
        let subcode = self.cpu().get(Gpr::Rcx);
        let origin = Walk::current(self);
        let record = {
            let code = NtStatus::STACK_BUFFER_OVERRUN;
            let raised = Raised::noncontinuable(code, instruction, origin.clone());
            Raised { information: vec![subcode], ..raised }.record()
        };
        let scratch = Scratch(origin.registers.rsp().wrapping_sub(RED_ZONE + Scratch::BYTES) & !15);
        let written = self.memory.write_bytes(scratch.record(), &record).is_ok();
        let record = if written { scratch.record() } else { Va::NULL };
        // The trap frame, the second parameter, is not modelled.
        let check =
            BugCheck { code: BugCheckCode::KERNEL_SECURITY_CHECK_FAILURE, parameters: [subcode, 0, record.0, 0] };
        let cause = Cause::Exception { code: NtStatus::STACK_BUFFER_OVERRUN, address: instruction };
        let stop = self.stop_at(instruction, StopKind::BugCheck(check, cause));
        self.halt(stop);
    }
}

/// Software interrupts of the Windows kernel (intrin.h: `__fastfail`, `DbgRaiseAssertionFailure`).
const FAST_FAIL: u8 = 0x29;
const ASSERTION: u8 = 0x2C;
const DEBUG_SERVICE: u8 = 0x2D;

/// The status of the first exception that is flagged and not masked.
fn floating_point(flags: u16) -> NtStatus {
    const STATUSES: [NtStatus; 6] = [
        NtStatus::FLOAT_INVALID_OPERATION,
        NtStatus::FLOAT_DENORMAL_OPERAND,
        NtStatus::FLOAT_DIVIDE_BY_ZERO,
        NtStatus::FLOAT_OVERFLOW,
        NtStatus::FLOAT_UNDERFLOW,
        NtStatus::FLOAT_INEXACT_RESULT,
    ];
    STATUSES[(flags.trailing_zeros() as usize).min(5)]
}
