//! Looking at the stack (ddi: RtlCaptureContext, RtlCaptureStackBackTrace, RtlWalkFrameChain; C runtime: __chkstk).

use engine::Gpr;
use nt_types::{PAGE_SIZE, Va};

use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlCaptureContext(context: Va), DISPATCH),
    export!(Ntoskrnl, RtlCaptureStackBackTrace(skip: u32, count: u32, places: Va, hash: Va; ..), HIGH),
    export!(Ntoskrnl, RtlPcToFileHeader(control: Va, base: Va), HIGH),
    export!(Ntoskrnl, RtlWalkFrameChain(places: Va, count: u32, flags: u32; ..), HIGH),
    export!(Ntoskrnl, __chkstk(; ..), HIGH),
];

/// The context of the caller, as it will be after the call.
fn RtlCaptureContext(m: &mut Machine, context: Va) -> Outcome {
    let caller = m.caller()?;
    m.write_bytes(context, &caller.registers.to_context())?;
    Ok(Next::VOID)
}

fn RtlCaptureStackBackTrace(m: &mut Machine, call: &Call, skip: u32, count: u32, places: Va, hash: Va) -> Outcome {
    let found = capture(m, call, skip, count, places)?;
    if !hash.is_null() {
        let sum = found.iter().fold(0_u32, |sum, place| sum.wrapping_add(place.0 as u32));
        m.write_u32(hash, sum)?;
    }
    Ok(Next::Return(found.len() as u64))
}

fn RtlWalkFrameChain(m: &mut Machine, call: &Call, places: Va, count: u32, _flags: u32) -> Outcome {
    Ok(Next::Return(capture(m, call, 0, count, places)?.len() as u64))
}

/// Writes return addresses to an array, from that of the call in progress on.
fn capture(m: &mut Machine, call: &Call, skip: u32, count: u32, places: Va) -> Result<Vec<Va>, Trap> {
    let stack = m.stack_trace(call.return_address);
    let found: Vec<Va> = stack.into_iter().skip(skip as usize).take(count as usize).collect();
    let bytes: Vec<u8> = found.iter().flat_map(|place| place.0.to_le_bytes()).collect();
    m.write_bytes(places, &bytes)?;
    Ok(found)
}

fn RtlPcToFileHeader(m: &mut Machine, control: Va, base: Va) -> Outcome {
    let driver = m.modules.driver_at(control).map(|driver| driver.base);
    let found = driver.or_else(|| m.kernel_images.image_at(control).map(|image| image.base)).unwrap_or(Va::NULL);
    m.write_u64(base, found.0)?;
    Ok(Next::pointer(found))
}

/// Touches each page of the RAX bytes of stack that its caller is about to take. Changes no register.
fn __chkstk(m: &mut Machine, call: &Call) -> Outcome {
    let size = m.cpu().get(Gpr::Rax);
    let lowest = call.rsp.wrapping_add(8).saturating_sub(size);
    let mut page = Va(call.rsp).page_down();
    // Below a stack there is always a page that faults.
    while page.0 > lowest {
        page = Va(page.0 - PAGE_SIZE);
        m.read_u8(page)?;
    }
    Ok(Next::Return(size))
}
