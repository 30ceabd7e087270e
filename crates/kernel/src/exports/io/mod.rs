//! The I/O manager.

mod attach;
mod build;
mod complete;
mod completion_ex;
mod configuration;
mod create_driver;
mod csq;
mod description;
mod detection;
mod device;
mod draft;
mod driver;
mod enumeration;
mod error_log;
pub mod exercise;
mod extension;
mod file;
mod file_information;
mod file_io;
mod forward;
mod hard_error;
mod identity;
mod interface;
mod irp;
mod names;
mod notification;
mod paging_path;
mod pci;
pub mod pnp;
mod property;
mod relations;
mod remove_lock;
mod shutdown;
mod start_io;
mod timer;
mod wmi;
pub mod wmi_request;
mod work_item;

use std::collections::{BTreeMap, BTreeSet};

use nt_types::Va;

use super::Export;
use crate::call::Outcome;
use crate::driver_life::Reinitialization;
use crate::machine::Machine;
use crate::ntos_image::KernelImages;

pub use irp::Owner;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[
    attach::EXPORTS,
    build::EXPORTS,
    complete::EXPORTS,
    completion_ex::EXPORTS,
    configuration::EXPORTS,
    create_driver::EXPORTS,
    csq::EXPORTS,
    description::EXPORTS,
    detection::EXPORTS,
    device::EXPORTS,
    driver::EXPORTS,
    error_log::EXPORTS,
    extension::EXPORTS,
    file::EXPORTS,
    file_information::EXPORTS,
    file_io::EXPORTS,
    forward::EXPORTS,
    hard_error::EXPORTS,
    interface::EXPORTS,
    irp::EXPORTS,
    names::EXPORTS,
    notification::EXPORTS,
    pci::EXPORTS,
    pnp::EXPORTS,
    property::EXPORTS,
    relations::EXPORTS,
    remove_lock::EXPORTS,
    shutdown::EXPORTS,
    start_io::EXPORTS,
    timer::EXPORTS,
    wmi::EXPORTS,
    work_item::EXPORTS,
];

/// What this family remembers.
#[derive(Clone, Default, Hash, Debug)]
pub struct State {
    pub(crate) reinitializations: Vec<Reinitialization>,
    pub(crate) names: names::Names,
    pub(crate) requests: BTreeMap<Va, irp::Live>,
    /// Files whose handle a program has closed.
    pub(crate) closed: BTreeSet<Va>,
    pub(crate) pnp: pnp::Pnp,
    /// What each attached device is attached to.
    pub(crate) attached_to: BTreeMap<Va, Va>,
    claims: Vec<detection::Claim>,
    configuration: Option<Va>,
    /// Driver objects of IoCreateDriver.
    pub(crate) drivers: Vec<Va>,
    extensions: extension::Extensions,
    /// The GENERIC_MAPPING of files, once somebody asked for it.
    pub(crate) file_mapping: Option<Va>,
    /// File objects, and the device that each was opened on.
    files: BTreeMap<Va, Va>,
    held_devices: BTreeMap<Va, device::Held>,
    file_system_watchers: Vec<(Va, Va)>,
    interfaces: Vec<interface::Interface>,
    paging_path: paging_path::PagingPath,
    /// Devices that called IoSetStartIoAttributes.
    start_io: BTreeMap<Va, start_io::Attributes>,
    watchers: Vec<notification::Watcher>,
    without_hard_errors: BTreeSet<crate::thread::ThreadId>,
    /// The device that a thread must verify, by thread object.
    devices_to_verify: BTreeMap<Va, Va>,
    wmi_providers: BTreeSet<Va>,
}

/// Continuations of this family.
#[derive(Clone, Hash, Debug)]
pub enum Then {
    /// A completion routine returned.
    Completing(complete::Completing),
    /// A completion routine of IoSetCompletionRoutineEx returned.
    UnloadSafe(completion_ex::Completed),
    /// A cancel routine returned.
    Cancelled,
    /// A request about a file that a driver opened.
    File(file::FileRequest),
    /// A step of a harness request.
    Exercise(exercise::Step),
    /// A step of Plug and Play.
    Pnp(pnp::Step),
    /// StartIo returned.
    Started(start_io::Started),
    /// A routine of a cancel-safe queue returned.
    Csq(csq::Operation),
    /// A request by handle is on its way.
    FileIo(file_io::FileIo),
    /// The initialisation routine of IoCreateDriver returned.
    Created(create_driver::Created),
    /// A request was sent on.
    Forwarded(forward::Forwarded),
    /// A question of the Plug and Play manager is on its way.
    Asked(relations::Asked),
}

impl Then {
    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            Then::Completing(then) => then.run(m, value),
            Then::UnloadSafe(then) => then.run(m, value),
            Then::Cancelled => Ok(crate::call::Next::Return(1)),
            Then::File(then) => then.run(m),
            Then::Exercise(step) => step.run(m, value),
            Then::Pnp(step) => step.run(m, value),
            Then::Started(then) => then.run(m),
            Then::Csq(operation) => operation.run(m, value),
            Then::FileIo(then) => then.run(m, value),
            Then::Created(then) => then.run(m, value),
            Then::Forwarded(then) => then.run(m),
            Then::Asked(asked) => asked.run(m),
        }
    }
}

impl State {
    /// A device goes.
    fn forget_device(&mut self, device: Va) {
        self.names.remove_device(device);
        self.attached_to.remove(&device);
        self.start_io.remove(&device);
        self.wmi_providers.remove(&device);
        self.paging_path.forget_device(device);
    }

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
