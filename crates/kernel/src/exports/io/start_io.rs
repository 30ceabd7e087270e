//! The StartIo queue of a device (ddi: IoStartPacket, IoStartNextPacket).

use nt_types::layout::{device_object, driver_object, irp, kdevice_queue_entry};
use nt_types::{Irql, Va};

use crate::call::{Call, Next, Outcome, Then};
use crate::export;
use crate::exports::{Export, io};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoSetStartIoAttributes(device: Va, deferred: bool, non_cancelable: bool), HIGH),
    export!(Ntoskrnl, IoStartNextPacket(device: Va, cancelable: bool), DISPATCH..=DISPATCH),
    export!(Ntoskrnl, IoStartNextPacketByKey(device: Va, cancelable: bool, key: u32), DISPATCH),
    export!(Ntoskrnl, IoStartPacket(device: Va, request: Va, key: Va, cancel: Va; ..), DISPATCH),
];

/// StartIo returned: back to the IRQL before it.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    irql: Irql,
    caller: Va,
}

impl Started {
    pub(super) fn run(self, m: &mut Machine) -> Outcome {
        m.set_irql(self.irql, self.caller);
        Ok(Next::VOID)
    }
}

/// Calls StartIo at `DISPATCH_LEVEL`, or queues the request while another one is in progress.
fn IoStartPacket(m: &mut Machine, call: &Call, device: Va, request: Va, key: Va, cancel: Va) -> Outcome {
    let queue = device_object::DEVICE_QUEUE.at(device);
    let entry = irp::TAIL_OVERLAY_DEVICE_QUEUE_ENTRY.at(request);
    let key = if key.is_null() { None } else { Some(m.read_u32(key)?) };
    let driver = m.read_va(device_object::DRIVER_OBJECT.at(device))?;
    let routine = m.read_va(driver_object::DRIVER_START_IO.at(driver))?;
    m.probe_write(request, irp::SIZEOF)?;
    if !cancel.is_null() {
        m.write_u64(irp::CANCEL_ROUTINE.at(request), cancel.0)?;
    }
    if m.insert_device_queue(queue, entry, key)? {
        let cancelled = m.read_u8(irp::CANCEL.at(request))? != 0;
        return if cancelled && !cancel.is_null() {
            m.cancel_request(request, call.return_address)
        } else {
            Ok(Next::VOID)
        };
    }
    m.write_u64(device_object::CURRENT_IRP.at(device), request.0)?;
    let (irql, caller) = (m.irql(), call.return_address);
    m.set_irql(Irql::DISPATCH.max(irql), caller);
    let then = Then::Io(io::Then::Started(Started { irql, caller }));
    Ok(Next::call(routine, &[device.0, request.0], then))
}

fn IoStartNextPacket(m: &mut Machine, device: Va, _cancelable: bool) -> Outcome {
    start_next(m, device, None)
}

fn IoStartNextPacketByKey(m: &mut Machine, device: Va, _cancelable: bool, key: u32) -> Outcome {
    start_next(m, device, Some(key))
}

fn start_next(m: &mut Machine, device: Va, key: Option<u32>) -> Outcome {
    let queue = device_object::DEVICE_QUEUE.at(device);
    let driver = m.read_va(device_object::DRIVER_OBJECT.at(device))?;
    let routine = m.read_va(driver_object::DRIVER_START_IO.at(driver))?;
    m.write_u64(device_object::CURRENT_IRP.at(device), 0)?;
    let entry = m.remove_device_queue(queue, key)?;
    if entry.is_null() {
        return Ok(Next::VOID);
    }
    let offset = irp::TAIL_OVERLAY_DEVICE_QUEUE_ENTRY.then(kdevice_queue_entry::DEVICE_LIST_ENTRY);
    let request = offset.base_of(entry);
    m.write_u64(device_object::CURRENT_IRP.at(device), request.0)?;
    Ok(Next::call(routine, &[device.0, request.0], Then::Value(0)))
}

fn IoSetStartIoAttributes(m: &mut Machine, _device: Va, deferred: bool, non_cancelable: bool) -> Outcome {
    if deferred || non_cancelable {
        return Err(m.refuse("IoSetStartIoAttributes", "attributes other than FALSE"));
    }
    Ok(Next::VOID)
}
