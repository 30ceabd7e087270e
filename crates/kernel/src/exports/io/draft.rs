//! Requests that the I/O manager itself makes.

use nt_types::Va;
use nt_types::layout::{device_object, io_stack_location, irp};

use super::irp::Owner;
use crate::call::Trap;
use crate::machine::Machine;

/// A request for the top of a device's stack, its first stack location filled in as far as all have it.
pub(super) struct Draft {
    pub(super) request: Va,
    pub(super) stack: Va,
    pub(super) device: Va,
}

pub(super) fn draft(m: &mut Machine, owner: Owner, device: Va, file: Va, major: u32, minor: u8) -> Result<Draft, Trap> {
    let device = m.top_of_stack(device)?;
    let stack_size = m.read_u8(device_object::STACK_SIZE.at(device))?;
    let Some(request) = m.new_irp(stack_size.max(1), owner)? else { return Err(m.no_pool()) };
    let stack = m.next_stack_location(request)?;
    m.write_u8(stack, major as u8)?;
    m.write_u8(io_stack_location::MINOR_FUNCTION.at(stack), minor)?;
    m.write_u64(io_stack_location::FILE_OBJECT.at(stack), file.0)?;
    let thread = m.thread().object;
    m.write_u64(irp::TAIL_OVERLAY_THREAD.at(request), thread.0)?;
    m.write_u64(irp::TAIL_OVERLAY_ORIGINAL_FILE_OBJECT.at(request), file.0)?;
    Ok(Draft { request, stack, device })
}
