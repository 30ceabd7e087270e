//! Requests that the I/O manager itself makes.

use nt_types::Va;
use nt_types::constants as c;
use nt_types::layout::{access_state, device_object, io_security_context as security, io_stack_location, irp};

use super::irp::Owner;
use crate::call::Trap;
use crate::machine::Machine;
use crate::wait::WaitOn;

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

/// What a request to open a file tells beside the name.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    /// ACCESS_MASK.
    pub(super) access: u32,
    /// FILE_SHARE_*.
    pub(super) share: u16,
    /// FILE_OPEN and the like.
    pub(super) disposition: u32,
    /// FILE_SYNCHRONOUS_IO_NONALERT and the like.
    pub(super) options: u32,
}

impl Draft {
    /// Makes a request to create of it. The security context goes with the request, as its auxiliary buffer.
    pub(super) fn create(&self, m: &mut Machine, opening: Opening) -> Result<(), Trap> {
        let block = m.kernel_object(security::SIZEOF + access_state::SIZEOF, *b"IoSe");
        let Some(context) = block else { return Err(m.no_pool()) };
        let state = context + security::SIZEOF;
        m.write_u64(security::ACCESS_STATE.at(context), state.0)?;
        m.write_u32(security::DESIRED_ACCESS.at(context), opening.access)?;
        m.write_u32(security::FULL_CREATE_OPTIONS.at(context), opening.options)?;
        m.write_u32(access_state::REMAINING_DESIRED_ACCESS.at(state), opening.access)?;
        m.write_u32(access_state::ORIGINAL_DESIRED_ACCESS.at(state), opening.access)?;
        let options = opening.disposition << 24 | opening.options & 0x00FF_FFFF;
        m.write_u64(io_stack_location::PARAMETERS_CREATE_SECURITY_CONTEXT.at(self.stack), context.0)?;
        m.write_u32(io_stack_location::PARAMETERS_CREATE_OPTIONS.at(self.stack), options)?;
        m.write_u16(io_stack_location::PARAMETERS_CREATE_SHARE_ACCESS.at(self.stack), opening.share)?;
        m.write_u64(irp::TAIL_OVERLAY_AUXILIARY_BUFFER.at(self.request), context.0)?;
        let flags = c::IRP_CREATE_OPERATION | c::IRP_SYNCHRONOUS_API;
        m.write_u32(irp::FLAGS.at(self.request), flags)
    }
}

impl Machine {
    /// A drafted request is done with: it goes, and its security context.
    pub(super) fn discard_draft(&mut self, request: Va) -> Result<(), Trap> {
        let context = self.read_va(irp::TAIL_OVERLAY_AUXILIARY_BUFFER.at(request))?;
        self.pool_free(context);
        self.forget_irp(request);
        // Who closes the file of the request waits until nobody refers to it.
        self.wake_all_on(&WaitOn::Irp(request));
        Ok(())
    }
}
