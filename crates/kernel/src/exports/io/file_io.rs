//! Requests by handle (ddi: ZwReadFile, ZwWriteFile, ZwDeviceIoControlFile, ZwQueryDirectoryFile). A file is a device of
//! this machine, so each call becomes a request for its driver; nothing of the host can be reached.

use nt_types::layout::{file_object, io_stack_location as sl, io_status_block, irp};
use nt_types::{NtStatus, Va, constants as c};

use super::build::{Back, Control, Transfer};
use super::irp::Owner;
use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::ob::{Object, ObjectType};
use crate::exports::{Export, io};
use crate::machine::Machine;
use crate::wait::{Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, NtDeviceIoControlFile = ZwDeviceIoControlFile(file: u64, event: u64, apc: Va, context: u64, status: Va, code: u32, input: Va, input_length: u32, output: Va, output_length: u32; ..), PASSIVE),
    export!(Ntoskrnl, NtReadFile = ZwReadFile(file: u64, event: u64, apc: Va, context: u64, status: Va, buffer: Va, length: u32, offset: Va, key: Va; ..), PASSIVE),
    export!(Ntoskrnl, NtWriteFile = ZwWriteFile(file: u64, event: u64, apc: Va, context: u64, status: Va, buffer: Va, length: u32, offset: Va, key: Va; ..), PASSIVE),
    export!(Ntoskrnl, ZwDeviceIoControlFile(file: u64, event: u64, apc: Va, context: u64, status: Va, code: u32, input: Va, input_length: u32, output: Va, output_length: u32; ..), PASSIVE),
    export!(Ntoskrnl, ZwFlushBuffersFile(file: u64, status: Va), PASSIVE),
    export!(Ntoskrnl, ZwFsControlFile(file: u64, event: u64, apc: Va, context: u64, status: Va, code: u32, input: Va, input_length: u32, output: Va, output_length: u32; ..), PASSIVE),
    export!(Ntoskrnl, ZwQueryDirectoryFile(file: u64, event: u64, apc: Va, context: u64, status: Va, information: Va, length: u32, class: u32, single: bool, name: Va, restart: bool), PASSIVE),
    export!(Ntoskrnl, ZwReadFile(file: u64, event: u64, apc: Va, context: u64, status: Va, buffer: Va, length: u32, offset: Va, key: Va; ..), PASSIVE),
    export!(Ntoskrnl, ZwWriteFile(file: u64, event: u64, apc: Va, context: u64, status: Va, buffer: Va, length: u32, offset: Va, key: Va; ..), PASSIVE),
];

/// `IRP_MN_QUERY_DIRECTORY`, `SL_RESTART_SCAN`, `SL_RETURN_SINGLE_ENTRY`.
const QUERY_DIRECTORY: u8 = 1;
const SL_RESTART_SCAN: u8 = 1;
const SL_RETURN_SINGLE_ENTRY: u8 = 2;

/// A request on its way.
#[derive(Clone, Copy, Hash, Debug)]
pub struct FileIo {
    request: Va,
    status: Va,
    file: Va,
    /// Where a synchronous read or write began: the file position moves on from there.
    offset: Option<u64>,
}

impl FileIo {
    /// The dispatch routine returned, or the request has come back to a caller that waits.
    pub(super) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        if m.is_outstanding(self.request) {
            if !m.is_synchronous_file(self.file)? {
                return Ok(Next::status(NtStatus::PENDING));
            }
            return Ok(Next::Wait(Wait::on(WaitOn::Irp(self.request)), Then::Io(io::Then::FileIo(self))));
        }
        let status = match NtStatus(value as u32) {
            NtStatus::PENDING | NtStatus::SUCCESS => NtStatus(m.read_u32(self.status)?),
            other => other,
        };
        if let (Some(offset), true) = (self.offset, status.is_success()) {
            let done = m.read_u64(io_status_block::INFORMATION.at(self.status))?;
            m.write_u64(file_object::CURRENT_BYTE_OFFSET.at(self.file), offset.wrapping_add(done))?;
        }
        Ok(Next::status(status))
    }
}

/// What every routine here is given.
#[derive(Clone, Copy)]
pub(super) struct Common {
    routine: &'static str,
    file: u64,
    event: u64,
    apc: Va,
    pub(super) status: Va,
}

impl Common {
    pub(super) fn plain(routine: &'static str, file: u64, status: Va) -> Common {
        Common { routine, file, event: 0, apc: Va::NULL, status }
    }

    /// The file object, and where its requests' results go. The event is reset, the status block is in memory.
    pub(super) fn resolve(self, m: &mut Machine) -> Result<Result<(Va, Back), NtStatus>, Trap> {
        if !self.apc.is_null() {
            return Err(m.refuse(self.routine, "`ApcRoutine` other than NULL"));
        }
        m.probe_write(self.status, io_status_block::SIZEOF)?;
        let file = match m.object_of(self.file) {
            Some(Object::Body(ObjectType::File, file)) => file,
            Some(_) => return Ok(Err(NtStatus::OBJECT_TYPE_MISMATCH)),
            None => return Ok(Err(NtStatus::INVALID_HANDLE)),
        };
        let event = match (self.event, m.object_of(self.event)) {
            (0, _) => Va::NULL,
            (_, Some(Object::Body(ObjectType::Event, event))) => event,
            (_, Some(_)) => return Ok(Err(NtStatus::OBJECT_TYPE_MISMATCH)),
            (_, None) => return Ok(Err(NtStatus::INVALID_HANDLE)),
        };
        if !event.is_null() {
            m.set_signal_state(event, 0)?;
        }
        Ok(Ok((file, Back { event, status: self.status, owner: Owner::Built })))
    }

    /// Sends a request that was built for the file.
    pub(super) fn send(self, m: &mut Machine, file: Va, request: Va, offset: Option<u64>) -> Outcome {
        let device = m.device_of_file(file)?;
        let stack = m.next_stack_location(request)?;
        m.write_u64(sl::FILE_OBJECT.at(stack), file.0)?;
        m.write_u64(irp::TAIL_OVERLAY_ORIGINAL_FILE_OBJECT.at(request), file.0)?;
        let service = m.kernel_images.export("ntoskrnl.exe", "IofCallDriver").unwrap_or(Va::NULL);
        let then = Then::Io(io::Then::FileIo(FileIo { request, status: self.status, file, offset }));
        Ok(Next::call(service, &[device.0, request.0], then))
    }
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ZwReadFile(
    m: &mut Machine,
    call: &Call,
    file: u64,
    event: u64,
    apc: Va,
    _context: u64,
    status: Va,
    buffer: Va,
    length: u32,
    offset: Va,
    _key: Va,
) -> Outcome {
    let common = Common { routine: "ZwReadFile", file, event, apc, status };
    transfer(m, call, common, c::IRP_MJ_READ, (buffer, length), offset)
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ZwWriteFile(
    m: &mut Machine,
    call: &Call,
    file: u64,
    event: u64,
    apc: Va,
    _context: u64,
    status: Va,
    buffer: Va,
    length: u32,
    offset: Va,
    _key: Va,
) -> Outcome {
    let common = Common { routine: "ZwWriteFile", file, event, apc, status };
    transfer(m, call, common, c::IRP_MJ_WRITE, (buffer, length), offset)
}

/// A synchronous file has a position, which a missing offset means; another one needs an offset.
fn transfer(
    m: &mut Machine,
    call: &Call,
    common: Common,
    major: u32,
    (buffer, length): (Va, u32),
    offset_at: Va,
) -> Outcome {
    /// `FILE_USE_FILE_POINTER_POSITION`.
    const USE_POSITION: u64 = 0xFFFF_FFFF_FFFF_FFFE;
    let (file, back) = match common.resolve(m)? {
        Ok(resolved) => resolved,
        Err(status) => return Ok(Next::status(status)),
    };
    let synchronous = m.is_synchronous_file(file)?;
    let given = if offset_at.is_null() { USE_POSITION } else { m.read_u64(offset_at)? };
    let offset = match given {
        USE_POSITION if synchronous => m.read_u64(file_object::CURRENT_BYTE_OFFSET.at(file))?,
        USE_POSITION if offset_at.is_null() => 0,
        USE_POSITION => return Ok(Next::status(NtStatus::INVALID_PARAMETER)),
        given => given,
    };
    let device = m.device_of_file(file)?;
    let wanted = Transfer { major, device, buffer, length, offset };
    let request = m.build_transfer(&wanted, &back, call.return_address)?;
    common.send(m, file, request, synchronous.then_some(offset))
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ZwDeviceIoControlFile(
    m: &mut Machine,
    call: &Call,
    file: u64,
    event: u64,
    apc: Va,
    _context: u64,
    status: Va,
    code: u32,
    input: Va,
    input_length: u32,
    output: Va,
    output_length: u32,
) -> Outcome {
    let common = Common { routine: "ZwDeviceIoControlFile", file, event, apc, status };
    let major = c::IRP_MJ_DEVICE_CONTROL;
    control(m, call, common, Control { major, code, input, input_length, output, output_length })
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ZwFsControlFile(
    m: &mut Machine,
    call: &Call,
    file: u64,
    event: u64,
    apc: Va,
    _context: u64,
    status: Va,
    code: u32,
    input: Va,
    input_length: u32,
    output: Va,
    output_length: u32,
) -> Outcome {
    let common = Common { routine: "ZwFsControlFile", file, event, apc, status };
    let major = c::IRP_MJ_FILE_SYSTEM_CONTROL;
    control(m, call, common, Control { major, code, input, input_length, output, output_length })
}

fn control(m: &mut Machine, call: &Call, common: Common, control: Control) -> Outcome {
    let (file, back) = match common.resolve(m)? {
        Ok(resolved) => resolved,
        Err(status) => return Ok(Next::status(status)),
    };
    let device = m.device_of_file(file)?;
    let request = m.build_control(&control, device, &back, call.return_address)?;
    common.send(m, file, request, None)
}

fn ZwFlushBuffersFile(m: &mut Machine, file: u64, status: Va) -> Outcome {
    let common = Common::plain("ZwFlushBuffersFile", file, status);
    let (file, back) = match common.resolve(m)? {
        Ok(resolved) => resolved,
        Err(status) => return Ok(Next::status(status)),
    };
    let device = m.device_of_file(file)?;
    let (request, _) = m.built_request(device, c::IRP_MJ_FLUSH_BUFFERS, &back)?;
    common.send(m, file, request, None)
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ZwQueryDirectoryFile(
    m: &mut Machine,
    file: u64,
    event: u64,
    apc: Va,
    _context: u64,
    status: Va,
    information: Va,
    length: u32,
    class: u32,
    single: bool,
    name: Va,
    restart: bool,
) -> Outcome {
    let common = Common { routine: "ZwQueryDirectoryFile", file, event, apc, status };
    let (file, back) = match common.resolve(m)? {
        Ok(resolved) => resolved,
        Err(status) => return Ok(Next::status(status)),
    };
    let device = m.device_of_file(file)?;
    let (request, stack) = m.built_request(device, c::IRP_MJ_DIRECTORY_CONTROL, &back)?;
    let flags = if restart { SL_RESTART_SCAN } else { 0 } | if single { SL_RETURN_SINGLE_ENTRY } else { 0 };
    m.write_u8(sl::MINOR_FUNCTION.at(stack), QUERY_DIRECTORY)?;
    m.write_u8(sl::FLAGS.at(stack), flags)?;
    m.write_u32(sl::PARAMETERS_QUERY_DIRECTORY_LENGTH.at(stack), length)?;
    m.write_u64(sl::PARAMETERS_QUERY_DIRECTORY_FILE_NAME.at(stack), name.0)?;
    m.write_u32(sl::PARAMETERS_QUERY_DIRECTORY_FILE_INFORMATION_CLASS.at(stack), class)?;
    m.write_u64(irp::USER_BUFFER.at(request), information.0)?;
    common.send(m, file, request, None)
}

impl Machine {
    /// True where the I/O manager keeps a position for a file, and its callers wait.
    pub(super) fn is_synchronous_file(&mut self, file: Va) -> Result<bool, Trap> {
        Ok(self.read_u32(file_object::FLAGS.at(file))? & c::FO_SYNCHRONOUS_IO != 0)
    }

    /// The device that requests about a file go to.
    pub(super) fn device_of_file(&mut self, file: Va) -> Result<Va, Trap> {
        let device = self.read_va(file_object::DEVICE_OBJECT.at(file))?;
        self.top_of_stack(device)
    }
}
