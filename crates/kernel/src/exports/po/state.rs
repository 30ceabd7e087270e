//! Power states as drivers tell and read them (ddi: PoSetPowerState, PoRegisterSystemState,
//! PoRegisterDeviceForIdleDetection). The machine stays in its working state and turns no device off.

use nt_types::{Va, constants as c};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, PoRegisterDeviceForIdleDetection(device: Va, conservation: u32, performance: u32, state: u32), APC),
    export!(Ntoskrnl, PoRegisterSystemState(handle: Va, flags: u32), APC),
    export!(Ntoskrnl, PoSetDeviceBusyEx(idle: Va), HIGH),
    export!(Ntoskrnl, PoSetHiberRange(map: Va, flags: u32, address: Va, length: u64, tag: u32), HIGH),
    export!(Ntoskrnl, PoSetPowerState(device: Va, kind: u32, state: u32), DISPATCH),
    export!(Ntoskrnl, PoSetSystemState(flags: u32), DISPATCH),
    export!(Ntoskrnl, PoUnregisterSystemState(handle: Va), APC),
];

/// The previous state.
fn PoSetPowerState(m: &mut Machine, device: Va, kind: u32, state: u32) -> Outcome {
    if kind != c::DEVICE_POWER_STATE {
        return Err(m.refuse("PoSetPowerState", format!("`Type` {kind}")));
    }
    let before = m.po.device_states.insert(device, state).unwrap_or(c::POWER_DEVICE_UNSPECIFIED);
    Ok(Next::Return(before.into()))
}

/// The idle counter. The power policy of this machine has no idle times, so no device is asked to power down.
fn PoRegisterDeviceForIdleDetection(
    m: &mut Machine,
    _device: Va,
    conservation: u32,
    performance: u32,
    _state: u32,
) -> Outcome {
    if conservation == 0 && performance == 0 {
        return Ok(Next::pointer(Va::NULL));
    }
    Ok(Next::pointer(m.kernel_object(4, *b"PoId").unwrap_or(Va::NULL)))
}

fn PoSetDeviceBusyEx(m: &mut Machine, idle: Va) -> Outcome {
    m.write_u32(idle, 0)?;
    Ok(Next::VOID)
}

/// A handle for a new registration, the given one for a changed one.
fn PoRegisterSystemState(m: &mut Machine, handle: Va, _flags: u32) -> Outcome {
    match handle {
        Va::NULL => Ok(Next::pointer(m.kernel_object(8, *b"PoSS").unwrap_or(Va::NULL))),
        handle => Ok(Next::pointer(handle)),
    }
}

fn PoUnregisterSystemState(m: &mut Machine, handle: Va) -> Outcome {
    m.pool_free(handle);
    Ok(Next::VOID)
}

fn PoSetSystemState(_m: &mut Machine, _flags: u32) -> Outcome {
    Ok(Next::VOID)
}

/// Reserved for system use: it tells the hibernation file what to hold, and there is none.
fn PoSetHiberRange(_m: &mut Machine, _map: Va, _flags: u32, _address: Va, _length: u64, _tag: u32) -> Outcome {
    Ok(Next::VOID)
}
