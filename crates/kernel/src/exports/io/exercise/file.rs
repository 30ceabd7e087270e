//! Requests on a file: open, read, write, device control and close.

use nt_types::layout::{device_object, file_object, io_stack_location, irp};
use nt_types::{ControlCode, NtStatus, TransferMethod, Va, constants as c};

use super::{Kind, Sent, Step, plain, refuse, send, then};
use crate::call::{Next, Outcome, Trap};
use crate::exports::io::draft::{Opening, draft};
use crate::exports::io::irp::{Live, Owner};
use crate::machine::Machine;
use crate::request::RequestId;
use crate::wait::{Wait, WaitOn};

/// What GENERIC_READ | GENERIC_WRITE mean for a file.
const PROGRAM_ACCESS: u32 = 0x0012_019F;

pub(super) fn open(m: &mut Machine, id: RequestId, name: &str) -> Outcome {
    let Some((device, rest)) = m.io.names.resolve(name) else {
        return refuse(m, id, NtStatus::OBJECT_NAME_NOT_FOUND);
    };
    let file = m.new_file_object(device, &rest)?;
    m.io.closed.remove(&file);
    let draft = draft(m, Owner::Harness(id), device, file, c::IRP_MJ_CREATE, 0)?;
    let share = (c::FILE_SHARE_READ | c::FILE_SHARE_WRITE) as u16;
    let opening = Opening { access: PROGRAM_ACCESS, share, disposition: c::FILE_OPEN, options: 0 };
    draft.create(m, opening)?;
    send(m, &draft, Sent { file, kind: Kind::Open, ..plain(id, draft.request) })
}

pub(super) fn close(m: &mut Machine, id: RequestId, file: Va, major: u32, kind: Kind) -> Outcome {
    let device = m.read_va(file_object::DEVICE_OBJECT.at(file))?;
    let draft = draft(m, Owner::Harness(id), device, file, major, 0)?;
    m.io.closed.insert(file);
    send(m, &draft, Sent { file, kind, ..plain(id, draft.request) })
}

/// IRP_MJ_CLOSE comes when all requests on the file are complete (docs: kernel/irp-mj-close).
pub(super) fn close_when_idle(m: &mut Machine, id: RequestId, file: Va) -> Outcome {
    match m.outstanding_on(file)? {
        Some(request) => Ok(Next::Wait(Wait::on(WaitOn::Irp(request)), then(Step::Close { id, file }))),
        None => close(m, id, file, c::IRP_MJ_CLOSE, Kind::Close),
    }
}

/// A read of `read_length` bytes, or a write of `data`.
pub(super) fn transfer(
    m: &mut Machine,
    id: RequestId,
    file: Va,
    major: u32,
    offset: u64,
    (data, read_length): (&[u8], u32),
) -> Outcome {
    let device = m.read_va(file_object::DEVICE_OBJECT.at(file))?;
    let draft = draft(m, Owner::Harness(id), device, file, major, 0)?;
    let flags = m.read_u32(device_object::FLAGS.at(draft.device))?;
    let length = if major == c::IRP_MJ_READ { read_length } else { data.len() as u32 };
    let buffer = buffer_with(m, data, length)?;
    match flags & (c::DO_BUFFERED_IO | c::DO_DIRECT_IO) {
        c::DO_BUFFERED_IO => m.write_u64(irp::ASSOCIATED_IRP_SYSTEM_BUFFER.at(draft.request), buffer.0)?,
        c::DO_DIRECT_IO => set_mdl(m, draft.request, buffer, length)?,
        _ => m.write_u64(irp::USER_BUFFER.at(draft.request), buffer.0)?,
    }
    m.write_u32(io_stack_location::PARAMETERS_READ_LENGTH.at(draft.stack), length)?;
    m.write_u64(io_stack_location::PARAMETERS_READ_BYTE_OFFSET.at(draft.stack), offset)?;
    let output = (major == c::IRP_MJ_READ).then_some((buffer, length));
    send(m, &draft, Sent { output, blocks: vec![buffer], file, ..plain(id, draft.request) })
}

/// A nonpaged buffer of at least `length` bytes that begins with `data`.
fn buffer_with(m: &mut Machine, data: &[u8], length: u32) -> Result<Va, Trap> {
    let size = u64::from(length).max(data.len() as u64).max(1);
    let Some(buffer) = m.kernel_object(size, *b"IoBf") else { return Err(m.no_pool()) };
    m.write_bytes(buffer, data)?;
    Ok(buffer)
}

fn set_mdl(m: &mut Machine, request: Va, buffer: Va, length: u32) -> Result<(), Trap> {
    let Some(mdl) = m.new_nonpaged_mdl(buffer, length)? else { return Err(m.no_pool()) };
    m.write_u64(irp::MDL_ADDRESS.at(request), mdl.0)
}

pub(super) fn ioctl(m: &mut Machine, id: RequestId, file: Va, code: u32, input: &[u8], output_length: u32) -> Outcome {
    use io_stack_location as sl;
    let device = m.read_va(file_object::DEVICE_OBJECT.at(file))?;
    let draft = draft(m, Owner::Harness(id), device, file, c::IRP_MJ_DEVICE_CONTROL, 0)?;
    let (request, stack) = (draft.request, draft.stack);
    m.write_u32(sl::PARAMETERS_DEVICE_IO_CONTROL_OUTPUT_BUFFER_LENGTH.at(stack), output_length)?;
    m.write_u32(sl::PARAMETERS_DEVICE_IO_CONTROL_INPUT_BUFFER_LENGTH.at(stack), input.len() as u32)?;
    m.write_u32(sl::PARAMETERS_DEVICE_IO_CONTROL_IO_CONTROL_CODE.at(stack), code)?;
    let (output, blocks) = match ControlCode(code).method() {
        TransferMethod::Buffered => {
            let buffer = buffer_with(m, input, output_length)?;
            m.write_u64(irp::ASSOCIATED_IRP_SYSTEM_BUFFER.at(request), buffer.0)?;
            (buffer, vec![buffer])
        }
        TransferMethod::Neither => {
            let (from, to) = (m.user_buffer(input, 0)?, m.user_buffer(&[], output_length)?);
            m.write_u64(sl::PARAMETERS_DEVICE_IO_CONTROL_TYPE3_INPUT_BUFFER.at(stack), from.0)?;
            m.write_u64(irp::USER_BUFFER.at(request), to.0)?;
            (to, Vec::new())
        }
        _ => {
            let (from, to) = (buffer_with(m, input, 0)?, buffer_with(m, &[], output_length)?);
            m.write_u64(irp::ASSOCIATED_IRP_SYSTEM_BUFFER.at(request), from.0)?;
            set_mdl(m, request, to, output_length)?;
            (to, vec![from, to])
        }
    };
    let output = Some((output, output_length));
    send(m, &draft, Sent { output, blocks, file, ..plain(id, request) })
}

impl Machine {
    /// A request that refers to this file: it was sent and is not complete, or a program is about to send it, or has not
    /// taken its result yet.
    fn outstanding_on(&mut self, file: Va) -> Result<Option<Va>, Trap> {
        let refers = |live: &Live| live.sent || matches!(live.owner, Owner::Harness(_));
        let requests = self.io.requests.iter().filter(|(_, live)| refers(live));
        for request in requests.map(|(irp, _)| *irp).collect::<Vec<_>>() {
            if self.read_va(irp::TAIL_OVERLAY_ORIGINAL_FILE_OBJECT.at(request))? == file {
                return Ok(Some(request));
            }
        }
        Ok(None)
    }
}
