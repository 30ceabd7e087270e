//! WMI as a machine without a WMI service has it: providers may register, nobody asks them, and no data of others exists
//! (ddi: IoWMIRegistrationControl, IoWMIWriteEvent, IoWMIOpenBlock).

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoWMIDeviceObjectToProviderId(device: Va), DISPATCH),
    export!(Ntoskrnl, IoWMIOpenBlock(guid: Va, access: u32, block: Va), APC),
    export!(Ntoskrnl, IoWMIQueryAllData(block: Va, size: Va, buffer: Va), APC),
    export!(Ntoskrnl, IoWMIRegistrationControl(device: Va, action: u32), PASSIVE),
    export!(Ntoskrnl, IoWMISetNotificationCallback(block: Va, routine: Va, context: u64), APC),
    export!(Ntoskrnl, IoWMIWriteEvent(event: Va), APC),
];

const WMIREG_ACTION_REGISTER: u32 = 1;
const WMIREG_ACTION_DEREGISTER: u32 = 2;
const WMIREG_ACTION_REREGISTER: u32 = 3;
const WMIREG_ACTION_UPDATE_GUIDS: u32 = 4;
const WMIREG_ACTION_BLOCK_IRPS: u32 = 5;
/// The provider is a routine, not a device; it traces. Only the WMI service would make a difference of either.
const WMIREG_FLAGS: u32 = 0x8000_0000 | 0x0001_0000;
/// `GUID` in bytes.
const GUID_BYTES: u64 = 16;

fn IoWMIRegistrationControl(m: &mut Machine, device: Va, action: u32) -> Outcome {
    let known = m.io.wmi_providers.contains(&device);
    Ok(Next::status(match action & !WMIREG_FLAGS {
        WMIREG_ACTION_REGISTER => {
            m.io.wmi_providers.insert(device);
            NtStatus::SUCCESS
        }
        WMIREG_ACTION_DEREGISTER if m.io.wmi_providers.remove(&device) => NtStatus::SUCCESS,
        WMIREG_ACTION_REREGISTER | WMIREG_ACTION_UPDATE_GUIDS | WMIREG_ACTION_BLOCK_IRPS if known => NtStatus::SUCCESS,
        _ => NtStatus::INVALID_PARAMETER,
    }))
}

/// WMI services are unavailable, so the event remains the driver's.
fn IoWMIWriteEvent(_m: &mut Machine, _event: Va) -> Outcome {
    Ok(Next::status(NtStatus::UNSUCCESSFUL))
}

fn IoWMIOpenBlock(m: &mut Machine, guid: Va, _access: u32, _block: Va) -> Outcome {
    m.read_bytes(guid, GUID_BYTES)?;
    Ok(Next::status(NtStatus::WMI_GUID_NOT_FOUND))
}

/// No block can have been opened.
fn IoWMIQueryAllData(m: &mut Machine, _block: Va, _size: Va, _buffer: Va) -> Outcome {
    Err(m.refuse("IoWMIQueryAllData", "a data block that was not opened"))
}

fn IoWMISetNotificationCallback(m: &mut Machine, _block: Va, _routine: Va, _context: u64) -> Outcome {
    Err(m.refuse("IoWMISetNotificationCallback", "a data block that was not opened"))
}

fn IoWMIDeviceObjectToProviderId(_m: &mut Machine, device: Va) -> Outcome {
    Ok(Next::Return(device.0 & 0xFFFF_FFFF))
}
