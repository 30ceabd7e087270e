//! Requests of the harness: what a program on this machine would ask of the driver through NtCreateFile, NtReadFile,
//! NtWriteFile, NtDeviceIoControlFile and NtClose.

use nt_types::layout::{device_object, driver_object, file_object, io_stack_location, irp};
use nt_types::{ControlCode, TransferMethod};
use nt_types::{Irql, NtStatus, Va, constants as c};

use super::draft::{Draft, Opening, draft};
use super::irp::{Live, Owner};
use super::paging_path::DEVICE_USAGE_TYPE_PAGING;
use super::wmi_request::WmiRequest;
use crate::call::{Next, Outcome, Then, Trap};
use crate::event::EventKind;
use crate::exports::io;
use crate::machine::Machine;
use crate::request::{Answer, RequestId};
use crate::wait::{Wait, WaitOn};

/// What the harness asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Open a device by name; the answer's information is the file object.
    Open {
        /// NT name.
        name: String,
    },
    /// Read.
    Read {
        /// File object.
        file: Va,
        /// Bytes.
        length: u32,
        /// Offset in the file.
        offset: u64,
    },
    /// Write.
    Write {
        /// File object.
        file: Va,
        /// Bytes to write.
        data: Vec<u8>,
        /// Offset in the file.
        offset: u64,
    },
    /// Device control; METHOD_NEITHER gets user-mode addresses.
    Ioctl {
        /// File object.
        file: Va,
        /// Control code.
        code: u32,
        /// Input.
        input: Vec<u8>,
        /// Size of the output buffer, in bytes.
        output_length: u32,
    },
    /// IRP_MJ_CLEANUP, then IRP_MJ_CLOSE.
    Close {
        /// File object.
        file: Va,
    },
    /// Cancel the request that another action has outstanding.
    Cancel {
        /// The other action.
        request: RequestId,
    },
    /// A power request to the top of the device's stack: minor function, `POWER_STATE_TYPE`, state.
    Power {
        /// A device of the stack.
        device: Va,
        /// IRP_MN_*.
        minor: u8,
        /// `POWER_STATE_TYPE`.
        kind: u32,
        /// The state.
        state: u32,
    },
    /// Another action, as a driver above that runs at this IRQL would do it.
    At {
        /// Up to DISPATCH_LEVEL.
        irql: Irql,
        /// What it does.
        action: Box<Action>,
    },
    /// IRP_MN_DEVICE_USAGE_NOTIFICATION to the top of the device's stack.
    PagingPath {
        /// File object.
        file: Va,
        /// A paging file lies on the device from now on; if false, it does no longer.
        in_path: bool,
    },
    /// IRP_MN_* of IRP_MJ_PNP to the top of the device's stack.
    Pnp {
        /// A device of the stack.
        device: Va,
        /// IRP_MN_*.
        minor: u8,
        /// CM_RESOURCE_LIST for a start.
        resources: Va,
    },
    /// A request of IRP_MJ_SYSTEM_CONTROL to the top of the device's stack, for the WMI provider in it.
    Wmi {
        /// A device of the stack.
        device: Va,
        /// The GUID of the block.
        block: [u8; 16],
        /// What is asked.
        request: WmiRequest,
        /// Bytes of data that the answer may have.
        output_length: u32,
    },
}

/// A request on its way.
#[derive(Clone, Hash, Debug)]
pub struct Sent {
    id: RequestId,
    request: Va,
    /// The device that it was sent to.
    device: Va,
    /// The buffer that the answer is read from, and its size.
    output: Option<(Va, u32)>,
    /// Pool blocks to free at the end.
    blocks: Vec<Va>,
    file: Va,
    kind: Kind,
    /// It was sent above `PASSIVE_LEVEL`.
    raised: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Open,
    Transfer,
    Cleanup,
    Close,
    /// A device is started or removed; its physical device object is in `file`.
    DeviceIs {
        started: bool,
    },
    /// A WMI request of this minor function.
    Wmi(u32),
}

/// Continuations of harness requests.
#[derive(Clone, Hash, Debug)]
pub enum Step {
    /// Build the request and send it.
    Begin {
        /// The request.
        id: RequestId,
        /// What it asks for.
        action: Action,
    },
    /// The dispatch routine returned.
    Sent(Sent),
    /// The request is complete.
    Complete(Sent),
    /// The file was cleaned up: close it once nothing is outstanding on it.
    Close {
        /// The request.
        id: RequestId,
        /// The file.
        file: Va,
    },
    /// A cancellation was delivered.
    Cancelled {
        /// The request.
        id: RequestId,
    },
}

const DO_BUFFERED_IO: u32 = 0x4;
const DO_DIRECT_IO: u32 = 0x10;
/// What GENERIC_READ | GENERIC_WRITE mean for a file.
const PROGRAM_ACCESS: u32 = 0x0012_019F;

impl Step {
    pub(super) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            Step::Begin { id, action } => begin(m, id, action),
            Step::Sent(sent) if sent.raised => {
                let service = m.kernel_images.interrupt_entry;
                m.set_irql(Irql::PASSIVE, service);
                Step::Sent(Sent { raised: false, ..sent }).run(m, value)
            }
            Step::Sent(sent) if m.is_outstanding(sent.request) => {
                let wait = Wait::on(WaitOn::Irp(sent.request));
                Ok(Next::Wait(wait, then(Step::Complete(sent))))
            }
            Step::Sent(sent) | Step::Complete(sent) => complete(m, &sent),
            Step::Close { id, file } => close_when_idle(m, id, file),
            Step::Cancelled { id } => {
                m.answer(id, Answer { status: NtStatus::SUCCESS, information: value & 0xff, output: Vec::new() });
                Ok(Next::VOID)
            }
        }
    }
}

impl Action {
    /// The file whose handle it uses.
    fn file(&self) -> Option<Va> {
        match self {
            Action::Read { file, .. }
            | Action::Write { file, .. }
            | Action::Ioctl { file, .. }
            | Action::Close { file }
            | Action::PagingPath { file, .. } => Some(*file),
            _ => None,
        }
    }

    /// True for reads, writes and device controls.
    fn is_transfer(&self) -> bool {
        match self {
            Action::Read { .. } | Action::Write { .. } | Action::Ioctl { .. } => true,
            Action::At { action, .. } => action.is_transfer(),
            _ => false,
        }
    }
}

fn then(step: Step) -> Then {
    Then::Io(io::Then::Exercise(step))
}

impl Machine {
    /// Starts an action on a thread of its own, which bears its name.
    pub fn act(&mut self, name: &str, action: Action) -> Result<RequestId, Trap> {
        self.act_as(name, name, None, action)
    }

    /// Starts an action on a thread of this name, which runs on this processor only.
    pub fn act_as(
        &mut self,
        name: &str,
        thread: &str,
        processor: Option<usize>,
        action: Action,
    ) -> Result<RequestId, Trap> {
        self.record(EventKind::Action { text: name.to_owned() });
        let transfers = action.is_transfer();
        let request = self.submit(name, thread, Va::NULL, |id| then(Step::Begin { id, action }))?;
        if transfers {
            self.note_transfer(request);
        }
        if let Some(thread) = self.threads.last_mut() {
            thread.processor = processor;
        }
        Ok(request)
    }

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

    /// Actions whose request a driver has.
    pub(crate) fn pending_actions(&self) -> impl Iterator<Item = RequestId> {
        self.io.requests.values().filter(|live| live.sent).filter_map(|live| match live.owner {
            Owner::Harness(id) => Some(id),
            _ => None,
        })
    }

    /// The request that an action has outstanding.
    fn request_of(&self, id: RequestId) -> Option<Va> {
        let owned = self.io.requests.iter().find(|(_, live)| live.sent && live.owner == Owner::Harness(id));
        owned.map(|(request, _)| *request)
    }
}

fn refuse(m: &mut Machine, id: RequestId, status: NtStatus) -> Outcome {
    m.answer(id, Answer { status, information: 0, output: Vec::new() });
    Ok(Next::VOID)
}

fn begin(m: &mut Machine, id: RequestId, action: Action) -> Outcome {
    // Its handle is no handle any more, although the file may still be there for requests that are under way.
    if action.file().is_some_and(|file| m.io.closed.contains(&file)) {
        return refuse(m, id, NtStatus::INVALID_HANDLE);
    }
    match action {
        Action::Open { name } => open(m, id, &name),
        Action::Read { file, length, offset } => transfer(m, id, file, c::IRP_MJ_READ, offset, (&[], length)),
        Action::Write { file, data, offset } => transfer(m, id, file, c::IRP_MJ_WRITE, offset, (&data, 0)),
        Action::Ioctl { file, code, input, output_length } => ioctl(m, id, file, code, &input, output_length),
        Action::Close { file } => close(m, id, file, c::IRP_MJ_CLEANUP, Kind::Cleanup),
        Action::Cancel { request } => match m.request_of(request) {
            Some(request) => {
                let service = m.kernel_images.export("ntoskrnl.exe", "IoCancelIrp").unwrap_or(Va::NULL);
                Ok(Next::call(service, &[request.0], then(Step::Cancelled { id })))
            }
            None => refuse(m, id, NtStatus::NOT_FOUND),
        },
        Action::Power { device, minor, kind, state } => power(m, id, device, minor, kind, state),
        Action::At { irql, action } => {
            let service = m.kernel_images.interrupt_entry;
            m.set_irql(irql.min(Irql::DISPATCH), service);
            begin(m, id, *action)
        }
        Action::PagingPath { file, in_path } => paging_path(m, id, file, in_path),
        Action::Pnp { device, minor, resources } => pnp(m, id, device, minor, resources),
        Action::Wmi { device, block, request, output_length } => wmi(m, id, device, (&block, &request), output_length),
    }
}

/// Sends a draft as a program's request: through IofCallDriver, so that stack traces show it.
fn send(m: &mut Machine, draft: &Draft, sent: Sent) -> Outcome {
    m.hold_device(draft.device);
    let sent = Sent { device: draft.device, raised: m.irql() > Irql::PASSIVE, ..sent };
    let service = m.kernel_images.export("ntoskrnl.exe", "IofCallDriver").unwrap_or(Va::NULL);
    Ok(Next::call(service, &[draft.device.0, draft.request.0], then(Step::Sent(sent))))
}

fn open(m: &mut Machine, id: RequestId, name: &str) -> Outcome {
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

fn close(m: &mut Machine, id: RequestId, file: Va, major: u32, kind: Kind) -> Outcome {
    let device = m.read_va(file_object::DEVICE_OBJECT.at(file))?;
    let draft = draft(m, Owner::Harness(id), device, file, major, 0)?;
    m.io.closed.insert(file);
    send(m, &draft, Sent { file, kind, ..plain(id, draft.request) })
}

/// IRP_MJ_CLOSE comes when all requests on the file are complete (docs: kernel/irp-mj-close).
fn close_when_idle(m: &mut Machine, id: RequestId, file: Va) -> Outcome {
    match m.outstanding_on(file)? {
        Some(request) => Ok(Next::Wait(Wait::on(WaitOn::Irp(request)), then(Step::Close { id, file }))),
        None => close(m, id, file, c::IRP_MJ_CLOSE, Kind::Close),
    }
}

/// A read of `read_length` bytes, or a write of `data`.
fn transfer(
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
    match flags & (DO_BUFFERED_IO | DO_DIRECT_IO) {
        DO_BUFFERED_IO => m.write_u64(irp::ASSOCIATED_IRP_SYSTEM_BUFFER.at(draft.request), buffer.0)?,
        DO_DIRECT_IO => set_mdl(m, draft.request, buffer, length)?,
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

fn ioctl(m: &mut Machine, id: RequestId, file: Va, code: u32, input: &[u8], output_length: u32) -> Outcome {
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

/// A driver without DO_POWER_PAGABLE must expect power requests at `DISPATCH_LEVEL`, so it gets them there (R20).
fn power(m: &mut Machine, id: RequestId, device: Va, minor: u8, kind: u32, state: u32) -> Outcome {
    use io_stack_location as sl;
    let draft = draft(m, Owner::Harness(id), device, Va::NULL, c::IRP_MJ_POWER, minor)?;
    m.write_u32(irp::IO_STATUS_STATUS.at(draft.request), NtStatus::NOT_SUPPORTED.0)?;
    m.write_u32(sl::PARAMETERS_POWER_TYPE.at(draft.stack), kind)?;
    m.write_u32(sl::PARAMETERS_POWER_STATE.at(draft.stack), state)?;
    if m.read_u32(device_object::FLAGS.at(draft.device))? & c::DO_POWER_PAGABLE == 0 {
        let service = m.kernel_images.interrupt_entry;
        m.set_irql(Irql::DISPATCH, service);
    }
    send(m, &draft, plain(id, draft.request))
}

fn paging_path(m: &mut Machine, id: RequestId, file: Va, in_path: bool) -> Outcome {
    use io_stack_location as sl;
    let device = m.read_va(file_object::DEVICE_OBJECT.at(file))?;
    let minor = c::IRP_MN_DEVICE_USAGE_NOTIFICATION as u8;
    let draft = draft(m, Owner::Harness(id), device, Va::NULL, c::IRP_MJ_PNP, minor)?;
    m.write_u32(irp::IO_STATUS_STATUS.at(draft.request), NtStatus::NOT_SUPPORTED.0)?;
    m.write_u8(sl::PARAMETERS_USAGE_NOTIFICATION_IN_PATH.at(draft.stack), in_path.into())?;
    m.write_u32(sl::PARAMETERS_USAGE_NOTIFICATION_TYPE.at(draft.stack), DEVICE_USAGE_TYPE_PAGING)?;
    send(m, &draft, plain(id, draft.request))
}

fn pnp(m: &mut Machine, id: RequestId, device: Va, minor: u8, resources: Va) -> Outcome {
    use io_stack_location as sl;
    let draft = draft(m, Owner::Harness(id), device, Va::NULL, c::IRP_MJ_PNP, minor)?;
    m.write_u32(irp::IO_STATUS_STATUS.at(draft.request), NtStatus::NOT_SUPPORTED.0)?;
    if u32::from(minor) == c::IRP_MN_START_DEVICE {
        m.write_u64(sl::PARAMETERS_START_DEVICE_ALLOCATED_RESOURCES.at(draft.stack), resources.0)?;
        m.write_u64(sl::PARAMETERS_START_DEVICE_ALLOCATED_RESOURCES_TRANSLATED.at(draft.stack), resources.0)?;
    }
    let kind = match u32::from(minor) {
        c::IRP_MN_START_DEVICE => Kind::DeviceIs { started: true },
        c::IRP_MN_REMOVE_DEVICE => Kind::DeviceIs { started: false },
        _ => Kind::Transfer,
    };
    send(m, &draft, Sent { file: device, kind, ..plain(id, draft.request) })
}

fn wmi(m: &mut Machine, id: RequestId, device: Va, asked: (&[u8; 16], &WmiRequest), output_length: u32) -> Outcome {
    let Some(drafted) = m.draft_wmi(id, device, asked, output_length)? else {
        return refuse(m, id, NtStatus::WMI_GUID_NOT_FOUND);
    };
    let (draft, kind) = (drafted.draft, Kind::Wmi(drafted.minor));
    let sent = Sent { output: Some(drafted.buffer), blocks: drafted.blocks, kind, ..plain(id, draft.request) };
    send(m, &draft, sent)
}

fn plain(id: RequestId, request: Va) -> Sent {
    let (device, file, kind) = (Va::NULL, Va::NULL, Kind::Transfer);
    Sent { id, request, device, output: None, blocks: Vec::new(), file, kind, raised: false }
}

impl Machine {
    /// What a program asked for is done: its thread goes back to the program.
    fn check_program_returns(&mut self, sent: &Sent) -> Result<(), Trap> {
        let count = u64::from(self.read_u8(irp::STACK_COUNT.at(sent.request))?);
        let first = sent.request + irp::SIZEOF + count.saturating_sub(1) * io_stack_location::SIZEOF;
        let major = u32::from(self.read_u8(io_stack_location::MAJOR_FUNCTION.at(first))?);
        let Some(service) = system_service(major) else { return Ok(()) };
        let device = self.read_va(file_object::DEVICE_OBJECT.at(sent.file))?;
        let device = self.top_of_stack(device)?;
        let driver = self.read_va(device_object::DRIVER_OBJECT.at(device))?;
        let routine = self.read_va(driver_object::MAJOR_FUNCTION.element(major, 8).at(driver))?;
        let service = self.kernel_images.export("ntoskrnl.exe", service).unwrap_or(Va::NULL);
        self.check_return_to_program(service, routine)
    }
}

/// The service that sends a request of this kind for a program, as it is exported; `None` for what the system sends itself.
fn system_service(major: u32) -> Option<&'static str> {
    match major {
        c::IRP_MJ_READ => Some("NtReadFile"),
        c::IRP_MJ_WRITE => Some("NtWriteFile"),
        c::IRP_MJ_DEVICE_CONTROL => Some("NtDeviceIoControlFile"),
        c::IRP_MJ_CREATE => Some("ZwCreateFile"),
        c::IRP_MJ_CLEANUP | c::IRP_MJ_CLOSE => Some("NtClose"),
        _ => None,
    }
}

fn complete(m: &mut Machine, sent: &Sent) -> Outcome {
    m.check_program_returns(sent)?;
    let status = NtStatus(m.read_u32(irp::IO_STATUS_STATUS.at(sent.request))?);
    let information = m.read_u64(irp::IO_STATUS_INFORMATION.at(sent.request))?;
    let output = match sent.output {
        Some((buffer, length)) => {
            let bytes = information.min(u64::from(length));
            match sent.kind {
                Kind::Wmi(minor) => m.wmi_output(minor, buffer, bytes)?,
                _ => m.read_bytes(buffer, bytes)?,
            }
        }
        None => Vec::new(),
    };
    free(m, sent)?;
    m.release_device(sent.device);
    match sent.kind {
        Kind::Cleanup => return close_when_idle(m, sent.id, sent.file),
        Kind::Close => m.free_file_object(sent.file),
        Kind::DeviceIs { started } if status.is_success() => m.note_started(sent.file, started),
        Kind::Open | Kind::Transfer | Kind::DeviceIs { .. } | Kind::Wmi(_) => {}
    }
    let opened = sent.kind == Kind::Open && status.is_success();
    let information = if opened { sent.file.0 } else { information };
    if sent.kind == Kind::Open && !opened {
        m.free_file_object(sent.file);
    }
    m.answer(sent.id, Answer { status, information, output });
    Ok(Next::VOID)
}

fn free(m: &mut Machine, sent: &Sent) -> Result<(), Trap> {
    let mdl = m.read_va(irp::MDL_ADDRESS.at(sent.request))?;
    for block in sent.blocks.iter().chain([&mdl]) {
        m.pool_free(*block);
    }
    m.discard_draft(sent.request)
}
