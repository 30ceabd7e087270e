//! The decision tables of faults, row by row (BEHAVIOUR.md sections 8.1 and 8.2).

use kernel::Options;
use memory::{MemoryConfig, TrimReason};
use nt_types::Va;

use crate::probe::Probe;
use crate::sample::bug_check;

const APC: u8 = 1;
const DISPATCH: u8 = 2;

/// What is done to an address.
#[derive(Clone, Copy, Debug)]
enum Access {
    Read,
    Write,
    Execute,
}

/// Does it at this IRQL; the bug check, and the instruction that it has to name.
fn refused(probe: &mut Probe, irql: u8, access: Access, address: Va) -> (u32, [u64; 4], u64) {
    let (routine, instruction) = match access {
        Access::Read => (probe.reader(), probe.reader()),
        Access::Write => (probe.writer(), probe.writer()),
        // Such an address never becomes the instruction pointer: it is the call that fails.
        Access::Execute if !address.is_canonical() => (address, probe.caller()),
        Access::Execute => (address, address),
    };
    let stop = probe.call(irql, routine, [address.0, 0]).expect_err("the access is refused");
    let check = bug_check(&stop);
    (check.code.0, check.parameters, instruction.0)
}

/// Never used for anything, and canonical.
const NOWHERE: Va = Va(0xFFFF_9000_0000_0000);

/// No processor translates it.
const NOT_CANONICAL: Va = Va(0x00FF_9000_0000_0000);

type Target = fn(&Probe) -> Va;

/// R160, R161, R164, R169, D41, D43: above `APC_LEVEL` what is absent is 0xD1 for a driver, whatever made it absent.
#[test]
fn r160_absent_above_apc_level() {
    let targets: [(&str, Target); 4] = [
        ("out", |probe| probe.paged()),
        ("discarded", |probe| probe.init()),
        ("never mapped", |_| NOWHERE),
        ("not canonical", |_| NOT_CANONICAL),
    ];
    for (what, target) in targets {
        for (access, operation) in [(Access::Read, 0), (Access::Write, 1), (Access::Execute, 8)] {
            let mut probe = Probe::plain();
            let address = target(&probe);
            let (code, parameters, instruction) = refused(&mut probe, DISPATCH, access, address);
            assert_eq!((code, parameters), (0xD1, [address.0, 2, operation, instruction]), "{what}, {access:?}");
        }
    }
}

/// R166: at or below `APC_LEVEL` an absent pageable page comes back, and the access goes on.
#[test]
fn r166_out_at_apc_level_comes_back() {
    for irql in [0, APC] {
        for access in [Access::Read, Access::Write, Access::Execute] {
            let mut probe = Probe::plain();
            let address = probe.paged();
            assert!(!probe.is_resident(address), "D1");
            let routine = match access {
                Access::Read => probe.reader(),
                Access::Write => probe.writer(),
                Access::Execute => address,
            };
            probe.call(irql, routine, [address.0, 0]).expect("the page comes back");
            assert!(probe.is_resident(address), "{access:?}");
        }
    }
}

/// R58, R169, D12, D44: 0x50 and its fourth parameter.
#[test]
fn d44_absent_for_good_at_passive_level() {
    let targets: [(&str, Target, u64); 4] = [
        ("discarded", |probe| probe.init(), 0),
        ("never mapped", |_| NOWHERE, 2),
        ("not canonical", |_| NOT_CANONICAL, 4),
        ("handle range", |_| Va(section_paging::Handle::RANGE.start), 2),
    ];
    for (what, target, why) in targets {
        for (access, operation) in [(Access::Read, 0), (Access::Write, 2), (Access::Execute, 0x10)] {
            let mut probe = Probe::plain();
            let address = target(&probe);
            let (code, parameters, instruction) = refused(&mut probe, 0, access, address);
            assert_eq!((code, parameters), (0x50, [address.0, operation, instruction, why]), "{what}, {access:?}");
        }
    }
}

/// R165, R169, D45: on a resident page protection decides at any IRQL.
#[test]
fn d45_protection_of_a_resident_page() {
    for irql in [0, DISPATCH] {
        let mut probe = Probe::plain();
        let text = probe.text();
        let (code, [p1, p2, ..], _) = refused(&mut probe, irql, Access::Write, text);
        let (_, entry) = probe.machine.memory.pte(text);
        assert_eq!((code, p1, p2), (0xBE, text.0, entry), "IRQL {irql}");

        let mut probe = Probe::plain();
        let data = probe.data();
        let (code, [p1, p2, ..], _) = refused(&mut probe, irql, Access::Execute, data);
        let (_, entry) = probe.machine.memory.pte(data);
        assert_eq!((code, p1, p2), (0xFC, data.0, entry), "IRQL {irql}");
    }
}

/// D45: the guard page below a kernel stack is a double fault.
#[test]
fn a_stack_that_is_used_up_is_0x7f() {
    for irql in [0, DISPATCH] {
        let mut probe = Probe::plain();
        let spiller = probe.spiller();
        let stop = probe.call(irql, spiller, [0, 0]).expect_err("the stack ends");
        let check = bug_check(&stop);
        assert_eq!((check.code.0, check.parameters[0]), (0x7F, 8), "IRQL {irql}");
    }
}

/// R161, R162, R163, D42: a service that touches the driver's absent page is 0xD3; what belongs to no driver is 0xA.
#[test]
fn r162_the_kernel_touches_what_is_absent() {
    let mut probe = Probe::plain();
    let (service, event) = (probe.export("KeReadStateTimer"), probe.paged());
    let check = bug_check(&probe.call(DISPATCH, service, [event.0, 0]).expect_err("the page is out"));
    let [p1, irql, access, instruction] = check.parameters;
    assert_eq!((check.code.0, irql, access, instruction), (0xD3, 2, 0, service.0));
    assert!(p1 - event.0 < 0x40);

    let mut probe = Probe::plain();
    let check = bug_check(&probe.call(DISPATCH, service, [NOWHERE.0, 0]).expect_err("nothing is there"));
    assert_eq!((check.code.0, check.parameters[1..].to_vec()), (0xA, vec![2, 0, service.0]));
}

/// D47: an eligible page that happens to be in memory is K13, and the run goes on.
#[test]
fn d47_latent_fault() {
    let mut probe = Probe::new(
        Options::default(),
        MemoryConfig {
            trim: memory::TrimPolicy::Never,
            initial: memory::InitialResidency::Resident,
            ..MemoryConfig::default()
        },
    );
    let (reader, page) = (probe.reader(), probe.paged());
    probe.call(DISPATCH, reader, [page.0, 0]).expect("it is only luck");
    assert_eq!(probe.codes(), ["K13"]);
}

/// R60, D14: with paging disabled nothing leaves, and nothing is latent.
#[test]
fn d14_disable_paging_executive() {
    let config = MemoryConfig { paging_enabled: false, ..MemoryConfig::default() };
    let mut probe = Probe::new(Options::default(), config);
    let (reader, page) = (probe.reader(), probe.paged());
    probe.call(DISPATCH, reader, [page.0, 0]).expect("it never leaves");
    probe.machine.evict(&[page], TrimReason::Command);
    assert!(probe.is_resident(page));
    let handle = probe.service("MmLockPagableDataSection", [page.0, 0]);
    assert_eq!(probe.count(page), 1, "locks still count");
    probe.service("MmUnlockPagableImageSection", [handle, 0]);
    assert_eq!((probe.count(page), probe.codes()), (0, vec![]));
    assert_eq!(probe.service("MmPageEntireDriver", [page.0, 0]), probe.base.0);
    let text = probe.text();
    probe.machine.evict(&[text], TrimReason::Command);
    assert!(probe.is_resident(text), "R61");
}
