//! Unwinding (winnt.h: RtlUnwindEx, RtlVirtualUnwind, RtlLookupFunctionEntry, RtlRestoreContext).

use driver_image::unwind::{RuntimeFunction, find_function};
use nt_types::layout::{exception_record, runtime_function};
use nt_types::{NtStatus, Rva, Va};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::seh::{Destination, Failure, Handler, Reading, Registers, Source, Unwind, leave};
use crate::stop::Unsupported;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlLookupFunctionEntry(control: Va, image_base: Va, history: Va), HIGH),
    export!(Ntoskrnl, RtlRestoreContext(context: Va, record: Va), HIGH),
    export!(Ntoskrnl, RtlUnwind(frame: u64, target: Va, record: Va, value: u64), HIGH),
    export!(Ntoskrnl, RtlUnwindEx(frame: u64, target: Va, record: Va, value: u64, context: Va, history: Va), HIGH),
    export!(Ntoskrnl, RtlVirtualUnwind(handler_type: u32, image_base: Va, control: Va, function: Va, context: Va, handler_data: Va, establisher: Va, pointers: Va), HIGH),
    export!(Ntoskrnl, _local_unwind(frame: u64, target: Va), HIGH),
];

/// `UNW_FLAG_EHANDLER`, `UNW_FLAG_UHANDLER`.
const EXCEPTION_HANDLER: u32 = 1;
const TERMINATION_HANDLER: u32 = 2;

fn RtlUnwindEx(m: &mut Machine, frame: u64, target: Va, record: Va, value: u64, _context: Va, _history: Va) -> Outcome {
    Unwind::begin(m, Destination { frame, target, value, record })
}

fn RtlUnwind(m: &mut Machine, frame: u64, target: Va, record: Va, value: u64) -> Outcome {
    Unwind::begin(m, Destination { frame, target, value, record })
}

/// What compilers call where a `__try` with a `__finally` is left by `return` or `goto`.
fn _local_unwind(m: &mut Machine, frame: u64, target: Va) -> Outcome {
    Unwind::begin(m, Destination { frame, target, value: 0, record: Va::NULL })
}

fn RtlRestoreContext(m: &mut Machine, context: Va, record: Va) -> Outcome {
    if !record.is_null() {
        let code = NtStatus(m.read_u32(exception_record::EXCEPTION_CODE.at(record))?);
        if matches!(code, NtStatus::LONGJUMP | NtStatus::UNWIND_CONSOLIDATE) {
            let what = format!("a record with code {code}");
            return Err(m.unsupported(Unsupported::Parameter { routine: "RtlRestoreContext", what }).into());
        }
    }
    let registers = Registers::read(m, context)?;
    Ok(m.go_on_at(&registers))
}

fn RtlLookupFunctionEntry(m: &mut Machine, control: Va, image_base: Va, _history: Va) -> Outcome {
    let Some(driver) = m.modules.driver_at(control).cloned() else {
        if let Some(base) = m.kernel_images.image_at(control).map(|image| image.base) {
            m.write_u64(image_base, base.0)?;
        }
        return Ok(Next::pointer(Va::NULL));
    };
    let mut source = Source { memory: &mut m.memory, driver: &driver, reading: Reading::Touch };
    let table = source.function_table();
    let found = find_function(&mut source, table, Rva((control - driver.base) as u32));
    let entry = match found {
        Ok(found) => found.map_or(Va::NULL, |(entry, _)| driver.base + entry),
        Err(Failure::Fault(fault)) => return Err(fault.into()),
        Err(_) => Va::NULL,
    };
    m.write_u64(image_base, driver.base.0)?;
    Ok(Next::pointer(entry))
}

#[expect(clippy::too_many_arguments, reason = "these are its parameters")]
fn RtlVirtualUnwind(
    m: &mut Machine,
    handler_type: u32,
    image_base: Va,
    control: Va,
    function: Va,
    context: Va,
    handler_data: Va,
    establisher: Va,
    pointers: Va,
) -> Outcome {
    let refuse = |m: &mut Machine, what: &str| -> Outcome {
        let what = what.to_owned();
        Err(m.unsupported(Unsupported::Parameter { routine: "RtlVirtualUnwind", what }).into())
    };
    if !pointers.is_null() {
        return refuse(m, "ContextPointers that are not null");
    }
    let Some(driver) = m.modules.driver_at(image_base).filter(|driver| driver.base == image_base).cloned() else {
        return refuse(m, "an ImageBase that is no loaded driver");
    };
    let function = read_function(m, function)?;
    let mut registers = Registers::read(m, context)?;
    registers.rip = control.0;
    let mut source = Source { memory: &mut m.memory, driver: &driver, reading: Reading::Touch };
    let left = match leave(&mut source, function, &mut registers) {
        Ok(left) => left,
        Err(Failure::Fault(fault)) => return Err(fault.into()),
        // The access that fails is one of the driver's own context.
        Err(Failure::Stack(address)) => {
            m.read_u64(address)?;
            return refuse(m, "a stack that cannot be read");
        }
        Err(Failure::Malformed) => return refuse(m, "unwind information that makes no sense"),
    };
    let wanted = |handler: &Handler| {
        handler.on_exception && handler_type & EXCEPTION_HANDLER != 0
            || handler.on_unwind && handler_type & TERMINATION_HANDLER != 0
    };
    let handler = left.handler.filter(wanted);
    m.write_u64(establisher, left.establisher)?;
    if let Some(handler) = handler {
        m.write_u64(handler_data, (driver.base + handler.data).0)?;
    }
    m.write_bytes(context, &registers.to_context())?;
    Ok(Next::pointer(handler.map_or(Va::NULL, |handler| driver.base + handler.routine)))
}

fn read_function(m: &mut Machine, entry: Va) -> Result<RuntimeFunction, Trap> {
    Ok(RuntimeFunction {
        begin: Rva(m.read_u32(runtime_function::BEGIN_ADDRESS.at(entry))?),
        end: Rva(m.read_u32(runtime_function::END_ADDRESS.at(entry))?),
        unwind_info: Rva(m.read_u32(runtime_function::UNWIND_DATA.at(entry))?),
    })
}
