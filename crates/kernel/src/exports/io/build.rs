//! Requests that drivers let the I/O manager build (ddi: IoBuildDeviceIoControlRequest, IoBuildSynchronousFsdRequest,
//! IoBuildAsynchronousFsdRequest).

use nt_types::layout::{device_object, io_stack_location as sl, irp};
use nt_types::{ControlCode, NtStatus, PAGE_SIZE, TransferMethod, Va, constants as c};

use super::irp::Owner;
use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::exports::mm::pool::{Block, PoolKind};
use crate::machine::Machine;
use crate::wait::WaitOn;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoBuildAsynchronousFsdRequest(major: u32, device: Va, buffer: Va, length: u32, offset: Va, status: Va; ..), APC),
    export!(Ntoskrnl, IoBuildDeviceIoControlRequest(code: u32, device: Va, input: Va, input_length: u32, output: Va, output_length: u32, internal: bool, event: Va, status: Va; ..), APC),
    export!(Ntoskrnl, IoBuildSynchronousFsdRequest(major: u32, device: Va, buffer: Va, length: u32, offset: Va, event: Va, status: Va; ..), APC),
    export!(Ntoskrnl, IoReuseIrp(request: Va, status: NtStatus), DISPATCH),
    export!(Ntoskrnl, IopFinishRequest(request: Va), PASSIVE),
];

/// Where the result of a built request goes.
#[derive(Clone, Copy)]
pub(super) struct Back {
    pub(super) event: Va,
    pub(super) status: Va,
    pub(super) owner: Owner,
}

/// A control request and its buffers.
#[derive(Clone, Copy)]
pub(super) struct Control {
    pub(super) major: u32,
    pub(super) code: u32,
    pub(super) input: Va,
    pub(super) input_length: u32,
    pub(super) output: Va,
    pub(super) output_length: u32,
}

/// A read, a write, or a request without a buffer.
#[derive(Clone, Copy)]
pub(super) struct Transfer {
    pub(super) major: u32,
    pub(super) device: Va,
    pub(super) buffer: Va,
    pub(super) length: u32,
    pub(super) offset: u64,
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoBuildDeviceIoControlRequest(
    m: &mut Machine,
    call: &Call,
    code: u32,
    device: Va,
    input: Va,
    input_length: u32,
    output: Va,
    output_length: u32,
    internal: bool,
    event: Va,
    status: Va,
) -> Outcome {
    let major = if internal { c::IRP_MJ_INTERNAL_DEVICE_CONTROL } else { c::IRP_MJ_DEVICE_CONTROL };
    let control = Control { major, code, input, input_length, output, output_length };
    let back = Back { event, status, owner: Owner::Built };
    Ok(Next::pointer(m.build_control(&control, device, &back, call.return_address)?))
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoBuildSynchronousFsdRequest(
    m: &mut Machine,
    call: &Call,
    major: u32,
    device: Va,
    buffer: Va,
    length: u32,
    offset: Va,
    event: Va,
    status: Va,
) -> Outcome {
    transfer(m, call, major, device, (buffer, length), offset, &Back { event, status, owner: Owner::Built })
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoBuildAsynchronousFsdRequest(
    m: &mut Machine,
    call: &Call,
    major: u32,
    device: Va,
    buffer: Va,
    length: u32,
    offset: Va,
    status: Va,
) -> Outcome {
    let back = Back { event: Va::NULL, status, owner: Owner::Driver };
    transfer(m, call, major, device, (buffer, length), offset, &back)
}

fn transfer(
    m: &mut Machine,
    call: &Call,
    major: u32,
    device: Va,
    (buffer, length): (Va, u32),
    offset: Va,
    back: &Back,
) -> Outcome {
    let moves = matches!(major, c::IRP_MJ_READ | c::IRP_MJ_WRITE);
    let offset = if offset.is_null() || !moves { 0 } else { m.read_u64(offset)? };
    let transfer = Transfer { major, device, buffer, length, offset };
    Ok(Next::pointer(m.build_transfer(&transfer, back, call.return_address)?))
}

/// Only for requests of IoAllocateIrp.
fn IoReuseIrp(m: &mut Machine, request: Va, status: NtStatus) -> Outcome {
    let size = m.read_u16(irp::SIZE.at(request))?;
    let stack_size = m.read_u8(irp::STACK_COUNT.at(request))?;
    let flags = m.read_u8(irp::ALLOCATION_FLAGS.at(request))?;
    m.initialize_irp(request, size, stack_size)?;
    m.write_u8(irp::ALLOCATION_FLAGS.at(request), flags)?;
    m.write_u32(irp::IO_STATUS_STATUS.at(request), status.0)?;
    Ok(Next::VOID)
}

/// What the system does for a built request that is complete, in a thread that can wait for memory.
fn IopFinishRequest(m: &mut Machine, request: Va) -> Outcome {
    m.hand_back(request)?;
    m.wake_all_on(&WaitOn::Irp(request));
    Ok(Next::VOID)
}

impl Machine {
    /// A control request, its buffers as the transfer method wants them.
    pub(super) fn build_control(&mut self, control: &Control, device: Va, back: &Back, site: Va) -> Result<Va, Trap> {
        let Control { major, code, input, input_length, output, output_length } = *control;
        let method = ControlCode(code).method();
        let data = match method {
            TransferMethod::Neither => Vec::new(),
            _ if input.is_null() => Vec::new(),
            _ => self.read_bytes(input, input_length.into())?,
        };
        let mdl = match method {
            TransferMethod::InDirect | TransferMethod::OutDirect if !output.is_null() && output_length > 0 => {
                let reads = method == TransferMethod::InDirect;
                let operation = if reads { c::IO_READ_ACCESS } else { c::IO_WRITE_ACCESS };
                self.locked_mdl(output, output_length, operation, site)?
            }
            _ => Va::NULL,
        };
        let (request, stack) = self.built_request(device, major, back)?;
        self.write_u32(sl::PARAMETERS_DEVICE_IO_CONTROL_OUTPUT_BUFFER_LENGTH.at(stack), output_length)?;
        self.write_u32(sl::PARAMETERS_DEVICE_IO_CONTROL_INPUT_BUFFER_LENGTH.at(stack), input_length)?;
        self.write_u32(sl::PARAMETERS_DEVICE_IO_CONTROL_IO_CONTROL_CODE.at(stack), code)?;
        self.write_u64(irp::USER_BUFFER.at(request), output.0)?;
        self.write_u64(irp::MDL_ADDRESS.at(request), mdl.0)?;
        match method {
            TransferMethod::Neither => {
                self.write_u64(sl::PARAMETERS_DEVICE_IO_CONTROL_TYPE3_INPUT_BUFFER.at(stack), input.0)?;
            }
            TransferMethod::Buffered if !output.is_null() => {
                let size = input_length.max(output_length);
                self.give_system_buffer(request, &data, size, c::IRP_INPUT_OPERATION)?;
            }
            _ => self.give_system_buffer(request, &data, data.len() as u32, 0)?,
        }
        Ok(request)
    }

    /// A read or write gets its buffer as the device wants it; other requests have none.
    pub(super) fn build_transfer(&mut self, transfer: &Transfer, back: &Back, site: Va) -> Result<Va, Trap> {
        let Transfer { major, device, buffer, length, offset } = *transfer;
        let reads = major == c::IRP_MJ_READ;
        if !reads && major != c::IRP_MJ_WRITE {
            return self.built_request(device, major, back).map(|(request, _)| request);
        }
        let flags = self.read_u32(device_object::FLAGS.at(device))?;
        let buffered = flags & c::DO_BUFFERED_IO != 0;
        let data = if buffered && !reads { self.read_bytes(buffer, length.into())? } else { Vec::new() };
        let direct = !buffered && flags & c::DO_DIRECT_IO != 0 && length > 0;
        let operation = if reads { c::IO_WRITE_ACCESS } else { c::IO_READ_ACCESS };
        let mdl = if direct { self.locked_mdl(buffer, length, operation, site)? } else { Va::NULL };
        let (request, stack) = self.built_request(device, major, back)?;
        self.write_u32(sl::PARAMETERS_READ_LENGTH.at(stack), length)?;
        self.write_u64(sl::PARAMETERS_READ_BYTE_OFFSET.at(stack), offset)?;
        self.write_u64(irp::MDL_ADDRESS.at(request), mdl.0)?;
        self.write_u64(irp::USER_BUFFER.at(request), buffer.0)?;
        if buffered {
            self.give_system_buffer(request, &data, length, if reads { c::IRP_INPUT_OPERATION } else { 0 })?;
        }
        Ok(request)
    }

    /// A request of the current thread for the driver of `device`, and its next stack location.
    pub(super) fn built_request(&mut self, device: Va, major: u32, back: &Back) -> Result<(Va, Va), Trap> {
        let stack_size = self.read_u8(device_object::STACK_SIZE.at(device))?;
        let Some(request) = self.new_irp(stack_size, back.owner)? else { return Err(self.no_pool()) };
        let stack = self.next_stack_location(request)?;
        let thread = self.thread().object;
        self.write_u8(stack, major as u8)?;
        self.write_u64(irp::USER_EVENT.at(request), back.event.0)?;
        self.write_u64(irp::USER_IOSB.at(request), back.status.0)?;
        self.write_u64(irp::TAIL_OVERLAY_THREAD.at(request), thread.0)?;
        Ok((request, stack))
    }

    /// A system buffer of `size` bytes that begins with `data`; it goes with the request.
    pub(super) fn give_system_buffer(&mut self, request: Va, data: &[u8], size: u32, reads: u32) -> Result<(), Trap> {
        if size == 0 {
            return Ok(());
        }
        let Some(buffer) = self.kernel_object(size.into(), *b"IoSB") else { return Err(self.no_pool()) };
        self.write_bytes(buffer, data)?;
        self.write_u64(irp::ASSOCIATED_IRP_SYSTEM_BUFFER.at(request), buffer.0)?;
        let flags = c::IRP_BUFFERED_IO | c::IRP_DEALLOCATE_BUFFER | reads;
        self.write_u32(irp::FLAGS.at(request), flags)
    }

    /// An MDL of the buffer, its pages locked.
    fn locked_mdl(&mut self, buffer: Va, length: u32, operation: u32, site: Va) -> Result<Va, Trap> {
        // Once the pages are in, nothing below can fail and start over.
        for page in 0..(buffer.page_offset() as u64 + u64::from(length)).div_ceil(PAGE_SIZE) {
            let first = (buffer.page_down() + page * PAGE_SIZE).max(buffer);
            match operation {
                c::IO_READ_ACCESS => self.read_u8(first).map(|_| ())?,
                _ => self.probe_write(first, 1)?,
            }
        }
        let Some(list) = self.new_mdl(buffer, length.into(), site)? else { return Err(self.no_pool()) };
        self.lock_mdl(list, operation, site)?;
        Ok(list)
    }

    /// Copies the output of a built request to its caller, fills in the status block, sets the event, frees the request.
    pub(super) fn hand_back(&mut self, request: Va) -> Result<(), Trap> {
        let flags = self.read_u32(irp::FLAGS.at(request))?;
        let status = NtStatus(self.read_u32(irp::IO_STATUS_STATUS.at(request))?);
        let information = self.read_u64(irp::IO_STATUS_INFORMATION.at(request))?;
        let buffer = self.read_va(irp::ASSOCIATED_IRP_SYSTEM_BUFFER.at(request))?;
        let block = self.read_va(irp::USER_IOSB.at(request))?;
        let event = self.read_va(irp::USER_EVENT.at(request))?;
        if flags & c::IRP_INPUT_OPERATION != 0 && !is_error(status) {
            let held = self.mm.pool.block(buffer).map_or(0, |block| block.bytes);
            let bytes = self.read_bytes(buffer, information.min(held))?;
            let user = self.read_va(irp::USER_BUFFER.at(request))?;
            self.write_bytes(user, &bytes)?;
        }
        if !block.is_null() {
            self.write_u32(block, status.0)?;
            self.write_u64(block + 8, information)?;
        }
        if !event.is_null() {
            self.set_signal_state(event, 1)?;
            self.signal(event)?;
        }
        self.free_built(request, if flags & c::IRP_DEALLOCATE_BUFFER != 0 { buffer } else { Va::NULL })
    }

    fn free_built(&mut self, request: Va, buffer: Va) -> Result<(), Trap> {
        let list = self.read_va(irp::MDL_ADDRESS.at(request))?;
        if !list.is_null() && self.mdl_flags(list)? & c::MDL_PAGES_LOCKED != 0 {
            let here = self.here();
            self.unlock_mdl(list, here)?;
        }
        for block in [buffer, list, request] {
            self.pool_free(block);
        }
        self.io.requests.remove(&request);
        Ok(())
    }

    /// A block of paged pool with these bytes, which the driver frees.
    pub(super) fn give_paged(&mut self, bytes: &[u8], site: Va) -> Result<Option<Va>, Trap> {
        let block = Block { bytes: bytes.len() as u64, kind: PoolKind::Paged, tag: *b"Io  ", site };
        let Some(address) = self.pool_allocate_resident(block)? else { return Ok(None) };
        self.write_bytes(address, bytes)?;
        Ok(Some(address))
    }
}

/// `NT_ERROR`.
fn is_error(status: NtStatus) -> bool {
    status.0 >= 0xC000_0000
}
