//! Processes by identifier and handle (ddi: ZwOpenProcess, ZwQueryInformationProcess, PsReferencePrimaryToken). There is one:
//! the system process.

use nt_types::layout::{client_id, unicode_string};
use nt_types::{NtStatus, Va};

use super::process::SYSTEM_PROCESS_ID;
use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::exports::ob::{Object, ObjectType};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, NtQueryInformationProcess = ZwQueryInformationProcess(process: u64, class: u32, information: Va, length: u32, result: Va), PASSIVE),
    export!(Ntoskrnl, PsDereferencePrimaryToken(token: Va), DISPATCH),
    export!(Ntoskrnl, PsGetProcessImageFileName(process: Va), HIGH),
    export!(Ntoskrnl, PsGetProcessInheritedFromUniqueProcessId(process: Va), HIGH),
    export!(Ntoskrnl, PsGetProcessSectionBaseAddress(process: Va), HIGH),
    export!(Ntoskrnl, PsReferencePrimaryToken(process: Va), DISPATCH),
    export!(Ntoskrnl, ZwOpenProcess(handle: Va, access: u32, attributes: Va, client: Va), PASSIVE),
    export!(Ntoskrnl, ZwQueryInformationProcess(process: u64, class: u32, information: Va, length: u32, result: Va), PASSIVE),
    export!(Ntoskrnl, ZwTerminateProcess(process: u64, status: NtStatus), PASSIVE),
];

/// `PROCESSINFOCLASS`.
const BASIC: u32 = 0;
const WOW64: u32 = 26;
const IMAGE_FILE_NAME: u32 = 27;
const IMAGE_FILE_NAME_WIN32: u32 = 43;

const NORMAL_PRIORITY: u64 = 8;

fn ZwOpenProcess(m: &mut Machine, handle: Va, _access: u32, attributes: Va, client: Va) -> Outcome {
    m.probe_write(handle, 8)?;
    let attributes = m.read_attributes(attributes)?;
    if client.is_null() {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER_MIX));
    }
    if m.read_u64(client_id::UNIQUE_PROCESS.at(client))? != SYSTEM_PROCESS_ID {
        return Ok(Next::status(NtStatus::INVALID_CID));
    }
    m.no_handle_callbacks("ZwOpenProcess")?;
    let process = m.current_process();
    Ok(Next::status(m.give_handle(handle, Object::Body(ObjectType::Process, process), attributes.kernel())?))
}

fn ZwTerminateProcess(m: &mut Machine, process: u64, _status: NtStatus) -> Outcome {
    match is_process(m, process) {
        Ok(()) => Err(m.refuse("ZwTerminateProcess", "the system process")),
        Err(status) => Ok(Next::status(status)),
    }
}

fn ZwQueryInformationProcess(
    m: &mut Machine,
    process: u64,
    class: u32,
    information: Va,
    length: u32,
    result: Va,
) -> Outcome {
    if let Err(status) = is_process(m, process) {
        return Ok(Next::status(status));
    }
    let bytes = match class {
        BASIC => basic(m),
        WOW64 => vec![0; 8],
        // The system process has no image.
        IMAGE_FILE_NAME | IMAGE_FILE_NAME_WIN32 => vec![0; unicode_string::SIZEOF as usize],
        other => return Err(m.refuse("ZwQueryInformationProcess", format!("`ProcessInformationClass` {other}"))),
    };
    m.give_information(&bytes, (information, length), result)
}

/// PROCESS_BASIC_INFORMATION: exit status, PEB, affinity, priority, identifier, parent.
fn basic(m: &Machine) -> Vec<u8> {
    let affinity = (1_u64 << m.processors.len()) - 1;
    let words = [NtStatus::PENDING.0.into(), 0, affinity, NORMAL_PRIORITY, SYSTEM_PROCESS_ID, 0];
    let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    bytes
}

fn is_process(m: &mut Machine, handle: u64) -> Result<(), NtStatus> {
    match m.object_of(handle) {
        Some(Object::Body(ObjectType::Process, _)) => Ok(()),
        Some(_) => Err(NtStatus::OBJECT_TYPE_MISMATCH),
        None => Err(NtStatus::INVALID_HANDLE),
    }
}

/// The system process has no image of its own.
fn PsGetProcessSectionBaseAddress(m: &mut Machine, process: Va) -> Outcome {
    super::process::known(m, "PsGetProcessSectionBaseAddress", process)?;
    Ok(Next::pointer(Va::NULL))
}

/// A string of bytes that lives as long as the process.
fn PsGetProcessImageFileName(m: &mut Machine, process: Va) -> Outcome {
    super::process::known(m, "PsGetProcessImageFileName", process)?;
    Ok(Next::pointer(process + super::IMAGE_NAME))
}

fn PsGetProcessInheritedFromUniqueProcessId(m: &mut Machine, process: Va) -> Outcome {
    super::process::known(m, "PsGetProcessInheritedFromUniqueProcessId", process)?;
    Ok(Next::Return(0))
}

fn PsReferencePrimaryToken(m: &mut Machine, process: Va) -> Outcome {
    super::process::known(m, "PsReferencePrimaryToken", process)?;
    let token = m.system_token()?;
    m.ob.counted.reference(token);
    Ok(Next::pointer(token))
}

fn PsDereferencePrimaryToken(m: &mut Machine, token: Va) -> Outcome {
    m.dereference_object(token)
}

impl Machine {
    /// The token of the system process: the local system.
    pub(crate) fn system_token(&mut self) -> Result<Va, Trap> {
        const TOKEN_BYTES: u64 = 0x100;
        if !self.ps.system_token.is_null() {
            return Ok(self.ps.system_token);
        }
        let Some(token) = self.kernel_object(TOKEN_BYTES, *b"Toke") else { return Err(self.no_pool()) };
        self.ob.counted.add(token, ObjectType::Token);
        self.ps.system_token = token;
        Ok(token)
    }
}
