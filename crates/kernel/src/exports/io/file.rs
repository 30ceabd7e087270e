//! Files that drivers open: devices by name (ddi: IoGetDeviceObjectPointer, ZwCreateFile). No file of the host can be
//! reached: every other name is unknown.

use nt_types::layout::{file_object, io_status_block, irp};
use nt_types::{Irql, NtStatus, Va, constants as c};

use super::draft::{Draft, Opening, draft};
use super::irp::Owner;
use crate::call::{Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::ob::{Object, ObjectType};
use crate::exports::{Export, io};
use crate::machine::Machine;
use crate::wait::{Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoCreateFile = ZwCreateFile(handle: Va, access: u32, attributes: Va, status: Va, size: Va, kind: u32, share: u32, disposition: u32, options: u32), PASSIVE),
    export!(Ntoskrnl, IoCreateFileSpecifyDeviceObjectHint(handle: Va, access: u32, attributes: Va, status: Va, size: Va, kind: u32, share: u32, disposition: u32, options: u32, ea: Va, ea_length: u32, file_type: u32, parameters: Va, flags: u32, hint: Va), PASSIVE),
    export!(Ntoskrnl, IoGetDeviceObjectPointer(name: Va, access: u32, file: Va, device: Va), PASSIVE),
    export!(Ntoskrnl, IopCloseFile(file: Va), PASSIVE),
    export!(Ntoskrnl, ZwCreateFile(handle: Va, access: u32, attributes: Va, status: Va, size: Va, kind: u32, share: u32, disposition: u32, options: u32), PASSIVE),
    export!(Ntoskrnl, ZwDeleteFile(attributes: Va), PASSIVE),
    export!(Ntoskrnl, ZwOpenFile(handle: Va, access: u32, attributes: Va, status: Va, share: u32, options: u32), PASSIVE),
];

/// What an opened file is for.
#[derive(Clone, Copy, Hash, Debug)]
enum Goal {
    /// A pointer to the file and to the device on top of its stack.
    Pointer { file: Va, device: Va },
    /// A handle and an I/O status block.
    Handle { handle: Va, status: Va, kernel: bool },
}

/// A request about a file is on its way.
#[derive(Clone, Copy, Hash, Debug)]
pub struct FileRequest {
    request: Va,
    file: Va,
    step: Step,
}

#[derive(Clone, Copy, Hash, Debug)]
enum Step {
    Create(Goal),
    /// The handle that IoGetDeviceObjectPointer used is closed.
    PointerCleanup(Goal),
    Cleanup,
    Close,
}

impl FileRequest {
    pub(super) fn run(self, m: &mut Machine) -> Outcome {
        if m.is_outstanding(self.request) {
            let wait = Wait::on(WaitOn::Irp(self.request));
            return Ok(Next::Wait(wait, Then::Io(io::Then::File(self))));
        }
        self.step.probe(m)?;
        let status = NtStatus(m.read_u32(irp::IO_STATUS_STATUS.at(self.request))?);
        let information = m.read_u64(irp::IO_STATUS_INFORMATION.at(self.request))?;
        if let Step::Create(Goal::Handle { status: block, .. }) = self.step {
            m.write_u32(block, status.0)?;
            m.write_u64(io_status_block::INFORMATION.at(block), information)?;
        }
        m.discard_draft(self.request)?;
        match self.step {
            Step::Create(_) if !status.is_success() => {
                m.free_file_object(self.file);
                Ok(Next::status(status))
            }
            Step::Create(goal) => opened(m, self.file, goal),
            Step::PointerCleanup(goal) => give_pointer(m, self.file, goal),
            Step::Cleanup => m.dereference_object(self.file),
            Step::Close => {
                m.free_file_object(self.file);
                Ok(Next::status(NtStatus::SUCCESS))
            }
        }
    }
}

impl Step {
    /// What comes cannot be done twice: everything it writes must be in memory.
    fn probe(self, m: &mut Machine) -> Result<(), Trap> {
        match self {
            Step::Create(goal) | Step::PointerCleanup(goal) => goal.probe(m),
            Step::Cleanup | Step::Close => Ok(()),
        }
    }
}

impl Goal {
    fn probe(self, m: &mut Machine) -> Result<(), Trap> {
        match self {
            Goal::Pointer { file, device } => m.probe_write(file, 8).and_then(|()| m.probe_write(device, 8)),
            Goal::Handle { handle, status, .. } => {
                m.probe_write(handle, 8).and_then(|()| m.probe_write(status, io_status_block::SIZEOF))
            }
        }
    }
}

fn IoGetDeviceObjectPointer(m: &mut Machine, name: Va, access: u32, file: Va, device: Va) -> Outcome {
    let name = m.read_text(name)?;
    let opening = Opening { access, share: 0, disposition: c::FILE_OPEN, options: 0 };
    open(m, &name, opening, Goal::Pointer { file, device })
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ZwCreateFile(
    m: &mut Machine,
    handle: Va,
    access: u32,
    attributes: Va,
    status: Va,
    _size: Va,
    _kind: u32,
    share: u32,
    disposition: u32,
    options: u32,
) -> Outcome {
    let opening = Opening { access, share: share as u16, disposition, options };
    open_by_attributes(m, attributes, opening, handle, status)
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoCreateFileSpecifyDeviceObjectHint(
    m: &mut Machine,
    handle: Va,
    access: u32,
    attributes: Va,
    status: Va,
    size: Va,
    kind: u32,
    share: u32,
    disposition: u32,
    options: u32,
    _ea: Va,
    _ea_length: u32,
    _file_type: u32,
    _parameters: Va,
    _flags: u32,
    hint: Va,
) -> Outcome {
    if !hint.is_null() {
        return Err(m.refuse("IoCreateFileSpecifyDeviceObjectHint", "`DeviceObject` other than NULL"));
    }
    ZwCreateFile(m, handle, access, attributes, status, size, kind, share, disposition, options)
}

fn ZwOpenFile(
    m: &mut Machine,
    handle: Va,
    access: u32,
    attributes: Va,
    status: Va,
    share: u32,
    options: u32,
) -> Outcome {
    let opening = Opening { access, share: share as u16, disposition: c::FILE_OPEN, options };
    open_by_attributes(m, attributes, opening, handle, status)
}

fn open_by_attributes(m: &mut Machine, attributes: Va, opening: Opening, handle: Va, status: Va) -> Outcome {
    let attributes = m.read_attributes(attributes)?;
    if attributes.root != 0 {
        return Err(m.refuse("ZwCreateFile", "`RootDirectory` other than NULL"));
    }
    open(m, &attributes.name, opening, Goal::Handle { handle, status, kernel: attributes.kernel() })
}

/// There are no file systems here: what is no device is no file that could be deleted.
fn ZwDeleteFile(m: &mut Machine, attributes: Va) -> Outcome {
    let attributes = m.read_attributes(attributes)?;
    match m.io.names.resolve(&attributes.name) {
        None => Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)),
        Some(_) => Err(m.refuse("ZwDeleteFile", "a file of a device")),
    }
}

fn open(m: &mut Machine, name: &str, opening: Opening, goal: Goal) -> Outcome {
    goal.probe(m)?;
    let Some((device, rest)) = m.io.names.resolve(name) else {
        return Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND));
    };
    let file = m.new_file_object(device, &rest)?;
    if opening.options & (c::FILE_SYNCHRONOUS_IO_ALERT | c::FILE_SYNCHRONOUS_IO_NONALERT) != 0 {
        m.write_u32(file_object::FLAGS.at(file), c::FO_SYNCHRONOUS_IO)?;
    }
    let draft = draft(m, Owner::Driver, device, file, c::IRP_MJ_CREATE, 0)?;
    draft.create(m, opening)?;
    send(m, &draft, file, Step::Create(goal))
}

fn send(m: &mut Machine, draft: &Draft, file: Va, step: Step) -> Outcome {
    let service = m.kernel_images.export("ntoskrnl.exe", "IofCallDriver").unwrap_or(Va::NULL);
    let then = Then::Io(io::Then::File(FileRequest { request: draft.request, file, step }));
    Ok(Next::call(service, &[draft.device.0, draft.request.0], then))
}

fn opened(m: &mut Machine, file: Va, goal: Goal) -> Outcome {
    m.ob.counted.add(file, ObjectType::File);
    match goal {
        Goal::Pointer { .. } => request(m, file, c::IRP_MJ_CLEANUP, Step::PointerCleanup(goal)),
        Goal::Handle { handle, kernel, .. } => {
            Ok(Next::status(m.give_handle(handle, Object::Body(ObjectType::File, file), kernel)?))
        }
    }
}

fn give_pointer(m: &mut Machine, file: Va, goal: Goal) -> Outcome {
    if let Goal::Pointer { file: file_slot, device: device_slot } = goal {
        let device = m.read_va(file_object::DEVICE_OBJECT.at(file))?;
        let top = m.top_of_stack(device)?;
        m.write_u64(file_slot, file.0)?;
        m.write_u64(device_slot, top.0)?;
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

fn request(m: &mut Machine, file: Va, major: u32, step: Step) -> Outcome {
    let device = m.read_va(file_object::DEVICE_OBJECT.at(file))?;
    let draft = draft(m, Owner::Driver, device, file, major, 0)?;
    send(m, &draft, file, step)
}

/// The last reference to a file is gone: what the system does for it at `PASSIVE_LEVEL`.
fn IopCloseFile(m: &mut Machine, file: Va) -> Outcome {
    request(m, file, c::IRP_MJ_CLOSE, Step::Close)
}

impl Machine {
    /// The last handle of a file is closed: IRP_MJ_CLEANUP, then its reference goes.
    pub(crate) fn file_handle_closed(&mut self, file: Va) -> Outcome {
        if self.ob.handles.count_of(file) > 0 {
            return self.dereference_object(file);
        }
        request(self, file, c::IRP_MJ_CLEANUP, Step::Cleanup)
    }

    /// The last reference to a file is gone: IRP_MJ_CLOSE, on a system thread where the IRQL does not allow it here.
    pub(crate) fn close_file(&mut self, file: Va) -> Outcome {
        if self.irql() == Irql::PASSIVE {
            return IopCloseFile(self, file);
        }
        let service = self.kernel_images.export("ntoskrnl.exe", "IopCloseFile").unwrap_or(Va::NULL);
        self.start_work("close file", service, vec![file.0])?;
        Ok(Next::status(NtStatus::SUCCESS))
    }

    /// A FILE_OBJECT for a device and the name behind it.
    pub(super) fn new_file_object(&mut self, device: Va, rest: &str) -> Result<Va, Trap> {
        let Some(file) = self.kernel_object(file_object::SIZEOF, *b"File") else { return Err(self.no_pool()) };
        let name = self.kernel_string(rest).unwrap_or_default();
        self.write_u16(file, c::IO_TYPE_FILE as u16)?;
        self.write_u16(file_object::SIZE.at(file), file_object::SIZEOF as u16)?;
        self.write_u64(file_object::DEVICE_OBJECT.at(file), device.0)?;
        self.write_bytes(file_object::FILE_NAME.at(file), &name)?;
        self.io.files.insert(file, device);
        Ok(file)
    }

    /// The file object is not needed any more.
    pub(super) fn free_file_object(&mut self, file: Va) {
        self.io.files.remove(&file);
        self.pool_free(file);
    }
}
