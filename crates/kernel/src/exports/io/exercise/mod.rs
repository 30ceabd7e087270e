//! Requests of the harness: what a program on this machine would ask of the driver through NtCreateFile, NtReadFile,
//! NtWriteFile, NtDeviceIoControlFile and NtClose.

mod action;
mod device;
mod file;

use nt_types::layout::{device_object, driver_object, file_object, io_stack_location, irp};
use nt_types::{Irql, NtStatus, Va, constants as c};

pub use action::Action;

use super::draft::Draft;
use super::irp::Owner;
use crate::call::{Next, Outcome, Then, Trap};
use crate::event::EventKind;
use crate::exports::io;
use crate::machine::Machine;
use crate::request::{Answer, RequestId};
use crate::wait::{Wait, WaitOn};

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
            Step::Close { id, file } => file::close_when_idle(m, id, file),
            Step::Cancelled { id } => {
                m.answer(id, Answer { status: NtStatus::SUCCESS, information: value & 0xff, output: Vec::new() });
                Ok(Next::VOID)
            }
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
        Action::Open { name } => file::open(m, id, &name),
        Action::Read { file, length, offset } => file::transfer(m, id, file, c::IRP_MJ_READ, offset, (&[], length)),
        Action::Write { file, data, offset } => file::transfer(m, id, file, c::IRP_MJ_WRITE, offset, (&data, 0)),
        Action::Ioctl { file, code, input, output_length } => file::ioctl(m, id, file, code, &input, output_length),
        Action::Close { file } => file::close(m, id, file, c::IRP_MJ_CLEANUP, Kind::Cleanup),
        Action::Cancel { request } => match m.request_of(request) {
            Some(request) => {
                let service = m.kernel_images.export("ntoskrnl.exe", "IoCancelIrp").unwrap_or(Va::NULL);
                Ok(Next::call(service, &[request.0], then(Step::Cancelled { id })))
            }
            None => refuse(m, id, NtStatus::NOT_FOUND),
        },
        Action::Power { device, minor, kind, state } => device::power(m, id, device, minor, kind, state),
        Action::At { irql, action } => {
            let service = m.kernel_images.interrupt_entry;
            m.set_irql(irql.min(Irql::DISPATCH), service);
            begin(m, id, *action)
        }
        Action::PagingPath { file, in_path } => device::paging_path(m, id, file, in_path),
        Action::Pnp { device, minor, resources } => device::pnp(m, id, device, minor, resources),
        Action::Wmi { device, block, request, output_length } => {
            device::wmi(m, id, device, (&block, &request), output_length)
        }
    }
}

/// Sends a draft as a program's request: through IofCallDriver, so that stack traces show it.
fn send(m: &mut Machine, draft: &Draft, sent: Sent) -> Outcome {
    m.hold_device(draft.device);
    let sent = Sent { device: draft.device, raised: m.irql() > Irql::PASSIVE, ..sent };
    let service = m.kernel_images.export("ntoskrnl.exe", "IofCallDriver").unwrap_or(Va::NULL);
    Ok(Next::call(service, &[draft.device.0, draft.request.0], then(Step::Sent(sent))))
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
        Kind::Cleanup => return file::close_when_idle(m, sent.id, sent.file),
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
