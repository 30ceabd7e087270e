//! Questions of the Plug and Play manager that drivers ask for (ddi: IoInvalidateDeviceRelations,
//! IoInvalidateDeviceState): the device's stack gets them on a system thread.

use nt_types::layout::{io_stack_location as sl, irp};
use nt_types::{NtStatus, Va, constants as c};

use super::draft::draft;
use super::irp::Owner;
use crate::call::{Next, Outcome, Then};
use crate::export;
use crate::exports::{Export, io};
use crate::machine::Machine;
use crate::wait::{Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoInvalidateDeviceRelations(device: Va, kind: u32), DISPATCH),
    export!(Ntoskrnl, IoInvalidateDeviceState(device: Va), DISPATCH),
    export!(Ntoskrnl, IoRequestDeviceEject(device: Va), DISPATCH),
    export!(Ntoskrnl, IopQueryDevice(device: Va, minor: u8, kind: u32), PASSIVE),
];

/// A question about a device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Question {
    pub(super) device: Va,
    /// IRP_MN_*.
    pub(super) minor: u32,
    /// DEVICE_RELATION_TYPE or BUS_QUERY_ID_TYPE, where the question has one.
    pub(super) kind: u32,
}

/// A question on its way, and those that come after it.
#[derive(Clone, Hash, Debug)]
pub struct Asked {
    question: Question,
    request: Va,
    rest: Vec<Question>,
}

impl Asked {
    pub(super) fn run(mut self, m: &mut Machine) -> Outcome {
        if m.is_outstanding(self.request) {
            return Ok(Next::Wait(Wait::on(WaitOn::Irp(self.request)), Then::Io(io::Then::Asked(self))));
        }
        let status = NtStatus(m.read_u32(irp::IO_STATUS_STATUS.at(self.request))?);
        let information = m.read_u64(irp::IO_STATUS_INFORMATION.at(self.request))?;
        self.rest.extend(m.take_answer(self.question, status, information)?);
        m.discard_draft(self.request)?;
        ask_next(m, self.rest)
    }
}

fn IoInvalidateDeviceRelations(m: &mut Machine, device: Va, kind: u32) -> Outcome {
    match kind {
        c::BUS_RELATIONS | c::SINGLE_BUS_RELATIONS => {
            ask(m, device, c::IRP_MN_QUERY_DEVICE_RELATIONS, c::BUS_RELATIONS)
        }
        // Asked for when a device is to be ejected or powered down, which does not happen here.
        c::EJECTION_RELATIONS | c::POWER_RELATIONS => Ok(Next::VOID),
        other => Err(m.refuse("IoInvalidateDeviceRelations", format!("`Type` {other}"))),
    }
}

fn IoInvalidateDeviceState(m: &mut Machine, device: Va) -> Outcome {
    ask(m, device, c::IRP_MN_QUERY_PNP_DEVICE_STATE, 0)
}

fn IoRequestDeviceEject(m: &mut Machine, _device: Va) -> Outcome {
    Err(m.refuse("IoRequestDeviceEject", "any device: none can be ejected"))
}

fn ask(m: &mut Machine, device: Va, minor: u32, kind: u32) -> Outcome {
    let service = m.kernel_images.export("ntoskrnl.exe", "IopQueryDevice").unwrap_or(Va::NULL);
    m.start_work("plug and play", service, vec![device.0, minor.into(), kind.into()])?;
    Ok(Next::VOID)
}

/// What the system thread does.
fn IopQueryDevice(m: &mut Machine, device: Va, minor: u8, kind: u32) -> Outcome {
    ask_next(m, vec![Question { device, minor: minor.into(), kind }])
}

/// Sends the first of these questions to the top of its device's stack.
fn ask_next(m: &mut Machine, mut questions: Vec<Question>) -> Outcome {
    if questions.is_empty() {
        return Ok(Next::VOID);
    }
    let question = questions.remove(0);
    let draft = draft(m, Owner::Driver, question.device, Va::NULL, c::IRP_MJ_PNP, question.minor as u8)?;
    m.write_u32(irp::IO_STATUS_STATUS.at(draft.request), NtStatus::NOT_SUPPORTED.0)?;
    match question.minor {
        c::IRP_MN_QUERY_ID => m.write_u32(sl::PARAMETERS_QUERY_ID_ID_TYPE.at(draft.stack), question.kind)?,
        c::IRP_MN_QUERY_DEVICE_RELATIONS => {
            m.write_u32(sl::PARAMETERS_QUERY_DEVICE_RELATIONS_TYPE.at(draft.stack), question.kind)?;
        }
        c::IRP_MN_QUERY_CAPABILITIES => {
            let capabilities = m.blank_capabilities()?;
            let field = sl::PARAMETERS_DEVICE_CAPABILITIES_CAPABILITIES;
            m.write_u64(field.at(draft.stack), capabilities.0)?;
            m.write_u64(irp::TAIL_OVERLAY_AUXILIARY_BUFFER.at(draft.request), capabilities.0)?;
        }
        _ => {}
    }
    let service = m.kernel_images.export("ntoskrnl.exe", "IofCallDriver").unwrap_or(Va::NULL);
    let asked = Asked { question, request: draft.request, rest: questions };
    Ok(Next::call(service, &[draft.device.0, draft.request.0], Then::Io(io::Then::Asked(asked))))
}
