//! The good sample drivers (SAMPLES.md section 1): each sentence that says what a sample asserts is a test. That each
//! sample runs clean everywhere is a test of the crate `nonpaged`.

mod g01_serial;
mod g02_parallel;
mod g03_mixer;
mod g04_ftvol;
pub(crate) mod g04_load;
mod g05_beep;
mod g06_cdmaker;
mod g07_power;
mod g08_init;
mod g09_tables;
mod g10_apc;
mod g11_layout;
mod g12_stress;
mod stack;

use devices::{Bus, DeviceId, SerialLine, Uart16550};
use kernel::{Action, Options};
use memory::{MemoryConfig, TrimPolicy};
use nt_types::{Va, constants as c};

use crate::sample::{Lab, Setup};

/// The n-th control code of a sample.
fn code(n: u32) -> u32 {
    0x22_2000 + 4 * n
}

/// Both section alignments of a sample.
fn both(path: &str) -> [String; 2] {
    [path.to_owned(), format!("{path}-a80")]
}

/// A machine with this many processors that looks at them after so many instructions, and whose reads from the paging file
/// take about as long.
fn interleaved(trim: TrimPolicy, processors: usize, slice_steps: u64) -> Lab {
    let page_read_ns = 20 * slice_steps;
    let options = Options { processors, slice_steps, page_read_ns, ..Options::default() };
    Lab::with(options, MemoryConfig { trim, ..MemoryConfig::default() }, Bus::new())
}

/// A machine with serial ports that are looped back, and a Plug and Play driver that has started on each of them.
fn with_ports(setup: Setup, path: &str, ports: usize) -> (Lab, Va, Vec<Va>) {
    let mut bus = Bus::new();
    let places = [(0x3F8, 4), (0x2F8, 3)];
    let devices = places[..ports].iter().map(|(base, line)| {
        Uart16550::install(&mut bus, SerialLine::loopback_plug(), *base, *line).expect("the ports are free")
    });
    let devices: Vec<DeviceId> = devices.collect();
    let Setup { processors, verifier, slice_steps, .. } = setup;
    let options = Options { processors, verifier, slice_steps, ..Options::default() };
    let mut lab = Lab::with(options, MemoryConfig { trim: setup.trim, ..MemoryConfig::default() }, bus);
    let base = lab.load(path).expect("the driver starts");
    let started = devices.into_iter().map(|device| start_device(&mut lab, base, device)).collect();
    (lab, base, started)
}

/// Offers a device to the driver and starts it: its physical device object.
fn start_device(lab: &mut Lab, base: Va, device: DeviceId) -> Va {
    let request = lab.machine.add_device(base, device).expect("the driver has AddDevice");
    let added = lab.finish(request).expect("no bug check").expect("AddDevice returns");
    assert!(added.status.is_success());
    let (device, resources) = (Va(added.information), lab.machine.resource_list(device).expect("there is pool"));
    let start = Action::Pnp { device, minor: c::IRP_MN_START_DEVICE as u8, resources };
    let started = lab.act(start).expect("no bug check").expect("the start ends");
    assert!(started.status.is_success());
    device
}

/// Removes a device.
fn remove_device(lab: &mut Lab, device: Va) {
    let remove = Action::Pnp { device, minor: c::IRP_MN_REMOVE_DEVICE as u8, resources: Va::NULL };
    lab.act(remove).expect("no bug check").expect("the removal ends");
}

/// A file object for a device of the driver, by the number of the device.
fn open(lab: &mut Lab, base: Va, index: usize) -> Va {
    let name = lab.machine.openable_names(base).swap_remove(index);
    let opened = lab.act(Action::Open { name }).expect("no bug check").expect("the open ends");
    assert!(opened.status.is_success());
    Va(opened.information)
}
