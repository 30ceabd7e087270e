//! Plug and Play notification (ddi: IoRegisterPlugPlayNotification). Callbacks run on system threads.

use nt_types::{NtStatus, Va};

use super::interface::Interface;
use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoRegisterPlugPlayNotification(category: u32, flags: u32, data: Va, driver: Va, callback: Va, context: u64, entry: Va), PASSIVE),
    export!(Ntoskrnl, IoReportTargetDeviceChange(device: Va, notification: Va), PASSIVE),
    export!(Ntoskrnl, IoReportTargetDeviceChangeAsynchronous(device: Va, notification: Va, callback: Va, context: u64), DISPATCH),
    export!(Ntoskrnl, IoUnregisterPlugPlayNotification(entry: Va), PASSIVE),
    export!(Ntoskrnl, IoUnregisterPlugPlayNotificationEx = IoUnregisterPlugPlayNotification(entry: Va), PASSIVE),
];

/// `IO_NOTIFICATION_EVENT_CATEGORY`.
const HARDWARE_PROFILE_CHANGE: u32 = 1;
const DEVICE_INTERFACE_CHANGE: u32 = 2;
const TARGET_DEVICE_CHANGE: u32 = 3;
/// `PNPNOTIFY_DEVICE_INTERFACE_INCLUDE_EXISTING_INTERFACES`.
const INCLUDE_EXISTING: u32 = 1;
/// GUID_DEVICE_INTERFACE_ARRIVAL and GUID_DEVICE_INTERFACE_REMOVAL differ in their first byte only.
const ARRIVAL: [u8; 16] =
    [0x04, 0x40, 0x3a, 0xcb, 0xf0, 0x46, 0xd0, 0x11, 0xb0, 0x8f, 0x00, 0x60, 0x97, 0x13, 0x05, 0x3f];
const REMOVAL_FIRST: u8 = 0x05;
/// DEVICE_INTERFACE_CHANGE_NOTIFICATION: version, size, event, class, and a pointer to the name.
const NOTIFICATION_BYTES: usize = 48;

/// A registration.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct Watcher {
    entry: Va,
    category: u32,
    /// The interface class, for that category.
    guid: [u8; 16],
    callback: Va,
    context: u64,
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoRegisterPlugPlayNotification(
    m: &mut Machine,
    category: u32,
    flags: u32,
    data: Va,
    _driver: Va,
    callback: Va,
    context: u64,
    entry_at: Va,
) -> Outcome {
    let mut guid = [0; 16];
    match category {
        DEVICE_INTERFACE_CHANGE => guid.copy_from_slice(&m.read_bytes(data, 16)?),
        HARDWARE_PROFILE_CHANGE | TARGET_DEVICE_CHANGE => {}
        other => return Err(m.refuse("IoRegisterPlugPlayNotification", format!("`EventCategory` {other}"))),
    }
    m.probe_write(entry_at, 8)?;
    let existing: Vec<Interface> = match category == DEVICE_INTERFACE_CHANGE && flags & INCLUDE_EXISTING != 0 {
        true => m.io.interfaces.iter().filter(|interface| interface.enabled).cloned().collect(),
        false => Vec::new(),
    };
    let Some(entry) = m.kernel_object(0x20, *b"PnpN") else {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    };
    let watcher = Watcher { entry, category, guid, callback, context };
    m.io.watchers.push(watcher);
    for interface in existing {
        m.notify(&watcher, &interface, true)?;
    }
    m.write_u64(entry_at, entry.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn IoUnregisterPlugPlayNotification(m: &mut Machine, entry: Va) -> Outcome {
    let Some(index) = m.io.watchers.iter().position(|watcher| watcher.entry == entry) else {
        return Err(m.refuse("IoUnregisterPlugPlayNotification", format!("`{entry}`, which is no registration")));
    };
    m.io.watchers.remove(index);
    m.pool_free(entry);
    Ok(Next::status(NtStatus::SUCCESS))
}

/// Custom events reach who registered for the target device.
fn IoReportTargetDeviceChange(m: &mut Machine, device: Va, notification: Va) -> Outcome {
    if m.bus_device_number(device).is_none() {
        return Ok(Next::status(NtStatus::INVALID_DEVICE_REQUEST));
    }
    m.read_u32(notification)?;
    match m.io.watchers.iter().any(|watcher| watcher.category == TARGET_DEVICE_CHANGE) {
        true => Err(m.refuse("IoReportTargetDeviceChange", "an event that another driver registered for")),
        false => Ok(Next::status(NtStatus::SUCCESS)),
    }
}

fn IoReportTargetDeviceChangeAsynchronous(
    m: &mut Machine,
    device: Va,
    notification: Va,
    callback: Va,
    context: u64,
) -> Outcome {
    let outcome = IoReportTargetDeviceChange(m, device, notification)?;
    if !callback.is_null() {
        m.start_work("target device change", callback, vec![context])?;
    }
    match outcome {
        Next::Return(0) => Ok(Next::status(NtStatus::PENDING)),
        other => Ok(other),
    }
}

impl Machine {
    /// An interface was enabled or disabled: who registered for its class is told.
    pub(super) fn interface_changed(&mut self, interface: &Interface, arrived: bool) -> Result<(), Trap> {
        let watchers: Vec<Watcher> =
            self.io.watchers.iter().filter(|watcher| watcher.category == DEVICE_INTERFACE_CHANGE).copied().collect();
        for watcher in watchers {
            self.notify(&watcher, interface, arrived)?;
        }
        Ok(())
    }

    /// Tells a watcher, if the class of the interface is its own.
    fn notify(&mut self, watcher: &Watcher, interface: &Interface, arrived: bool) -> Result<(), Trap> {
        let Some(notification) = self.kernel_object(NOTIFICATION_BYTES as u64, *b"PnpE") else {
            return Err(self.no_pool());
        };
        self.write_bytes(notification + 20, &watcher.guid)?;
        if self.read_guid_text(notification + 20)? != interface.guid {
            self.pool_free(notification);
            return Ok(());
        }
        let name = self.kernel_string(&interface.link).unwrap_or_default();
        let Some(string) = self.kernel_object(name.len() as u64, *b"PnpE") else { return Err(self.no_pool()) };
        self.write_bytes(string, &name)?;
        let mut event = ARRIVAL;
        if !arrived {
            event[0] = REMOVAL_FIRST;
        }
        self.write_u16(notification, 1)?;
        self.write_u16(notification + 2, NOTIFICATION_BYTES as u16)?;
        self.write_bytes(notification + 4, &event)?;
        self.write_u64(notification + 40, string.0)?;
        self.start_work("interface change", watcher.callback, vec![notification.0, watcher.context])?;
        Ok(())
    }
}
