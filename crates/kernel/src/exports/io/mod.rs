//! The I/O manager.

mod complete;
mod description;
mod device;
mod draft;
mod driver;
pub mod exercise;
mod file;
mod irp;
mod names;
pub mod pnp;

use std::collections::BTreeMap;

use nt_types::Va;

use super::Export;
use crate::call::Outcome;
use crate::driver_life::Reinitialization;
use crate::machine::Machine;
use crate::ntos_image::KernelImages;

pub use irp::Owner;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[
    complete::EXPORTS,
    description::EXPORTS,
    device::EXPORTS,
    driver::EXPORTS,
    file::EXPORTS,
    irp::EXPORTS,
    names::EXPORTS,
    pnp::EXPORTS,
];

/// What this family remembers.
#[derive(Clone, Default, Debug)]
pub struct State {
    pub(crate) reinitializations: Vec<Reinitialization>,
    pub(crate) names: names::Names,
    pub(crate) requests: BTreeMap<Va, irp::Live>,
    pub(crate) pnp: pnp::Pnp,
}

/// Continuations of this family.
#[derive(Clone, Debug)]
pub enum Then {
    /// A completion routine returned.
    Completing(complete::Completing),
    /// A cancel routine returned.
    Cancelled,
    /// A request about a file that a driver opened.
    File(file::FileRequest),
    /// A step of a harness request.
    Exercise(exercise::Step),
    /// A step of Plug and Play.
    Pnp(pnp::Step),
}

impl Then {
    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            Then::Completing(then) => then.run(m, value),
            Then::Cancelled => Ok(crate::call::Next::Return(1)),
            Then::File(then) => then.run(m),
            Then::Exercise(step) => step.run(m, value),
            Then::Pnp(step) => step.run(m, value),
        }
    }
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

impl Machine {
    /// Lets devices do what is due.
    pub(crate) fn advance_devices(&mut self) {
        self.bus.advance(self.now_ns());
    }
}
