//! The device that a driver is offered, from AddDevice to IRP_MN_START_DEVICE.

use devices::DeviceId;
use driver_image::ImportedSymbol;
use kernel::{Action as Request, Machine, RequestId};
use nt_types::{NtStatus, Va, constants as c};

use super::{Outcome, PATIENCE_NS, PlayError, Player, Task, status_of, stopped};

/// Routines without which a driver cannot use device memory (docs: kernel/mapping-bus-relative-addresses-to-virtual-addresses).
const MAPS_DEVICE_MEMORY: [&str; 2] = ["MmMapIoSpace", "MmMapIoSpaceEx"];

impl Player {
    /// Offers a device to a driver that wants some: which one it is for is in no image, but a driver that maps device
    /// memory gets the card, which has some besides ports and an interrupt, and others the serial port.
    pub(super) fn start(&mut self, m: &mut Machine) -> Result<(), PlayError> {
        self.outcome = Outcome::Status(NtStatus::SUCCESS);
        if m.add_device_routine(self.base).map_err(|trap| stopped(m, trap))?.is_some() {
            let device = if self.maps_device_memory() { self.devices.card } else { self.devices.serial };
            self.before([Task::Offer(device)]);
        }
        Ok(())
    }

    fn maps_device_memory(&self) -> bool {
        let mut imports = self.driver.image.imports().iter().flat_map(|module| &module.imports);
        imports.any(|import| {
            matches!(&import.symbol, ImportedSymbol::Name { name, .. }
            if MAPS_DEVICE_MEMORY.contains(&name.as_str()))
        })
    }

    pub(super) fn offer(&mut self, m: &mut Machine, device: DeviceId) -> Result<(), PlayError> {
        let id = m.add_device(self.base, device).map_err(|trap| stopped(m, trap))?;
        self.before([Task::Wait(id, None), Task::Added(device, id)]);
        Ok(())
    }

    /// Starts the device if the driver took it.
    pub(super) fn added(&mut self, m: &mut Machine, device: DeviceId, id: RequestId) -> Result<(), PlayError> {
        let status = status_of(m, id);
        self.outcome = Outcome::Status(status);
        if !status.is_success() {
            return Ok(());
        }
        let object = m.answer_of(id).map_or(Va::NULL, |answer| Va(answer.information));
        let resources = m.resource_list(device).map_err(|trap| stopped(m, trap))?;
        let minor = c::IRP_MN_START_DEVICE as u8;
        let id = self.act(m, "start device", Request::Pnp { device: object, minor, resources })?;
        self.before([Task::Wait(id, Some(PATIENCE_NS)), Task::Started(id, object)]);
        Ok(())
    }

    /// A device that did not start is removed (docs: kernel/irp-mn-start-device): the exercise sees to it.
    pub(super) fn started(&mut self, m: &Machine, id: RequestId, device: Va) {
        let status = status_of(m, id);
        self.outcome = Outcome::Status(status);
        self.device = Some(device);
        if self.lenient && !status.is_success() {
            self.before([Task::Pnp { device, minor: c::IRP_MN_REMOVE_DEVICE as u8, title: "remove device" }]);
            self.device = None;
        }
        if self.lenient {
            self.before([Task::Done("start device".to_owned())]);
        }
    }
}
