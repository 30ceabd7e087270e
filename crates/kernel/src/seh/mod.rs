//! Structured exception handling through `.pdata`.

mod epilog;
mod registers;
mod source;
mod unwind;
mod walk;

use engine::{Access, Exception, PageFault};
use nt_types::{BugCheck, BugCheckCode, NtStatus, Va};

use crate::call::Outcome;
use crate::event::EventKind;
use crate::machine::Machine;
use crate::stop::{Cause, StopKind};

pub(crate) use source::Reading;
pub(crate) use walk::{Level, Walk};

/// Continuations of exception dispatch.
#[derive(Clone, Debug)]
pub enum Then {}

impl Then {
    pub(crate) fn run(self, _m: &mut Machine, _value: u64) -> Outcome {
        match self {}
    }
}

impl Machine {
    /// `ExRaiseStatus` and failed probes: an exception in the caller of the export in progress.
    pub(crate) fn raise_status(&mut self, status: NtStatus) {
        let here = self.here();
        self.unhandled(status, here, [0, 0]);
    }

    /// A user-mode address that cannot be touched.
    pub(crate) fn access_violation(&mut self, fault: PageFault, instruction: Va) {
        let operation = match fault.access {
            Access::Read => 0,
            Access::Write => 1,
            Access::Execute => 8,
        };
        self.unhandled(NtStatus::ACCESS_VIOLATION, instruction, [operation, fault.address]);
    }

    /// An exception that the processor raised.
    pub(crate) fn processor_exception(&mut self, exception: Exception, instruction: Va) {
        let status = match exception.vector {
            0 => NtStatus::INTEGER_DIVIDE_BY_ZERO,
            1 => NtStatus::SINGLE_STEP,
            3 => NtStatus::BREAKPOINT,
            6 => NtStatus::ILLEGAL_INSTRUCTION,
            _ => NtStatus::ACCESS_VIOLATION,
        };
        self.unhandled(status, instruction, [0, 0]);
    }

    fn unhandled(&mut self, code: NtStatus, address: Va, information: [u64; 2]) {
        self.record(EventKind::Exception { code, address });
        let check = BugCheck {
            code: BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED,
            parameters: [u64::from(code.0), address.0, information[0], information[1]],
        };
        let stop = self.stop_at(address, StopKind::BugCheck(check, Cause::Exception { code, address }));
        self.halt(stop);
    }
}
