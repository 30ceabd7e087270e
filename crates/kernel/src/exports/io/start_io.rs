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
    export!(Ntoskrnl, IoStartNextPacket(device: Va, cancelable: bool; ..), DISPATCH..=DISPATCH),
    export!(Ntoskrnl, IoStartNextPacketByKey(device: Va, cancelable: bool, key: u32; ..), DISPATCH),
    export!(Ntoskrnl, IoStartPacket(device: Va, request: Va, key: Va, cancel: Va; ..), DISPATCH),
];

/// How a device wants its StartIo routine to be called, and where it is.
#[derive(Clone, Copy, Default, Hash, Debug)]
pub(super) struct Attributes {
    /// Not while it runs.
    deferred: bool,
    /// Its requests cannot be cancelled.
    non_cancelable: bool,
    running: bool,
    /// Another request was asked for while it ran: the next one, or the next one of this key.
    wanted: Option<Option<u32>>,
}

/// StartIo returned: back to the IRQL before it, unless another request is to be started first.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Started {
    device: Va,
    irql: Irql,
    caller: Va,
}

impl Started {
    pub(super) fn run(self, m: &mut Machine) -> Outcome {
        let wanted = m.io.start_io.get_mut(&self.device).and_then(|attributes| {
            attributes.running = false;
            attributes.wanted.take()
        });
        match wanted {
            Some(key) => start_next(m, self, key),
            None => {
                m.set_irql(self.irql, self.caller);
                Ok(Next::VOID)
            }
        }
    }

    /// Calls StartIo for a request that is the device's current one.
    fn call(self, m: &mut Machine, request: Va) -> Outcome {
        let driver = m.read_va(device_object::DRIVER_OBJECT.at(self.device))?;
        let routine = m.read_va(driver_object::DRIVER_START_IO.at(driver))?;
        if let Some(attributes) = m.io.start_io.get_mut(&self.device) {
            attributes.running = true;
            if attributes.non_cancelable {
                m.write_u64(irp::CANCEL_ROUTINE.at(request), 0)?;
            }
        }
        Ok(Next::call(routine, &[self.device.0, request.0], Then::Io(io::Then::Started(self))))
    }
}

/// Calls StartIo at `DISPATCH_LEVEL`, or queues the request while another one is in progress.
fn IoStartPacket(m: &mut Machine, call: &Call, device: Va, request: Va, key: Va, cancel: Va) -> Outcome {
    let queue = device_object::DEVICE_QUEUE.at(device);
    let entry = irp::TAIL_OVERLAY_DEVICE_QUEUE_ENTRY.at(request);
    let key = if key.is_null() { None } else { Some(m.read_u32(key)?) };
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
    let started = Started { device, irql: m.irql(), caller: call.return_address };
    m.set_irql(Irql::DISPATCH.max(started.irql), started.caller);
    started.call(m, request)
}

fn IoStartNextPacket(m: &mut Machine, call: &Call, device: Va, _cancelable: bool) -> Outcome {
    next(m, call, device, None)
}

fn IoStartNextPacketByKey(m: &mut Machine, call: &Call, device: Va, _cancelable: bool, key: u32) -> Outcome {
    next(m, call, device, Some(key))
}

/// With `DeferredStartIo` a call from within StartIo waits until that returns.
fn next(m: &mut Machine, call: &Call, device: Va, key: Option<u32>) -> Outcome {
    if let Some(attributes) = m.io.start_io.get_mut(&device)
        && attributes.deferred
        && attributes.running
    {
        attributes.wanted = Some(key);
        return Ok(Next::VOID);
    }
    let started = Started { device, irql: m.irql(), caller: call.return_address };
    start_next(m, started, key)
}

fn start_next(m: &mut Machine, started: Started, key: Option<u32>) -> Outcome {
    let (device, current) = (started.device, device_object::CURRENT_IRP.at(started.device));
    m.write_u64(current, 0)?;
    let entry = m.remove_device_queue(device_object::DEVICE_QUEUE.at(device), key)?;
    if entry.is_null() {
        m.set_irql(started.irql, started.caller);
        return Ok(Next::VOID);
    }
    let offset = irp::TAIL_OVERLAY_DEVICE_QUEUE_ENTRY.then(kdevice_queue_entry::DEVICE_LIST_ENTRY);
    let request = offset.base_of(entry);
    m.write_u64(current, request.0)?;
    started.call(m, request)
}

fn IoSetStartIoAttributes(m: &mut Machine, device: Va, deferred: bool, non_cancelable: bool) -> Outcome {
    let attributes = m.io.start_io.entry(device).or_default();
    (attributes.deferred, attributes.non_cancelable) = (deferred, non_cancelable);
    Ok(Next::VOID)
}
