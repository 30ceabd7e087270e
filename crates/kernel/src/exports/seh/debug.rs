//! Stops that the driver asks for (ddi: KeBugCheckEx, DbgBreakPoint).

use nt_types::{BugCheck, BugCheckCode, NtStatus, Va};

use crate::call::{Call, Outcome, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::seh::{Raised, Walk};
use crate::stop::{Cause, StopKind};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, DbgBreakPoint(; ..), HIGH),
    export!(Ntoskrnl, DbgBreakPointWithStatus(status: u32; ..), HIGH),
    export!(Ntoskrnl, KeBugCheck(code: u32; ..), HIGH),
    export!(Ntoskrnl, KeBugCheckEx(code: u32, first: u64, second: u64, third: u64, fourth: u64; ..), HIGH),
    export!(Ntoskrnl, RtlAssert(assertion: Va, file: Va, line: u32, message: Va; ..), HIGH),
];

/// Bytes from the start of a stub to the byte before its `ret`.
const BREAKPOINT_OFFSET: u64 = 2;

fn KeBugCheck(m: &mut Machine, call: &Call, code: u32) -> Outcome {
    KeBugCheckEx(m, call, code, 0, 0, 0, 0)
}

fn KeBugCheckEx(m: &mut Machine, call: &Call, code: u32, first: u64, second: u64, third: u64, fourth: u64) -> Outcome {
    let check = BugCheck { code: BugCheckCode(code), parameters: [first, second, third, fourth] };
    Err(m.stop_at(call.return_address, StopKind::BugCheck(check, Cause::Requested)).into())
}

/// The breakpoint stands where a handler that skips one byte, as handlers of breakpoints do, gets to the `ret` of the stub.
fn DbgBreakPoint(m: &mut Machine, call: &Call) -> Outcome {
    let mut origin = Walk::current(m);
    let address = call.service + BREAKPOINT_OFFSET;
    origin.registers.rip = address.0;
    let flags = 0;
    let raised = Raised { flags, ..Raised::noncontinuable(NtStatus::BREAKPOINT, address, origin) };
    Err(Trap::Exception(Box::new(raised)))
}

fn DbgBreakPointWithStatus(m: &mut Machine, call: &Call, _status: u32) -> Outcome {
    DbgBreakPoint(m, call)
}

/// What `ASSERT` of a checked driver calls: prints, then breaks.
fn RtlAssert(m: &mut Machine, call: &Call, assertion: Va, file: Va, line: u32, message: Va) -> Outcome {
    let mut text = |address: Va| match address.is_null() {
        true => Ok(String::new()),
        false => m.read_c_string(address).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    };
    let (assertion, file, message) = (text(assertion)?, text(file)?, text(message)?);
    let text = format!("*** Assertion failed: {message}{assertion}\n***   Source File: {file}, line {line}\n");
    m.record_at(call.return_address, EventKind::Printed { text });
    DbgBreakPoint(m, call)
}
