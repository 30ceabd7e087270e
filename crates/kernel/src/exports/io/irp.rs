//! I/O request packets: making them, sending them down, cancelling them (ddi: IofCallDriver, IoCancelIrp).

use nt_types::layout::{device_object, driver_object, io_stack_location, irp};
use nt_types::{BugCheck, BugCheckCode, Irql, NtStatus, Va, constants as c};

use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::{Export, io};
use crate::machine::Machine;
use crate::request::RequestId;
use crate::stop::{Cause, RequestMisuse, StopKind};
use crate::wait::WaitOn;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoAcquireCancelSpinLock(old: Va; ..), DISPATCH),
    export!(Ntoskrnl, IoAllocateIrp(stack_size: u8, quota: bool), DISPATCH),
    export!(Ntoskrnl, IoCancelIrp(request: Va; ..), DISPATCH),
    export!(Ntoskrnl, IoFreeIrp(request: Va), DISPATCH),
    export!(Ntoskrnl, IoInitializeIrp(request: Va, size: u16, stack_size: u8), DISPATCH),
    export!(Ntoskrnl, IoReleaseCancelSpinLock(old: Irql; ..), DISPATCH..=DISPATCH),
    export!(Ntoskrnl, IofCallDriver(device: Va, request: Va; ..), DISPATCH),
    export!(Ntoskrnl, PoCallDriver = IofCallDriver(device: Va, request: Va; ..), DISPATCH),
    export!(Ntoskrnl, PoStartNextPowerIrp(request: Va), DISPATCH),
];

/// `SL_PENDING_RETURNED` in `IO_STACK_LOCATION.Control`.
pub(super) const SL_PENDING_RETURNED: u8 = 1;

/// Who gets a request back when it is complete.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// The harness.
    Harness(RequestId),
    /// A driver made it with `IoBuild...Request`: the I/O manager signals its event and frees it.
    Built,
    /// A driver asked for it with `PoRequestPowerIrp`: its routine is called, then the power manager frees it.
    Power,
    /// A driver made it with `IoAllocateIrp` and frees it itself.
    Driver,
}

/// A request that exists.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct Live {
    pub(crate) owner: Owner,
    /// It has been sent and is not complete.
    pub(crate) sent: bool,
}

fn IoAllocateIrp(m: &mut Machine, stack_size: u8, _quota: bool) -> Outcome {
    Ok(Next::pointer(m.new_irp(stack_size, Owner::Driver)?.unwrap_or(Va::NULL)))
}

fn IoInitializeIrp(m: &mut Machine, request: Va, size: u16, stack_size: u8) -> Outcome {
    m.initialize_irp(request, size, stack_size)?;
    Ok(Next::VOID)
}

fn IoFreeIrp(m: &mut Machine, request: Va) -> Outcome {
    m.forget_irp(request);
    Ok(Next::VOID)
}

fn IofCallDriver(m: &mut Machine, call: &Call, device: Va, request: Va) -> Outcome {
    m.send_request(call.return_address, device, request)
}

fn PoStartNextPowerIrp(_m: &mut Machine, _request: Va) -> Outcome {
    Ok(Next::VOID)
}

fn IoAcquireCancelSpinLock(m: &mut Machine, call: &Call, old: Va) -> Outcome {
    let irql = m.irql();
    m.write_u8(old, irql.level())?;
    m.raise_for_spin_lock(call.return_address);
    Ok(Next::VOID)
}

fn IoReleaseCancelSpinLock(m: &mut Machine, call: &Call, old: Irql) -> Outcome {
    m.set_irql(old, call.return_address);
    Ok(Next::VOID)
}

fn IoCancelIrp(m: &mut Machine, call: &Call, request: Va) -> Outcome {
    m.cancel_request(request, call.return_address)
}

impl Machine {
    /// A request goes.
    pub(crate) fn forget_irp(&mut self, request: Va) {
        self.io.requests.remove(&request);
        self.pool_free(request);
    }

    /// A fresh request with this many stack locations.
    pub(crate) fn new_irp(&mut self, stack_size: u8, owner: Owner) -> Result<Option<Va>, Trap> {
        let size = irp::SIZEOF + u64::from(stack_size) * io_stack_location::SIZEOF;
        let Some(request) = self.kernel_object(size, *b"Irp ") else { return Ok(None) };
        self.initialize_irp(request, size as u16, stack_size)?;
        self.io.requests.insert(request, Live { owner, sent: false });
        Ok(Some(request))
    }

    pub(super) fn initialize_irp(&mut self, request: Va, size: u16, stack_size: u8) -> Result<(), Trap> {
        self.fill_bytes(request, 0, u64::from(size))?;
        let list = irp::THREAD_LIST_ENTRY.at(request);
        let past_last = request.0 + irp::SIZEOF + u64::from(stack_size) * io_stack_location::SIZEOF;
        self.write_u16(irp::TYPE.at(request), c::IO_TYPE_IRP as u16)?;
        self.write_u16(irp::SIZE.at(request), size)?;
        self.write_u8(irp::STACK_COUNT.at(request), stack_size)?;
        self.write_u8(irp::CURRENT_LOCATION.at(request), stack_size.wrapping_add(1))?;
        self.write_u64(list, list.0)?;
        self.write_u64(list + 8, list.0)?;
        self.write_u64(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(request), past_last)
    }

    /// The stack location that the next driver will get.
    pub(crate) fn next_stack_location(&mut self, request: Va) -> Result<Va, Trap> {
        let current = self.read_u64(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(request))?;
        Ok(Va(current.wrapping_sub(io_stack_location::SIZEOF)))
    }

    /// The current stack location.
    pub(crate) fn stack_location(&mut self, request: Va) -> Result<Va, Trap> {
        self.read_va(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(request))
    }

    /// Hands a request to the driver of `device`, with the next stack location.
    pub(crate) fn send_request(&mut self, caller: Va, device: Va, request: Va) -> Outcome {
        let location = self.read_u8(irp::CURRENT_LOCATION.at(request))?.wrapping_sub(1);
        if location == 0 || location > 127 {
            return Err(self.no_more_stack_locations(caller, request));
        }
        let stack = self.next_stack_location(request)?;
        let (major, minor) = (self.read_u8(stack)?, self.read_u8(io_stack_location::MINOR_FUNCTION.at(stack))?);
        let driver = self.read_va(device_object::DRIVER_OBJECT.at(device))?;
        let routine = self.read_va(driver_object::MAJOR_FUNCTION.element(u32::from(major) % 28, 8).at(driver))?;
        self.write_u8(irp::CURRENT_LOCATION.at(request), location)?;
        self.write_u64(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(request), stack.0)?;
        self.write_u64(io_stack_location::DEVICE_OBJECT.at(stack), device.0)?;
        self.record_at(caller, EventKind::IrpSent { irp: request, major, minor, device });
        if (u32::from(major), u32::from(minor)) == (c::IRP_MJ_PNP, c::IRP_MN_DEVICE_USAGE_NOTIFICATION) {
            self.note_usage(request, stack, device)?;
        }
        let live = Live { owner: Owner::Driver, sent: true };
        let live = self.io.requests.entry(request).or_insert(live);
        live.sent = true;
        Ok(Next::call(routine, &[device.0, request.0], Then::Return))
    }

    /// 0x35 NO_MORE_IRP_STACK_LOCATIONS: P1 is the request (docs: debugger/bug-check-0x35).
    fn no_more_stack_locations(&mut self, caller: Va, request: Va) -> Trap {
        let check = BugCheck { code: BugCheckCode::NO_MORE_IRP_STACK_LOCATIONS, parameters: [request.0, 0, 0, 0] };
        let cause = Cause::Request(RequestMisuse::NoStackLocation { irp: request });
        self.stop_at(caller, StopKind::BugCheck(check, cause)).into()
    }

    /// Sets `Cancel` and calls the cancel routine with the cancel spin lock held; the routine releases it.
    pub(crate) fn cancel_request(&mut self, request: Va, caller: Va) -> Outcome {
        let routine = self.read_va(irp::CANCEL_ROUTINE.at(request))?;
        self.write_u8(irp::CANCEL.at(request), 1)?;
        self.record_at(caller, EventKind::IrpCancelled { irp: request });
        if routine.is_null() {
            return Ok(Next::Return(0));
        }
        let stack = self.stack_location(request)?;
        let device = self.read_va(io_stack_location::DEVICE_OBJECT.at(stack))?;
        let old = self.irql();
        self.write_u64(irp::CANCEL_ROUTINE.at(request), 0)?;
        self.write_u8(irp::CANCEL_IRQL.at(request), old.level())?;
        self.set_irql(Irql::DISPATCH.max(old), caller);
        Ok(Next::call(routine, &[device.0, request.0], Then::Io(io::Then::Cancelled)))
    }

    /// Major functions of the requests that the driver at this base marked pending and has not completed (K08). The one that
    /// is in a dispatch routine now counts only if it has been marked already, which puts it in a queue.
    pub(crate) fn pending_requests_of(&mut self, base: Va) -> Vec<u8> {
        let waiting: Vec<Va> = self.io.requests.iter().filter(|(_, live)| live.sent).map(|(irp, _)| *irp).collect();
        waiting.into_iter().filter_map(|request| self.pended_by(request, base).unwrap_or(None)).collect()
    }

    /// The major function of a request that the driver at this base marked pending.
    fn pended_by(&mut self, request: Va, base: Va) -> Result<Option<u8>, Trap> {
        let stack = self.stack_location(request)?;
        let control = self.read_u8(io_stack_location::CONTROL.at(stack))?;
        let device = self.read_va(io_stack_location::DEVICE_OBJECT.at(stack))?;
        let driver = self.read_va(device_object::DRIVER_OBJECT.at(device))?;
        let start = self.read_va(driver_object::DRIVER_START.at(driver))?;
        let major = self.read_u8(stack)?;
        Ok((control & SL_PENDING_RETURNED != 0 && start == base).then_some(major))
    }

    /// The request is complete: its owner gets it back.
    pub(crate) fn request_is_complete(&mut self, request: Va, status: NtStatus, information: u64) {
        self.record(EventKind::IrpCompleted { irp: request, status, information });
        if let Some(live) = self.io.requests.get_mut(&request) {
            live.sent = false;
        }
        self.wake_all_on(&WaitOn::Irp(request));
    }

    /// True while the request has been sent and is not complete.
    pub(crate) fn is_outstanding(&self, request: Va) -> bool {
        self.io.requests.get(&request).is_some_and(|live| live.sent)
    }
}
