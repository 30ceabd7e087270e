//! Power settings (ddi: PoRegisterPowerSettingCallback): the callback is told the current value once, on a system thread.

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, PoRegisterPowerSettingCallback(device: Va, setting: Va, callback: Va, context: u64, handle: Va), PASSIVE),
    export!(Ntoskrnl, PoUnregisterPowerSettingCallback(handle: Va), PASSIVE),
];

/// Settings of a desktop machine on mains power, its display on (docs: power/power-setting-guids).
const VALUES: [(&str, u32); 6] = [
    // GUID_ACDC_POWER_SOURCE: PoAc.
    ("{5D3E9A59-E9D5-4B00-A6BD-FF34FF516548}", 0),
    // GUID_BATTERY_PERCENTAGE_REMAINING.
    ("{A7AD8041-B45A-4CAE-87A3-EECBB468A9E1}", 100),
    // GUID_CONSOLE_DISPLAY_STATE: PowerMonitorOn.
    ("{6FE69556-704A-47A0-8F24-C28D936FDA47}", 1),
    // GUID_LIDSWITCH_STATE_CHANGE: open.
    ("{BA3E0F4D-B817-4094-A2D1-D56379E6A0F3}", 1),
    // GUID_MONITOR_POWER_ON.
    ("{02731015-4510-4526-99E6-E5A17EBD1AEA}", 1),
    // GUID_SYSTEM_AWAYMODE: no.
    ("{98A7F580-01F7-48AA-9C0F-44352C29E5C0}", 0),
];
const GUID_BYTES: u64 = 16;

/// A registration holds the GUID and the value that the callback gets pointers to. Other settings have no value yet, and
/// nothing changes one.
fn PoRegisterPowerSettingCallback(
    m: &mut Machine,
    _device: Va,
    setting: Va,
    callback: Va,
    context: u64,
    handle: Va,
) -> Outcome {
    if !handle.is_null() {
        m.probe_write(handle, 8)?;
    }
    let (guid, text) = (m.read_bytes(setting, GUID_BYTES)?, m.read_guid_text(setting)?);
    let Some(registration) = m.kernel_object(GUID_BYTES + 8, *b"PoSt") else {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    };
    let value_at = registration + GUID_BYTES;
    m.write_bytes(registration, &guid)?;
    m.po.settings.push(registration);
    if let Some((_, value)) = VALUES.iter().find(|(known, _)| *known == text) {
        m.write_u32(value_at, *value)?;
        m.start_work("power setting", callback, vec![registration.0, value_at.0, 4, context])?;
    }
    if !handle.is_null() {
        m.write_u64(handle, registration.0)?;
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

fn PoUnregisterPowerSettingCallback(m: &mut Machine, handle: Va) -> Outcome {
    let Some(index) = m.po.settings.iter().position(|known| *known == handle) else {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    };
    m.po.settings.remove(index);
    m.pool_free(handle);
    Ok(Next::status(NtStatus::SUCCESS))
}
