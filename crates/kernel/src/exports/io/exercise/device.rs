//! Requests to the stack of a device: power, Plug and Play, WMI.

use nt_types::layout::{device_object, file_object, io_stack_location, irp};
use nt_types::{Irql, NtStatus, Va, constants as c};

use super::{Kind, Sent, plain, refuse, send};
use crate::call::Outcome;
use crate::exports::io::draft::draft;
use crate::exports::io::irp::Owner;
use crate::exports::io::paging_path::DEVICE_USAGE_TYPE_PAGING;
use crate::exports::io::wmi_request::WmiRequest;
use crate::machine::Machine;
use crate::request::RequestId;

/// A driver without DO_POWER_PAGABLE must expect power requests at `DISPATCH_LEVEL`, so it gets them there (R20).
pub(super) fn power(m: &mut Machine, id: RequestId, device: Va, minor: u8, kind: u32, state: u32) -> Outcome {
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

pub(super) fn paging_path(m: &mut Machine, id: RequestId, file: Va, in_path: bool) -> Outcome {
    use io_stack_location as sl;
    let device = m.read_va(file_object::DEVICE_OBJECT.at(file))?;
    let minor = c::IRP_MN_DEVICE_USAGE_NOTIFICATION as u8;
    let draft = draft(m, Owner::Harness(id), device, Va::NULL, c::IRP_MJ_PNP, minor)?;
    m.write_u32(irp::IO_STATUS_STATUS.at(draft.request), NtStatus::NOT_SUPPORTED.0)?;
    m.write_u8(sl::PARAMETERS_USAGE_NOTIFICATION_IN_PATH.at(draft.stack), in_path.into())?;
    m.write_u32(sl::PARAMETERS_USAGE_NOTIFICATION_TYPE.at(draft.stack), DEVICE_USAGE_TYPE_PAGING)?;
    send(m, &draft, plain(id, draft.request))
}

pub(super) fn pnp(m: &mut Machine, id: RequestId, device: Va, minor: u8, resources: Va) -> Outcome {
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

pub(super) fn wmi(
    m: &mut Machine,
    id: RequestId,
    device: Va,
    asked: (&[u8; 16], &WmiRequest),
    output_length: u32,
) -> Outcome {
    let Some(drafted) = m.draft_wmi(id, device, asked, output_length)? else {
        return refuse(m, id, NtStatus::WMI_GUID_NOT_FOUND);
    };
    let (draft, kind) = (drafted.draft, Kind::Wmi(drafted.minor));
    let sent = Sent { output: Some(drafted.buffer), blocks: drafted.blocks, kind, ..plain(id, draft.request) };
    send(m, &draft, sent)
}
