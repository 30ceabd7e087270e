//! The I/O manager.

use super::Export;
use crate::call::Outcome;
use nt_types::Va;

use crate::driver_life::Reinitialization;
use crate::machine::Machine;
use crate::ntos_image::KernelImages;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[];

/// What this family remembers.
#[derive(Clone, Default, Debug)]
pub struct State {
    reinitializations: Vec<Reinitialization>,
}

impl State {
    /// Address of the routine that answers a request nobody handles.
    pub(crate) fn invalid_device_request(&self, images: &KernelImages) -> Va {
        images.export("ntoskrnl.exe", "IopInvalidDeviceRequest").unwrap_or(Va::NULL)
    }

    /// The next queued Reinitialize routine of a driver.
    pub(crate) fn take_reinitialization(&mut self, driver_object: Va) -> Option<Reinitialization> {
        let index = self.reinitializations.iter().position(|queued| queued.driver_object == driver_object)?;
        Some(self.reinitializations.remove(index))
    }
}

/// Continuations of this family.
#[derive(Clone, Debug)]
pub enum Then {}

impl Then {
    pub(crate) fn run(self, _m: &mut Machine, _value: u64) -> Outcome {
        match self {}
    }
}

impl Machine {
    /// Requests that the driver at this base marked pending and has not completed, the one now in dispatch left out.
    pub(crate) fn pending_requests_of(&self, _base: Va) -> usize {
        0
    }

    /// Lets devices do what is due.
    pub(crate) fn advance_devices(&mut self) {
        self.bus.advance(self.now_ns());
    }
}

impl Machine {
    /// What a driver leaves behind when its image goes: connected interrupts, pool.
    pub(crate) fn check_left_behind(&mut self, _base: Va) {}
}
