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

/// A question on its way.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    request: Va,
    minor: u8,
}

impl Asked {
    pub(super) fn run(self, m: &mut Machine) -> Outcome {
        if m.is_outstanding(self.request) {
            return Ok(Next::Wait(Wait::on(WaitOn::Irp(self.request)), Then::Io(io::Then::Asked(self))));
        }
        let status = NtStatus(m.read_u32(irp::IO_STATUS_STATUS.at(self.request))?);
        let information = m.read_u64(irp::IO_STATUS_INFORMATION.at(self.request))?;
        if status.is_success() {
            answer(m, self.minor, information)?;
        }
        m.forget_irp(self.request);
        Ok(Next::VOID)
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
    let draft = draft(m, Owner::Driver, device, Va::NULL, c::IRP_MJ_PNP, minor)?;
    m.write_u32(irp::IO_STATUS_STATUS.at(draft.request), NtStatus::NOT_SUPPORTED.0)?;
    m.write_u32(sl::PARAMETERS_QUERY_DEVICE_RELATIONS_TYPE.at(draft.stack), kind)?;
    let service = m.kernel_images.export("ntoskrnl.exe", "IofCallDriver").unwrap_or(Va::NULL);
    let then = Then::Io(io::Then::Asked(Asked { request: draft.request, minor }));
    Ok(Next::call(service, &[draft.device.0, draft.request.0], then))
}

/// The devices that a bus driver reports stay without a function driver: no other driver is installed.
fn answer(m: &mut Machine, minor: u8, information: u64) -> Result<(), crate::call::Trap> {
    const BAD: u32 = c::PNP_DEVICE_FAILED | c::PNP_DEVICE_REMOVED | c::PNP_DEVICE_DISABLED;
    if u32::from(minor) == c::IRP_MN_QUERY_PNP_DEVICE_STATE {
        if information as u32 & BAD != 0 {
            return Err(m.refuse("IoInvalidateDeviceState", format!("a device in state {information:#x}")));
        }
        return Ok(());
    }
    let relations = Va(information);
    m.pool_free(relations);
    Ok(())
}
