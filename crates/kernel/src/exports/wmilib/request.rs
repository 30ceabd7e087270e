//! WMI requests (ddi: WmiSystemControl, WmiCompleteRequest, WmiFireEvent).
//!
//! Requests that switch events and collection on and off are handled; those that carry data are refused.

use nt_types::layout::{io_stack_location as sl, irp};
use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Wmilib, WmiCompleteRequest(device: Va, request: Va, status: NtStatus, used: u32, boost: u8), DISPATCH),
    export!(Wmilib, WmiFireEvent(device: Va, guid: Va, instance: u32, size: u32, data: Va), DISPATCH),
    export!(Wmilib, WmiSystemControl(info: Va, device: Va, request: Va, disposition: Va), PASSIVE),
];

// Minor functions of IRP_MJ_SYSTEM_CONTROL (docs: kernel/wmi-minor-irps).
const IRP_MN_ENABLE_EVENTS: u8 = 4;
const IRP_MN_DISABLE_EVENTS: u8 = 5;
const IRP_MN_ENABLE_COLLECTION: u8 = 6;
const IRP_MN_DISABLE_COLLECTION: u8 = 7;
const IRP_MN_EXECUTE_METHOD: u8 = 9;
const IRP_MN_REGINFO_EX: u8 = 0xB;

// SYSCTL_IRP_DISPOSITION.
const IRP_PROCESSED: u32 = 0;
const IRP_NOT_COMPLETED: u32 = 1;
const IRP_NOT_WMI: u32 = 2;
const IRP_FORWARD: u32 = 3;

// WMILIB_CONTEXT: GuidCount, GuidList and the last of its callbacks, WmiFunctionControl.
const GUID_LIST: u64 = 8;
const FUNCTION_CONTROL: u64 = 0x38;
/// Bytes of WMIGUIDREGINFO, which begins with a pointer to the GUID.
const GUID_REG_INFO_BYTES: u64 = 16;
const GUID_BYTES: u64 = 16;
/// More blocks than a driver has.
const MAX_BLOCKS: u32 = 4096;

// WMIENABLEDISABLECONTROL.
const EVENT_CONTROL: u64 = 0;
const DATA_BLOCK_CONTROL: u64 = 1;

fn WmiSystemControl(m: &mut Machine, info: Va, device: Va, request: Va, disposition: Va) -> Outcome {
    m.probe_write(disposition, 4)?;
    let stack = m.stack_location(request)?;
    let minor = m.read_u8(sl::MINOR_FUNCTION.at(stack))?;
    if !matches!(minor, 0..=IRP_MN_EXECUTE_METHOD | IRP_MN_REGINFO_EX) {
        m.write_u32(disposition, IRP_NOT_WMI)?;
        return Ok(Next::status(NtStatus::SUCCESS));
    }
    if m.read_va(sl::PARAMETERS_WMI_PROVIDER_ID.at(stack))? != device {
        m.write_u32(disposition, IRP_FORWARD)?;
        return Ok(Next::status(NtStatus::SUCCESS));
    }
    let (function, enable) = match minor {
        IRP_MN_ENABLE_EVENTS => (EVENT_CONTROL, 1),
        IRP_MN_DISABLE_EVENTS => (EVENT_CONTROL, 0),
        IRP_MN_ENABLE_COLLECTION => (DATA_BLOCK_CONTROL, 1),
        IRP_MN_DISABLE_COLLECTION => (DATA_BLOCK_CONTROL, 0),
        _ => return Err(m.refuse("WmiSystemControl", format!("minor function {minor:#x}"))),
    };
    let guid = m.read_va(sl::PARAMETERS_WMI_DATA_PATH.at(stack))?;
    let Some(block) = block_of(m, info, guid)? else {
        return not_completed(m, request, disposition, NtStatus::WMI_GUID_NOT_FOUND);
    };
    let routine = m.read_va(info + FUNCTION_CONTROL)?;
    if routine.is_null() {
        return not_completed(m, request, disposition, NtStatus::SUCCESS);
    }
    m.write_u32(disposition, IRP_PROCESSED)?;
    Ok(Next::call(routine, &[device.0, request.0, block.into(), function, enable], Then::Return))
}

/// The request is the caller's to complete, with this status.
fn not_completed(m: &mut Machine, request: Va, disposition: Va, status: NtStatus) -> Outcome {
    m.write_u32(irp::IO_STATUS_STATUS.at(request), status.0)?;
    m.write_u64(irp::IO_STATUS_INFORMATION.at(request), 0)?;
    m.write_u32(disposition, IRP_NOT_COMPLETED)?;
    Ok(Next::status(status))
}

/// The index of the registered block with this GUID.
fn block_of(m: &mut Machine, info: Va, guid: Va) -> Result<Option<u32>, Trap> {
    let wanted = m.read_bytes(guid, GUID_BYTES)?;
    let count = m.read_u32(info)?.min(MAX_BLOCKS);
    let list = m.read_va(info + GUID_LIST)?;
    for index in 0..count {
        let known = m.read_va(list + u64::from(index) * GUID_REG_INFO_BYTES)?;
        if m.read_bytes(known, GUID_BYTES)? == wanted {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Only requests without data can have come this far, so there is none to describe.
fn WmiCompleteRequest(m: &mut Machine, _device: Va, request: Va, status: NtStatus, used: u32, _boost: u8) -> Outcome {
    if used != 0 || status == NtStatus::BUFFER_TOO_SMALL {
        return Err(m.refuse("WmiCompleteRequest", format!("`BufferUsed` {used}")));
    }
    m.write_u32(irp::IO_STATUS_STATUS.at(request), status.0)?;
    m.write_u64(irp::IO_STATUS_INFORMATION.at(request), 0)?;
    m.complete_request(request, status)
}

/// Nobody has asked to be told, so that the event is not delivered; its data is freed all the same.
fn WmiFireEvent(m: &mut Machine, _device: Va, guid: Va, _instance: u32, _size: u32, data: Va) -> Outcome {
    m.read_bytes(guid, GUID_BYTES)?;
    m.pool_free(data);
    Ok(Next::status(NtStatus::UNSUCCESSFUL))
}
