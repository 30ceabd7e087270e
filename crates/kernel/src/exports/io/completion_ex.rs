//! A completion routine that keeps its driver's device until it has returned (ddi: IoSetCompletionRoutineEx).

use nt_types::layout::io_stack_location as sl;
use nt_types::{NtStatus, Va, constants as c};

use crate::call::{Next, Outcome, Then};
use crate::export;
use crate::exports::{Export, io};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoSetCompletionRoutineEx(device: Va, request: Va, routine: Va, context: u64, on_success: bool, on_error: bool, on_cancel: bool), DISPATCH),
    export!(Ntoskrnl, IopUnloadSafeCompletion(device: Va, request: Va, block: Va), DISPATCH),
];

/// What the routine set in its place finds: the device that is kept, the routine and its context.
const KEPT: u64 = 0;
const ROUTINE: u64 = 8;
const CONTEXT: u64 = 16;
const BLOCK_BYTES: u64 = 24;

/// The routine returned: the device may go.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Completed(Va);

impl Completed {
    pub(super) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        m.release_device(self.0);
        Ok(Next::Return(value))
    }
}

/// Where the request ends without the routine being called, the device stays, as documented: all three flags are to be set.
#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoSetCompletionRoutineEx(
    m: &mut Machine,
    device: Va,
    request: Va,
    routine: Va,
    context: u64,
    on_success: bool,
    on_error: bool,
    on_cancel: bool,
) -> Outcome {
    let next = m.next_stack_location(request)?;
    m.probe_write(next, sl::SIZEOF)?;
    let Some(block) = m.kernel_object(BLOCK_BYTES, *b"IoUs") else {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    };
    m.write_u64(block + KEPT, device.0)?;
    m.write_u64(block + ROUTINE, routine.0)?;
    m.write_u64(block + CONTEXT, context)?;
    let flags =
        [(on_success, c::SL_INVOKE_ON_SUCCESS), (on_error, c::SL_INVOKE_ON_ERROR), (on_cancel, c::SL_INVOKE_ON_CANCEL)];
    let control: u32 = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum();
    let own = m.kernel_images.export("ntoskrnl.exe", "IopUnloadSafeCompletion").unwrap_or(Va::NULL);
    m.write_u64(sl::COMPLETION_ROUTINE.at(next), own.0)?;
    m.write_u64(sl::CONTEXT.at(next), block.0)?;
    m.write_u8(sl::CONTROL.at(next), control as u8)?;
    m.hold_device(device);
    Ok(Next::status(NtStatus::SUCCESS))
}

/// Calls the routine that was meant.
fn IopUnloadSafeCompletion(m: &mut Machine, device: Va, request: Va, block: Va) -> Outcome {
    let (kept, routine) = (m.read_va(block + KEPT)?, m.read_va(block + ROUTINE)?);
    let context = m.read_u64(block + CONTEXT)?;
    m.check_completion_routine(routine, request)?;
    m.pool_free(block);
    Ok(Next::call(routine, &[device.0, request.0, context], Then::Io(io::Then::UnloadSafe(Completed(kept)))))
}
