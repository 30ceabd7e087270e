//! Driver objects: Reinitialize routines and the default dispatch routine.

use nt_types::layout::{driver_extension, driver_object, irp};
use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome, Trap};
use crate::driver_life::Reinitialization;
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoRegisterBootDriverReinitialization = IoRegisterDriverReinitialization(driver: Va, routine: Va, context: u64), PASSIVE),
    export!(Ntoskrnl, IoRegisterDriverReinitialization(driver: Va, routine: Va, context: u64), PASSIVE),
    export!(Ntoskrnl, IopInvalidDeviceRequest(device: Va, request: Va), DISPATCH),
];

fn IoRegisterDriverReinitialization(m: &mut Machine, driver: Va, routine: Va, context: u64) -> Outcome {
    let extension = m.read_va(driver_object::DRIVER_EXTENSION.at(driver))?;
    let count = m.read_u32(driver_extension::COUNT.at(extension))?.wrapping_add(1);
    m.write_u32(driver_extension::COUNT.at(extension), count)?;
    m.io.reinitializations.push(Reinitialization { driver_object: driver, routine, context, count });
    Ok(Next::VOID)
}

/// What `MajorFunction` holds where a driver sets nothing.
fn IopInvalidDeviceRequest(m: &mut Machine, _device: Va, request: Va) -> Outcome {
    let status = NtStatus::INVALID_DEVICE_REQUEST;
    m.write_u32(irp::IO_STATUS_STATUS.at(request), status.0)?;
    m.write_u64(irp::IO_STATUS_INFORMATION.at(request), 0)?;
    m.complete_request(request, status)
}

impl Machine {
    /// The driver object with this name: `\\Driver\\name`.
    pub(crate) fn driver_named(&mut self, name: &str) -> Result<Option<Va>, Trap> {
        let loaded = self.modules.drivers().map(|driver| driver.driver_object);
        let objects: Vec<Va> = loaded.chain(self.io.drivers.iter().copied()).collect();
        for object in objects.into_iter().filter(|object| !object.is_null()) {
            if self.read_text(driver_object::DRIVER_NAME.at(object))?.eq_ignore_ascii_case(name) {
                return Ok(Some(object));
            }
        }
        Ok(None)
    }
}
