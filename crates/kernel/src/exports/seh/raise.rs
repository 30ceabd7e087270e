//! Raising exceptions (ddi: ExRaiseStatus, ExRaiseAccessViolation, ExRaiseDatatypeMisalignment), and the handler of C.

use nt_types::constants::EXCEPTION_MAXIMUM_PARAMETERS;
use nt_types::layout::exception_record;
use nt_types::{NtStatus, Va};

use crate::call::{Call, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::seh::{Raised, c_specific_handler};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExRaiseAccessViolation(), APC),
    export!(Ntoskrnl, ExRaiseDatatypeMisalignment(), APC),
    export!(Ntoskrnl, ExRaiseStatus(status: NtStatus), APC),
    export!(Ntoskrnl, RtlRaiseException(record: Va), HIGH),
    export!(Ntoskrnl, __C_specific_handler(record: Va, frame: u64, context: Va, dispatcher: Va; ..), HIGH),
];

fn ExRaiseStatus(_m: &mut Machine, status: NtStatus) -> Outcome {
    Err(Trap::Raise(status))
}

fn ExRaiseAccessViolation(m: &mut Machine) -> Outcome {
    ExRaiseStatus(m, NtStatus::ACCESS_VIOLATION)
}

fn ExRaiseDatatypeMisalignment(m: &mut Machine) -> Outcome {
    ExRaiseStatus(m, NtStatus::DATATYPE_MISALIGNMENT)
}

/// Raises a copy of the record, at the caller.
fn RtlRaiseException(m: &mut Machine, record: Va) -> Outcome {
    let code = NtStatus(m.read_u32(exception_record::EXCEPTION_CODE.at(record))?);
    let flags = m.read_u32(exception_record::EXCEPTION_FLAGS.at(record))?;
    let chained = m.read_va(exception_record::EXCEPTION_RECORD.at(record))?;
    let count = m.read_u32(exception_record::NUMBER_PARAMETERS.at(record))?.min(EXCEPTION_MAXIMUM_PARAMETERS);
    let parameter = |index| exception_record::EXCEPTION_INFORMATION.element(index, 8).at(record);
    let information = (0..count).map(|index| m.read_u64(parameter(index))).collect::<Result<_, _>>()?;
    let origin = m.caller()?;
    let address = Va(origin.registers.rip);
    Err(Trap::Exception(Box::new(Raised { code, flags, address, information, chained, origin })))
}

fn __C_specific_handler(m: &mut Machine, call: &Call, record: Va, frame: u64, context: Va, dispatcher: Va) -> Outcome {
    c_specific_handler(m, call, record, frame, context, dispatcher)
}
