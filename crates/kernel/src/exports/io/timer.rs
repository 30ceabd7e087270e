//! The once-a-second timer of a device (ddi: IoInitializeTimer, IoStartTimer, IoStopTimer).

use nt_types::layout::{device_object, kdpc, ktimer};
use nt_types::{NtStatus, Va, constants as c};

use crate::call::{Next, Outcome, Then};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoInitializeTimer(device: Va, routine: Va, context: u64), PASSIVE),
    export!(Ntoskrnl, IoStartTimer(device: Va), DISPATCH),
    export!(Ntoskrnl, IoStopTimer(device: Va), DISPATCH),
    export!(Ntoskrnl, IopTimerDispatch(dpc: Va, timer: Va, argument1: u64, argument2: u64), DISPATCH),
];

/// IO_TIMER is opaque: a KTIMER, a KDPC, then the device, its routine and the context.
const DPC: u64 = ktimer::SIZEOF;
const DEVICE: u64 = DPC + kdpc::SIZEOF;
const ROUTINE: u64 = DEVICE + 8;
const CONTEXT: u64 = ROUTINE + 8;
const TIMER_BYTES: u64 = CONTEXT + 8;
const PERIOD_MS: i32 = 1000;
const PERIOD_100NS: i64 = 10_000_000;

fn IoInitializeTimer(m: &mut Machine, device: Va, routine: Va, context: u64) -> Outcome {
    let known = m.read_va(device_object::TIMER.at(device))?;
    let timer = match known {
        Va::NULL => match m.kernel_object(TIMER_BYTES, *b"IoTi") {
            Some(timer) => timer,
            None => return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES)),
        },
        known => known,
    };
    let dispatch = m.kernel_images.export("ntoskrnl.exe", "IopTimerDispatch").unwrap_or(Va::NULL);
    m.initialize_timer(timer, c::NOTIFICATION_TIMER)?;
    m.initialize_dpc(timer + DPC, dispatch, timer.0)?;
    m.write_u64(timer + DEVICE, device.0)?;
    m.write_u64(timer + ROUTINE, routine.0)?;
    m.write_u64(timer + CONTEXT, context)?;
    m.write_u64(device_object::TIMER.at(device), timer.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn IoStartTimer(m: &mut Machine, device: Va) -> Outcome {
    match m.read_va(device_object::TIMER.at(device))? {
        Va::NULL => Err(m.refuse("IoStartTimer", "a device without a timer")),
        timer => m.set_timer(timer, -PERIOD_100NS, PERIOD_MS, timer + DPC).map(|_| Next::VOID),
    }
}

fn IoStopTimer(m: &mut Machine, device: Va) -> Outcome {
    match m.read_va(device_object::TIMER.at(device))? {
        Va::NULL => Err(m.refuse("IoStopTimer", "a device without a timer")),
        timer => {
            m.cancel_timer(timer);
            Ok(Next::VOID)
        }
    }
}

/// The deferred routine behind every timer of a device.
fn IopTimerDispatch(m: &mut Machine, _dpc: Va, timer: Va, _argument1: u64, _argument2: u64) -> Outcome {
    let device = m.read_u64(timer + DEVICE)?;
    let (routine, context) = (m.read_va(timer + ROUTINE)?, m.read_u64(timer + CONTEXT)?);
    Ok(Next::call(routine, &[device, context], Then::Return))
}

impl Machine {
    /// A device goes: its timer goes with it.
    pub(super) fn delete_device_timer(&mut self, device: Va) -> Result<(), crate::call::Trap> {
        let timer = self.read_va(device_object::TIMER.at(device))?;
        if !timer.is_null() {
            self.cancel_timer(timer);
            self.pool_free(timer);
        }
        Ok(())
    }
}
