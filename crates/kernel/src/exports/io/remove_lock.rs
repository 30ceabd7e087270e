//! Remove locks (ddi: IoInitializeRemoveLock, IoAcquireRemoveLock, IoReleaseRemoveLockAndWait). `IoCount` is 1 while the
//! lock is in use, plus 1 for each acquisition; the event is set when it falls to 0.

use nt_types::Va;
use nt_types::layout::{dispatcher_header, io_remove_lock_common_block as lock_block};
use nt_types::{NtStatus, constants as c};

use crate::call::{Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::wait::{Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoAcquireRemoveLockEx(lock: Va, tag: Va, file: Va, line: u32, size: u32), DISPATCH),
    export!(Ntoskrnl, IoInitializeRemoveLockEx(lock: Va, tag: u32, minutes: u32, high_watermark: u32, size: u32), PASSIVE),
    export!(Ntoskrnl, IoReleaseRemoveLockAndWaitEx(lock: Va, tag: Va, size: u32), PASSIVE),
    export!(Ntoskrnl, IoReleaseRemoveLockEx(lock: Va, tag: Va, size: u32), DISPATCH),
];

fn IoInitializeRemoveLockEx(
    m: &mut Machine,
    lock: Va,
    _tag: u32,
    _minutes: u32,
    _high_watermark: u32,
    _size: u32,
) -> Outcome {
    m.fill_bytes(lock, 0, lock_block::SIZEOF)?;
    m.write_u32(lock_block::IO_COUNT.at(lock), 1)?;
    let event = lock_block::REMOVE_EVENT.at(lock);
    m.initialize_header(event, c::SYNCHRONIZATION_EVENT as u8, dispatcher_header::SIZEOF, 0)?;
    Ok(Next::VOID)
}

fn IoAcquireRemoveLockEx(m: &mut Machine, lock: Va, _tag: Va, _file: Va, _line: u32, _size: u32) -> Outcome {
    let count = m.read_u32(lock_block::IO_COUNT.at(lock))?;
    if m.read_u8(lock_block::REMOVED.at(lock))? != 0 {
        return Ok(Next::status(NtStatus::DELETE_PENDING));
    }
    m.write_u32(lock_block::IO_COUNT.at(lock), count.wrapping_add(1))?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn IoReleaseRemoveLockEx(m: &mut Machine, lock: Va, _tag: Va, _size: u32) -> Outcome {
    m.release_remove_lock(lock, 1)?;
    Ok(Next::VOID)
}

/// Gives back the caller's acquisition and the one of initialisation, then waits for all others.
fn IoReleaseRemoveLockAndWaitEx(m: &mut Machine, lock: Va, _tag: Va, _size: u32) -> Outcome {
    m.probe_write(lock, lock_block::SIZEOF)?;
    m.write_u8(lock_block::REMOVED.at(lock), 1)?;
    if m.release_remove_lock(lock, 2)? <= 0 {
        return Ok(Next::VOID);
    }
    let objects = vec![lock_block::REMOVE_EVENT.at(lock)];
    Ok(Next::Wait(Wait::on(WaitOn::Objects { objects, all: false }), Then::Value(0)))
}

impl Machine {
    /// Takes `times` off the count; what remains.
    fn release_remove_lock(&mut self, lock: Va, times: i32) -> Result<i32, Trap> {
        let count = self.read_u32(lock_block::IO_COUNT.at(lock))? as i32;
        let left = count.wrapping_sub(times);
        self.write_u32(lock_block::IO_COUNT.at(lock), left as u32)?;
        if left == 0 {
            let event = lock_block::REMOVE_EVENT.at(lock);
            self.set_signal_state(event, 1)?;
            self.signal(event)?;
        }
        Ok(left)
    }
}
