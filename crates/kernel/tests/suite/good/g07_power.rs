//! G7: power code that is locked or not, by DO_POWER_PAGABLE (R20, R204).

use kernel::{Action, EventKind};
use nt_types::{Va, constants as c};

use super::{both, code, open, remove_device, with_ports};
use crate::sample::{Lab, Setup};

/// `DevicePowerState` of POWER_STATE_TYPE.
const DEVICE_POWER_STATE: u32 = 1;
const D0: u32 = 1;
const D3: u32 = 4;

/// Sets the state of the device: the IRQL at which the driver got the request.
fn set_power(lab: &mut Lab, device: Va, state: u32) -> u8 {
    let action = Action::Power { device, minor: c::IRP_MN_SET_POWER as u8, kind: DEVICE_POWER_STATE, state };
    let answer = lab.act(action).expect("no bug check").expect("it ends");
    assert!(answer.status.is_success(), "{}", answer.status);
    let sent = lab.events(|event| match event.kind {
        EventKind::IrpSent { major, .. } if u32::from(major) == c::IRP_MJ_POWER => Some(event.irql.level()),
        _ => None,
    });
    *sent.iter().max().expect("it was sent")
}

/// R20: with the flag clear the request comes at DISPATCH_LEVEL; AddDevice has locked PAGE_PWR, and removal unlocks it.
#[test]
fn g7_r20_flag_clear_power_runs_at_dispatch_level() {
    for path in both("power/power") {
        let (mut lab, base, devices) = with_ports(Setup::TRIMMED, &path, 1);
        assert_eq!((lab.count(base, "PAGE_PWR"), lab.is_whole(base, "PAGE_PWR")), (1, true), "{path}");
        let file = open(&mut lab, base, 0);
        for state in [D3, D0] {
            assert_eq!(set_power(&mut lab, devices[0], state), 2, "{path}");
            assert_eq!(lab.ask(file, code(0), 0).expect("no bug check"), state, "{path}");
        }
        lab.close(file).expect("no bug check");
        remove_device(&mut lab, devices[0]);
        assert_eq!(lab.counts(lab.section_id(base, "PAGE_PWR")), [1, 0], "{path}");
        lab.unload(base).expect("no bug check");
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

/// R20: with the flag set it comes at PASSIVE_LEVEL; nothing is ever locked, and the code is paged in when it runs.
#[test]
fn g7_r20_flag_set_unlocked_code_is_paged_in() {
    for path in both("power/power-pagable") {
        let (mut lab, base, devices) = with_ports(Setup::TRIMMED, &path, 1);
        let file = open(&mut lab, base, 0);
        for state in [D3, D0] {
            lab.evict_all();
            let before = lab.machine.memory.counters().pages_read;
            assert_eq!(set_power(&mut lab, devices[0], state), 0, "{path}");
            // Aligned to 128 bytes its first and last page are shared with code that stays.
            let came_in = lab.machine.memory.counters().pages_read > before;
            assert_eq!(came_in, !path.ends_with("a80"), "{path}");
            assert_eq!(lab.ask(file, code(0), 0).expect("no bug check"), state, "{path}");
        }
        assert!(lab.counts(lab.section_id(base, "PAGE_PWR")).is_empty(), "{path}");
        lab.close(file).expect("no bug check");
        remove_device(&mut lab, devices[0]);
        lab.unload(base).expect("no bug check");
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

/// R41, R3: a name of PAGE and `_PWR` begins with PAGE, so the section is pageable.
#[test]
fn g7_r41_an_underscore_in_the_name_counts_as_page() {
    for path in both("power/power") {
        let (lab, base, _) = with_ports(Setup::TRIMMED, &path, 1);
        assert!(lab.section(base, "PAGE_PWR").pageable, "{path}");
        let pageable = |page: &&Va| lab.machine.memory.paging().page(page.0 >> 12).is_some_and(|page| page.in_load_map);
        assert!(lab.pages(base, "PAGE_PWR").iter().any(|page| pageable(&page)), "{path}");
    }
}
