//! Which devices a paging file lies on (docs: kernel/irp-mn-device-usage-notification): their drivers, and all others of their
//! stacks, are in the paging path (R8, R19).

use std::collections::{BTreeMap, BTreeSet};

use nt_types::layout::{device_object, driver_object, io_stack_location as sl};
use nt_types::{NtStatus, Va, constants as c};

use crate::call::Trap;
use crate::finding::FindingKind;
use crate::machine::Machine;

/// `DeviceUsageTypePaging` of DEVICE_USAGE_NOTIFICATION_TYPE.
pub(super) const DEVICE_USAGE_TYPE_PAGING: u32 = 1;

/// Who was told of paging files.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct PagingPath {
    /// By notification on its way: whether a paging file comes, and the devices it was sent to.
    told: BTreeMap<Va, (bool, BTreeSet<Va>)>,
    /// Paging files by device.
    files: BTreeMap<Va, u32>,
}

impl PagingPath {
    pub(super) fn forget_device(&mut self, device: Va) {
        self.files.remove(&device);
    }
}

impl Machine {
    /// A Plug and Play request with this stack location goes to a device.
    pub(super) fn note_usage(&mut self, request: Va, stack: Va, device: Va) -> Result<(), Trap> {
        if self.read_u32(sl::PARAMETERS_USAGE_NOTIFICATION_TYPE.at(stack))? != DEVICE_USAGE_TYPE_PAGING {
            return Ok(());
        }
        let in_path = self.read_u8(sl::PARAMETERS_USAGE_NOTIFICATION_IN_PATH.at(stack))? != 0;
        self.io.paging_path.told.entry(request).or_insert((in_path, BTreeSet::new())).1.insert(device);
        Ok(())
    }

    /// A request is complete. If it was about a paging file, and all drivers agreed, the stacks it went through are in the
    /// paging path from now on, or out of it.
    pub(super) fn settle_usage(&mut self, request: Va, status: NtStatus) -> Result<(), Trap> {
        let Some((in_path, told)) = self.io.paging_path.told.remove(&request) else { return Ok(()) };
        if !status.is_success() {
            return Ok(());
        }
        let mut devices = BTreeSet::new();
        for device in told {
            let bottom = self.bottom_of_stack(device)?;
            devices.extend(self.stack_from(bottom)?);
        }
        for device in devices {
            let files = self.io.paging_path.files.get(&device).copied().unwrap_or(0);
            let files = if in_path { files.saturating_add(1) } else { files.saturating_sub(1) };
            self.lies_in_paging_path(device, files)?;
        }
        Ok(())
    }

    /// What is attached above a device of the paging path is in it, too.
    pub(super) fn attached_above(&mut self, source: Va, below: Va) -> Result<(), Trap> {
        let files = self.io.paging_path.files.get(&below).copied().unwrap_or(0);
        self.lies_in_paging_path(source, files)
    }

    fn lies_in_paging_path(&mut self, device: Va, files: u32) -> Result<(), Trap> {
        if files == 0 {
            self.io.paging_path.forget_device(device);
            return Ok(());
        }
        self.io.paging_path.files.insert(device, files);
        self.check_paging_path(device)
    }

    /// K23: the routines of a driver in the paging path for reads, writes and power must not be pageable, locked or not.
    fn check_paging_path(&mut self, device: Va) -> Result<(), Trap> {
        let driver = self.read_va(device_object::DRIVER_OBJECT.at(device))?;
        for major in [c::IRP_MJ_READ, c::IRP_MJ_WRITE, c::IRP_MJ_POWER] {
            let routine = self.read_va(driver_object::MAJOR_FUNCTION.element(major, 8).at(driver))?;
            if self.pageable_section(routine).is_some() {
                self.find(FindingKind::K23PagingPathPageable { routine, major: major as u8 }, routine);
            }
        }
        Ok(())
    }
}
