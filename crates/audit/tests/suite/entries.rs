//! Routines that frameworks call: what they are called as, and at which levels.

use audit::FindingKind;
use driver_image::Image;

use crate::assembled::PROBE;
use crate::crafted::{Assembler, Data, Places, R8, R9, RAX, RDX, image};

/// Numbers of routines, what they are and from where to where their IRQL goes.
fn entries(image: &Image) -> Vec<String> {
    let audit = audit::audit(image, &[]).expect("it can be laid out");
    let text = image.sections()[0].rva.0;
    let mut named: Vec<(u32, String)> = audit
        .entries
        .iter()
        .filter(|entry| entry.role != "routine" && entry.role != "`DriverEntry` routine")
        .map(|entry| ((entry.routine.0 - text) / 16, format!("{} {}-{}", entry.role, entry.irql.0, entry.irql.1)))
        .collect();
    named.sort();
    named.into_iter().map(|(number, role)| format!("{number} {role}")).collect()
}

/// Where a structure lies on the stack.
const CONFIG: u32 = 0x40;
const ATTRIBUTES: u32 = 0x140;
/// Numbers of the framework's routines, in bytes of its table.
const DEVICE_CREATE: u32 = 75 * 8;
const DRIVER_CREATE: u32 = 116 * 8;
const INTERRUPT_CREATE: u32 = 141 * 8;
const QUEUE_CREATE: u32 = 152 * 8;
const TIMER_CREATE: u32 = 318 * 8;

/// `WDF_BIND_INFO` with the name of the library behind it, then the table or the pointer to it.
fn bind_info(places: &Places, minor_version: u32) -> Data {
    let mut data = Data::default();
    data.numbers(&[0x30, 0]).pointer(places.data + 0x30).numbers(&[1, minor_version, 0, 396]);
    data.pointer(places.data + 0x48).numbers(&[0, 0]).text("KmdfLibrary\0").zeros(8 * 396);
    data
}

const TABLE: u32 = 0x48;

/// A driver of this version of the framework.
fn framework(minor_version: u32, entry: impl Fn(&Places) -> Assembler) -> Image {
    image("wdfldr.sys", &["WdfVersionBind"], |places| bind_info(places, minor_version), entry)
}

/// Stores routines in a structure on the stack: number, and offset.
fn fill(entry: &mut Assembler, places: &Places, fields: &[(u32, u32)]) {
    for (number, offset) in fields {
        entry.lea(RAX, places.routine(*number)).store(CONFIG + offset);
    }
}

/// Stores an execution level in the attributes on the stack.
fn set_level(entry: &mut Assembler, level: u8) {
    let place = ATTRIBUTES + 0x18;
    entry.code(&[0xc7, 0x84, 0x24]).code(&place.to_le_bytes()).code(&[level, 0, 0, 0]); // mov dword [rsp+place], level
}

#[test]
fn callbacks_of_a_framework_driver() {
    let image = framework(9, |places| {
        let mut entry = places.entry();
        fill(&mut entry, places, &[(1, 0x08), (2, 0x10)]);
        entry.lea_stack(RAX, CONFIG).store(0x20).call(places.data + TABLE + DRIVER_CREATE);
        fill(&mut entry, places, &[(3, 0x18), (4, 0x20)]);
        entry.lea_stack(R8, CONFIG).call(places.data + TABLE + INTERRUPT_CREATE);
        entry
    });
    let expected = [
        "1 `AddDevice` routine 0-0",
        "2 `Unload` routine 0-0",
        "3 interrupt service routine 3-15",
        "4 DPC routine 2-2",
    ];
    assert_eq!(entries(&image), expected);
}

/// From version 1.13 the driver has a pointer to the table.
#[test]
fn callbacks_through_a_pointer_to_the_table() {
    let image = framework(15, |places| {
        let mut entry = places.entry();
        fill(&mut entry, places, &[(1, 0x18), (2, 0x28)]);
        entry.lea_stack(R8, CONFIG).call_through(places.data + TABLE, QUEUE_CREATE);
        entry
    });
    assert_eq!(entries(&image), ["1 callback routine 0-2", "2 callback routine 0-2"]);
}

/// PassiveHandling: the interrupt service routine is called by a thread.
#[test]
fn an_interrupt_that_is_handled_at_passive_level() {
    let image = framework(11, |places| {
        let mut entry = places.entry();
        fill(&mut entry, places, &[(1, 0x18)]);
        let passive = CONFIG + 0x58;
        entry.code(&[0xc6, 0x84, 0x24]).code(&passive.to_le_bytes()).code(&[1]); // mov byte [rsp+passive], 1
        entry.lea_stack(R8, CONFIG).call(places.data + TABLE + INTERRUPT_CREATE);
        entry
    });
    assert_eq!(entries(&image), ["1 callback routine 0-0"]);
}

/// WdfExecutionLevelPassive in the attributes of a queue or a timer.
#[test]
fn objects_whose_execution_level_is_passive() {
    let of = |passive: bool, function: u32, callback: u32, attributes: [u8; 3], config: [u8; 3]| {
        let image = framework(9, move |places| {
            let mut entry = places.entry();
            fill(&mut entry, places, &[(1, callback)]);
            if passive {
                set_level(&mut entry, 2);
            }
            entry.lea_stack(attributes, ATTRIBUTES).lea_stack(config, CONFIG);
            entry.call(places.data + TABLE + function);
            entry
        });
        entries(&image)
    };
    for passive in [false, true] {
        let expected = [if passive { "1 callback routine 0-0" } else { "1 callback routine 0-2" }];
        assert_eq!(of(passive, QUEUE_CREATE, 0x10, R9, R8), expected);
        assert_eq!(of(passive, TIMER_CREATE, 0x08, R8, RDX), expected);
    }
}

/// WdfExecutionLevelInheritFromParent: a queue has the level of its device, and that has the level of the driver.
#[test]
fn objects_that_inherit_their_execution_level() {
    let of = |driver: u8, device: u8, queue: u8| {
        let image = framework(9, move |places| {
            let mut entry = places.entry();
            for (level, attributes, function) in [(driver, R9, DRIVER_CREATE), (device, R8, DEVICE_CREATE)] {
                set_level(&mut entry, level);
                entry.lea_stack(attributes, ATTRIBUTES).call(places.data + TABLE + function);
            }
            fill(&mut entry, places, &[(1, 0x10)]);
            set_level(&mut entry, queue);
            entry.lea_stack(R9, ATTRIBUTES).lea_stack(R8, CONFIG).call(places.data + TABLE + QUEUE_CREATE);
            entry
        });
        entries(&image)
    };
    let (inherits, passive, dispatch) = (1, 2, 3);
    let cases = [
        (inherits, inherits, inherits, 2),
        (inherits, passive, inherits, 0),
        (passive, inherits, inherits, 0),
        (passive, dispatch, inherits, 2),
        (passive, passive, dispatch, 2),
        (dispatch, dispatch, passive, 0),
    ];
    for (driver, device, queue, highest) in cases {
        let expected = [format!("1 callback routine 0-{highest}")];
        assert_eq!(of(driver, device, queue), expected, "driver {driver}, device {device}, queue {queue}");
    }
}

/// EvtTimerFunc: a DPC, unless the timer is passive. What it inherits is certain where nothing is passive.
#[test]
fn timers_of_a_framework_driver() {
    let of = |driver: u8, device: u8, timer: u8| {
        let image = framework(9, move |places| {
            let mut entry = places.entry();
            for (level, attributes, function) in [(driver, R9, DRIVER_CREATE), (device, R8, DEVICE_CREATE)] {
                set_level(&mut entry, level);
                entry.lea_stack(attributes, ATTRIBUTES).call(places.data + TABLE + function);
            }
            fill(&mut entry, places, &[(1, 0x08)]);
            set_level(&mut entry, timer);
            entry.lea_stack(R8, ATTRIBUTES).lea_stack(RDX, CONFIG).call(places.data + TABLE + TIMER_CREATE);
            entry
        });
        entries(&image)
    };
    let (inherits, passive, dispatch) = (1, 2, 3);
    let cases = [
        (inherits, inherits, inherits, "1 DPC routine 2-2"),
        (dispatch, inherits, inherits, "1 DPC routine 2-2"),
        (inherits, passive, inherits, "1 callback routine 0-2"),
        (passive, inherits, inherits, "1 callback routine 0-2"),
        (passive, passive, dispatch, "1 DPC routine 2-2"),
        (dispatch, dispatch, passive, "1 callback routine 0-0"),
    ];
    for (driver, device, timer, expected) in cases {
        assert_eq!(of(driver, device, timer), [expected], "driver {driver}, device {device}, timer {timer}");
    }
}

/// A preprocess callback runs at the level of the requests that it is for, and a synchronised routine at that of the
/// interrupt.
#[test]
fn callbacks_for_a_major_function_and_for_an_interrupt() {
    let of = |minor_version: u32, function: u32, major: u8| {
        let image = framework(minor_version, |places| {
            let mut entry = places.entry();
            entry.lea(R8, places.routine(1)).code(&[0x41, 0xb1, major]); // mov r9b, major
            entry.call(places.data + TABLE + function * 8);
            entry
        });
        entries(&image)
    };
    assert_eq!(of(9, 73, 0x1b), ["1 dispatch routine 0-0"]);
    assert_eq!(of(9, 73, 0x16), ["1 dispatch routine 0-2"]);
    assert_eq!(of(9, 143, 0), ["1 `SynchCritSection` routine 3-15"]);
    assert!(of(11, 143, 0).is_empty(), "the interrupt may be handled at PASSIVE_LEVEL");
}

/// The lock of an interrupt raises IRQL to that of the device; from version 1.11 the interrupt may be handled at
/// PASSIVE_LEVEL, and nothing is certain. A spin lock raises to DISPATCH_LEVEL, the lock of an object perhaps.
#[test]
fn locks_of_a_framework_driver() {
    let levels = |minor_version: u32, acquire: u32, release: u32| -> Vec<u8> {
        let image = image(
            "wdfldr.sys",
            &["WdfVersionBind", PROBE],
            |places| bind_info(places, minor_version),
            |places| {
                let (acquire, release) = (places.data + TABLE + 8 * acquire, places.data + TABLE + 8 * release);
                let mut entry = places.entry();
                entry.call(acquire).call(places.slots[1]).call(release).call(places.slots[1]);
                entry
            },
        );
        let findings = audit::audit(&image, &[]).expect("it can be laid out").findings;
        let level = |kind| if let FindingKind::AboveApc { irql, .. } = kind { Some(irql) } else { None };
        findings.into_iter().filter_map(|finding| level(finding.kind)).collect()
    };
    assert_eq!(levels(9, 144, 145), [3]);
    assert_eq!(levels(11, 144, 145), [0; 0]);
    assert_eq!(levels(11, 316, 317), [2]);
    assert_eq!(levels(11, 310, 311), [0; 0]);
}

#[test]
fn handlers_of_a_network_miniport() {
    let imports = ["NdisMRegisterMiniportDriver", "NdisMRegisterInterruptEx"];
    let characteristics = |places: &Places| {
        let mut data = Data::default();
        data.zeros(0x18).pointer(places.routine(1)).zeros(0x28).pointer(places.routine(2));
        data
    };
    let image = image("ndis.sys", &imports, characteristics, |places| {
        let mut entry = places.entry();
        entry.lea(R9, places.data).call(places.slots[0]);
        fill(&mut entry, places, &[(3, 0x08), (4, 0x10)]);
        entry.lea_stack(R8, CONFIG).call(places.slots[1]);
        entry
    });
    let expected =
        ["1 callback routine 0-0", "2 callback routine 0-2", "3 interrupt service routine 3-15", "4 DPC routine 2-2"];
    assert_eq!(entries(&image), expected);
}

#[test]
fn callbacks_of_a_file_system_filter() {
    let registration = |places: &Places| {
        let mut data = Data::default();
        data.zeros(0x10).pointer(places.data + 0x70).pointer(places.routine(1)).zeros(0x50);
        data.numbers(&[3, 0]).pointer(places.routine(2)).pointer(places.routine(3)).zeros(8);
        data.numbers(&[0x80]).zeros(0x1c);
        data
    };
    let image = image("fltmgr.sys", &["FltRegisterFilter"], registration, |places| {
        let mut entry = places.entry();
        entry.lea(RDX, places.data).call(places.slots[0]);
        entry
    });
    assert_eq!(entries(&image), ["1 callback routine 0-0", "2 callback routine 0-1", "3 callback routine 0-2"]);
}

/// K28, and 0x1A: constants and pool are in no driver.
#[test]
fn k28_an_address_in_no_driver() {
    let imports = ["MmPageEntireDriver", "MmLockPagableDataSection", "ExAllocatePoolWithTag"];
    let image = image(
        "ntoskrnl.exe",
        &imports,
        |_| Data::default().zeros(8).clone(),
        |places| {
            let mut entry = places.entry();
            entry.code(&[0xb9, 0x00, 0x10, 0x00, 0x00]).call(places.slots[0]); // mov ecx, 1000h
            entry.code(&[0x31, 0xc9]).call(places.slots[2]); // xor ecx, ecx
            entry.code(&[0x48, 0x89, 0xc1]).call(places.slots[1]); // mov rcx, rax
            entry
        },
    );
    let findings = audit::audit(&image, &[]).expect("it can be laid out").findings;
    let kinds: Vec<String> = findings.iter().map(|finding| format!("{:?}", finding.kind)).collect();
    let expected = [
        "NoModule { routine: \"MmPageEntireDriver\", pool: false, locks: false }",
        "NoModule { routine: \"MmLockPagableDataSection\", pool: true, locks: true }",
    ];
    assert_eq!(kinds, expected);
}
