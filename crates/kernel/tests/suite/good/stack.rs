//! A filter over a function driver over a bus driver: what the Plug and Play manager asks the bus, and what it does with the
//! devices that it learns of (docs: kernel/adding-a-pnp-device-to-a-running-system).

use kernel::{Action, EventKind};
use nt_types::{NtStatus, Va, constants as c};

use super::with_ports;
use crate::sample::{Lab, Setup};

const DEVICE: &str = "stackbus\\DEVICE";
const PULL: u32 = 0x22_2000;
const PLUG: u32 = 0x22_2004;

/// The bus on a started controller, whose physical device object comes with it.
fn with_bus() -> (Lab, Va, Va) {
    let (mut lab, bus, controllers) = with_ports(Setup::TRIMMED, "stack/bus", 1);
    lab.pass_ms(1).expect("the device is reported");
    (lab, bus, controllers[0])
}

fn pnp(lab: &mut Lab, device: Va, minor: u32) -> NtStatus {
    let resources = lab.machine.child_resources(device);
    let action = Action::Pnp { device, minor: minor as u8, resources };
    lab.act(action).expect("no bug check").expect("it ends").status
}

/// Function driver and filter on the device, which is started.
fn build(lab: &mut Lab) -> Va {
    let device = lab.machine.child_device(DEVICE).expect("it is reported");
    for path in ["stack/function", "stack/filter"] {
        let base = lab.load(path).expect("it starts");
        let request = lab.machine.offer_device(base, device).expect("it is offered");
        let answer = lab.finish(request).expect("no bug check").expect("it ends");
        assert_eq!(answer.status, NtStatus::SUCCESS, "{path}");
    }
    assert_eq!(pnp(lab, device, c::IRP_MN_START_DEVICE), NtStatus::SUCCESS);
    device
}

/// Minor functions of the Plug and Play requests that this device got, in order.
fn asked(lab: &Lab, wanted: Va) -> Vec<u32> {
    lab.events(|event| match event.kind {
        EventKind::IrpSent { major, minor, device, .. } if u32::from(major) == c::IRP_MJ_PNP && device == wanted => {
            Some(minor.into())
        }
        _ => None,
    })
}

fn pull_or_plug(lab: &mut Lab, bus: Va, code: u32) {
    let file = lab.open(bus).expect("it opens");
    assert_eq!(lab.ioctl(file, code, 0).expect("no bug check"), Some(NtStatus::SUCCESS));
    lab.close(file).expect("it closes");
    lab.pass_ms(1).expect("no bug check");
}

/// The documented order of questions about a new device; its identification is then known, in any case.
#[test]
fn a_reported_device_is_asked_what_it_is() {
    let (lab, ..) = with_bus();
    assert_eq!(lab.machine.child_ids(), ["STACKBUS\\Device"]);
    let device = lab.machine.child_device(DEVICE).expect("it is reported");
    let questions = [
        c::IRP_MN_QUERY_ID,
        c::IRP_MN_QUERY_CAPABILITIES,
        c::IRP_MN_QUERY_ID,
        c::IRP_MN_QUERY_ID,
        c::IRP_MN_QUERY_ID,
        c::IRP_MN_QUERY_RESOURCES,
        c::IRP_MN_QUERY_RESOURCE_REQUIREMENTS,
    ];
    assert_eq!(asked(&lab, device), questions);
    assert!(!lab.machine.child_resources(device).is_null(), "it has a port");
}

/// A device that is reported again is not asked again.
#[test]
fn a_device_that_is_known_is_not_asked_again() {
    let (mut lab, bus, _) = with_bus();
    let device = lab.machine.child_device(DEVICE).expect("it is reported");
    let before = asked(&lab, device);
    pull_or_plug(&mut lab, bus, PLUG);
    assert_eq!(asked(&lab, device), before);
}

/// docs: kernel/handling-an-irp-mn-surprise-removal-request: a started device that is reported no more gets a surprise
/// removal and then a removal, from the top of its stack down; it may come back.
#[test]
fn a_started_device_that_is_missing_is_removed_by_surprise() {
    let (mut lab, bus, _) = with_bus();
    let device = build(&mut lab);
    let before = asked(&lab, device).len();
    pull_or_plug(&mut lab, bus, PULL);
    assert_eq!(asked(&lab, device)[before..], [c::IRP_MN_SURPRISE_REMOVAL, c::IRP_MN_REMOVE_DEVICE]);
    assert_eq!(lab.machine.child_device(DEVICE), None);
    pull_or_plug(&mut lab, bus, PLUG);
    assert_eq!(lab.machine.child_device(DEVICE), Some(device));
}

/// A device that was never started is removed without a surprise.
#[test]
fn a_device_that_was_not_started_is_just_removed() {
    let (mut lab, bus, _) = with_bus();
    let device = lab.machine.child_device(DEVICE).expect("it is reported");
    let before = asked(&lab, device).len();
    pull_or_plug(&mut lab, bus, PULL);
    assert_eq!(asked(&lab, device)[before..], [c::IRP_MN_REMOVE_DEVICE]);
}

/// The removal that follows a surprise would wait for open handles, which is not modelled.
#[test]
fn pulling_out_a_device_that_is_open_is_refused() {
    let (mut lab, bus, _) = with_bus();
    build(&mut lab);
    let name = "\\Device\\StackFunction".to_owned();
    lab.act(Action::Open { name }).expect("no bug check").expect("it opens");
    let file = lab.open(bus).expect("it opens");
    lab.ioctl(file, PULL, 0).expect("the manager asks later");
    let stop = lab.pass_ms(1).expect_err("it is refused");
    assert!(format!("{:?}", stop.kind).contains("a device that is open"), "{:?}", stop.kind);
}

/// When the bus goes, so does what it reported; nothing is left of either.
#[test]
fn with_the_bus_its_devices_are_forgotten() {
    let (mut lab, bus, controller) = with_bus();
    let device = build(&mut lab);
    for minor in [c::IRP_MN_QUERY_REMOVE_DEVICE, c::IRP_MN_REMOVE_DEVICE] {
        assert_eq!(pnp(&mut lab, device, minor), NtStatus::SUCCESS);
    }
    assert!(lab.machine.is_child(device), "it is still there");
    for minor in [c::IRP_MN_QUERY_REMOVE_DEVICE, c::IRP_MN_REMOVE_DEVICE] {
        assert_eq!(pnp(&mut lab, controller, minor), NtStatus::SUCCESS);
    }
    assert!(!lab.machine.is_child(device));
    lab.unload(bus).expect("it goes");
    assert!(lab.codes().is_empty(), "{:?}", lab.codes());
}
