//! The current process and the version of the system (ddi: PsGetCurrentProcessId, IoGetCurrentProcess, PsGetVersion).

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExGetPreviousMode(), DISPATCH),
    export!(Ntoskrnl, IoGetCurrentProcess(), HIGH),
    export!(Ntoskrnl, IoGetRequestorProcess(request: Va), DISPATCH),
    export!(Ntoskrnl, IoGetRequestorProcessId(request: Va), DISPATCH),
    export!(Ntoskrnl, IoIs32bitProcess(request: Va), DISPATCH),
    export!(Ntoskrnl, IoThreadToProcess(thread: Va), DISPATCH),
    export!(Ntoskrnl, KeAttachProcess(process: Va), DISPATCH),
    export!(Ntoskrnl, KeDetachProcess(), DISPATCH),
    export!(Ntoskrnl, KeStackAttachProcess(process: Va, state: Va), APC),
    export!(Ntoskrnl, KeUnstackDetachProcess(state: Va), APC),
    export!(Ntoskrnl, PsGetCurrentProcess = IoGetCurrentProcess(), HIGH),
    export!(Ntoskrnl, PsGetCurrentProcessId(), HIGH),
    export!(Ntoskrnl, PsGetProcessExitStatus(process: Va), APC),
    export!(Ntoskrnl, PsGetProcessId(process: Va), HIGH),
    export!(Ntoskrnl, PsGetProcessPeb(process: Va), DISPATCH),
    export!(Ntoskrnl, PsGetProcessWow64Process(process: Va), DISPATCH),
    export!(Ntoskrnl, PsGetVersion(major: Va, minor: Va, build: Va, text: Va), PASSIVE),
    export!(Ntoskrnl, PsLookupProcessByProcessId(id: u64, process: Va), APC),
];

/// The process identifier of the system process.
pub(super) const SYSTEM_PROCESS_ID: u64 = 4;
/// The system that this kernel says it is: Windows 10, version 2004.
pub(crate) const MAJOR_VERSION: u32 = 10;
pub(crate) const MINOR_VERSION: u32 = 0;
pub(crate) const BUILD_NUMBER: u32 = 19_041;

fn IoGetCurrentProcess(m: &mut Machine) -> Outcome {
    Ok(Next::pointer(m.current_process()))
}

fn IoThreadToProcess(m: &mut Machine, _thread: Va) -> Outcome {
    IoGetCurrentProcess(m)
}

fn IoGetRequestorProcess(m: &mut Machine, _request: Va) -> Outcome {
    IoGetCurrentProcess(m)
}

fn PsGetCurrentProcessId(_m: &mut Machine) -> Outcome {
    Ok(Next::Return(SYSTEM_PROCESS_ID))
}

fn IoGetRequestorProcessId(_m: &mut Machine, _request: Va) -> Outcome {
    Ok(Next::Return(SYSTEM_PROCESS_ID))
}

fn PsGetProcessId(m: &mut Machine, process: Va) -> Outcome {
    known(m, "PsGetProcessId", process)?;
    Ok(Next::Return(SYSTEM_PROCESS_ID))
}

fn PsGetProcessExitStatus(m: &mut Machine, process: Va) -> Outcome {
    known(m, "PsGetProcessExitStatus", process)?;
    Ok(Next::status(NtStatus::PENDING))
}

/// The system process has none.
fn PsGetProcessPeb(m: &mut Machine, process: Va) -> Outcome {
    known(m, "PsGetProcessPeb", process)?;
    Ok(Next::pointer(Va::NULL))
}

fn PsGetProcessWow64Process(m: &mut Machine, process: Va) -> Outcome {
    known(m, "PsGetProcessWow64Process", process)?;
    Ok(Next::pointer(Va::NULL))
}

/// There is one process: a pointer to another one cannot come from this kernel.
pub(crate) fn known(m: &mut Machine, routine: &'static str, process: Va) -> Result<(), crate::call::Trap> {
    if process == m.current_process() {
        Ok(())
    } else {
        Err(m.refuse(routine, format!("`{process}`, which is no process")))
    }
}

fn PsLookupProcessByProcessId(m: &mut Machine, id: u64, process: Va) -> Outcome {
    if id != SYSTEM_PROCESS_ID {
        return Ok(Next::status(NtStatus::INVALID_CID));
    }
    let system = m.current_process();
    m.write_u64(process, system.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn KeStackAttachProcess(m: &mut Machine, process: Va, _state: Va) -> Outcome {
    known(m, "KeStackAttachProcess", process).map(|()| Next::VOID)
}

fn KeUnstackDetachProcess(_m: &mut Machine, _state: Va) -> Outcome {
    Ok(Next::VOID)
}

fn KeAttachProcess(m: &mut Machine, process: Va) -> Outcome {
    known(m, "KeAttachProcess", process).map(|()| Next::VOID)
}

fn KeDetachProcess(_m: &mut Machine) -> Outcome {
    Ok(Next::VOID)
}

fn IoIs32bitProcess(_m: &mut Machine, _request: Va) -> Outcome {
    Ok(Next::Return(0))
}

fn ExGetPreviousMode(_m: &mut Machine) -> Outcome {
    Ok(Next::Return(nt_types::constants::KERNEL_MODE.into()))
}

/// Obsolete; TRUE for a checked build.
fn PsGetVersion(m: &mut Machine, major: Va, minor: Va, build: Va, text: Va) -> Outcome {
    for (slot, value) in [(major, MAJOR_VERSION), (minor, MINOR_VERSION), (build, BUILD_NUMBER)] {
        if !slot.is_null() {
            m.write_u32(slot, value)?;
        }
    }
    if !text.is_null() {
        m.store_units(text, &[])?;
    }
    Ok(Next::Return(0))
}
