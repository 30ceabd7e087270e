//! Special pool: where blocks lie, and what is seen of accesses beside and after them (docs: devtest/special-pool,
//! debugger/bug-check-0xc1, 0xcc, 0xcd). What a driver's own instructions do is in tests/ui.

use kernel::exports::mm::pool::{Block, PoolKind};
use kernel::{Machine, Options, StopKind, Verifier};
use memory::{Backing, MemoryConfig, Protection, Region, TrimReason};
use nt_types::{PAGE_SIZE, Va};

use crate::probe::Probe;

const NONPAGED: u64 = 0;
const PAGED: u64 = 1;
const SPECIAL: Verifier = Verifier { verified: true, special_pool: true, ..Verifier::OFF };

fn probe() -> Probe {
    Probe::new(Options { verifier: SPECIAL, ..Options::default() }, MemoryConfig::default())
}

/// A block that the driver allocates.
fn block(probe: &mut Probe, kind: u64, bytes: u64) -> u64 {
    probe.service("ExAllocatePool", [kind, bytes])
}

/// The bug check that a call of the driver ends in.
fn stopped(probe: &mut Probe, routine: &str, arguments: [u64; 2]) -> Option<(u32, [u64; 4])> {
    let export = probe.export(routine);
    match probe.attempt(0, export, arguments)?.kind {
        StopKind::BugCheck(check, _) => Some((check.code.0, check.parameters)),
        other => panic!("{routine}: {other:x?}"),
    }
}

fn spoil(probe: &mut Probe, address: u64, change: u8) {
    let old = probe.bytes(address, 1)[0];
    probe.set_bytes(address, &[old ^ change]);
}

#[test]
fn a_block_ends_where_its_page_ends_and_has_none_beside_it() {
    let mut probe = probe();
    for (kind, bytes) in
        [NONPAGED, PAGED].into_iter().flat_map(|kind| [1, 16, 100, 4080, 4095].map(|bytes| (kind, bytes)))
    {
        let address = block(&mut probe, kind, bytes);
        let at = Va(address);
        assert_eq!(Region::of(at), Some(Region::SpecialPool), "{bytes} bytes");
        assert_eq!(at.page_offset() as u64 + bytes.next_multiple_of(16), PAGE_SIZE, "{bytes} bytes");
        for page in [at.page_down().0 - 1, at.page_down().0 + PAGE_SIZE] {
            assert!(probe.machine.read_u8(Va(page)).is_err(), "{bytes} bytes: nothing is at {page:#x}");
        }
        assert_eq!(stopped(&mut probe, "ExFreePool", [address, 0]), None);
    }
    let large = block(&mut probe, NONPAGED, PAGE_SIZE);
    assert_eq!(Region::of(Va(large)), Some(Region::NonpagedPool), "a page needs no other");
    let counters = probe.machine.verifier_counters();
    assert_eq!((counters.special, counters.allocated), (10, 11));
}

#[test]
fn what_the_kernel_touches_beyond_a_block_or_after_it_was_freed() {
    for kind in [NONPAGED, PAGED] {
        let mut probe = probe();
        let address = block(&mut probe, kind, 32);
        let service = probe.export("RtlFillMemory").0;
        assert_eq!(stopped(&mut probe, "RtlFillMemory", [address, 33]), Some((0xCD, [address + 32, 1, service, 0])));
        let mut probe = self::probe();
        let address = block(&mut probe, kind, 32);
        assert_eq!(stopped(&mut probe, "ExFreePool", [address, 0]), None);
        assert_eq!(stopped(&mut probe, "RtlFillMemory", [address, 1]), Some((0xCC, [address, 1, service, 0])));
        // Far away from all blocks it is as anywhere.
        let mut probe = self::probe();
        let address = block(&mut probe, kind, 32) + 0x10_0000;
        assert_eq!(stopped(&mut probe, "RtlFillMemory", [address, 1]), Some((0x50, [address, 2, service, 2])));
    }
}

/// D41: above `APC_LEVEL` memory that is not there is 0x0A, or 0xD1, whatever it was.
#[test]
fn d41_above_apc_level_special_pool_has_no_codes_of_its_own() {
    let mut probe = probe();
    let address = block(&mut probe, NONPAGED, 32);
    let service = probe.export("RtlFillMemory");
    let stop = probe.attempt(2, service, [address, 33]).expect("it goes too far");
    let StopKind::BugCheck(check, _) = stop.kind else { panic!("{:x?}", stop.kind) };
    assert_eq!((check.code.0, check.parameters), (0x0A, [address + 32, 2, 1, service.0]));
}

/// What was written beside a block is found when it is freed, also where its page has been in the paging file.
#[test]
fn what_was_written_beside_a_block_is_found_when_it_is_freed() {
    for (kind, paged_out) in [(NONPAGED, false), (PAGED, false), (PAGED, true)] {
        for (offset, change, found) in
            [(-1, 0xFF, 0x23), (-64, 0xFF, 0x23), (20, 0xFF, 0x24), (-1, 0x40, 0x32), (31, 1, 0x32)]
        {
            let mut probe = probe();
            let address = block(&mut probe, kind, 20);
            let at = address.wrapping_add_signed(offset);
            spoil(&mut probe, at, change);
            if paged_out {
                assert!(probe.machine.memory.trim(TrimReason::Command).pages.contains(&Va(address).page_down()));
            }
            let expected = Some((0xC1, [address, at, 0, found]));
            assert_eq!(stopped(&mut probe, "ExFreePool", [address, 0]), expected, "{offset}, out: {paged_out}");
        }
    }
}

#[test]
fn addresses_of_special_pool_at_which_no_block_begins() {
    let mut probe = probe();
    let address = block(&mut probe, NONPAGED, 64);
    assert_eq!(stopped(&mut probe, "ExFreePool", [address + 16, 0]), Some((0xC1, [address + 16, 64, 48, 0x21])));
    let mut probe = self::probe();
    let address = block(&mut probe, NONPAGED, 64);
    assert_eq!(stopped(&mut probe, "ExFreePool", [address, 0]), None);
    assert_eq!(stopped(&mut probe, "ExFreePool", [address, 0]), Some((0xC1, [address, 0, 0, 0x20])));
}

/// MDLs lie there as well, and their end is looked at.
#[test]
fn an_mdl_that_is_written_beyond_its_end() {
    let mut probe = probe();
    let buffer = block(&mut probe, NONPAGED, PAGE_SIZE);
    let list = probe.service("IoAllocateMdl", [buffer, 8]);
    assert_eq!(Region::of(Va(list)), Some(Region::SpecialPool));
    spoil(&mut probe, list + 0x38, 0xFF);
    let found = stopped(&mut probe, "IoFreeMdl", [list, 0]);
    assert_eq!(found, Some((0xC1, [list, list + 0x38, 0, 0x24])));
}

/// Where a block of 16 bytes comes from that the driver asks for.
fn region_of_next(machine: &mut Machine, site: Va) -> Option<Region> {
    let block = Block { bytes: 16, kind: PoolKind::NonPaged, tag: *b"Test", site };
    Region::of(machine.pool_allocate(block)?)
}

/// Not all requests are fulfilled: what finds no frame comes from where all pool does, which has room in a page of its own.
#[test]
fn a_block_that_finds_no_room_is_an_ordinary_one() {
    let memory = MemoryConfig { frames: 512, ..MemoryConfig::default() };
    let mut probe = Probe::new(Options { verifier: SPECIAL, ..Options::default() }, memory);
    let driver = probe.text();
    let machine = &mut probe.machine;
    assert_eq!(region_of_next(machine, Va::NULL), Some(Region::NonpagedPool), "the kernel's own is an ordinary one");
    assert_eq!(region_of_next(machine, driver), Some(Region::SpecialPool));
    while machine.memory.allocate(Region::SystemMapping, 1, Backing::Resident, Protection::READ_WRITE).is_ok() {}
    assert_eq!(region_of_next(machine, driver), Some(Region::NonpagedPool));
}

/// Nothing of it where the option is off.
#[test]
fn without_the_option_a_block_is_an_ordinary_one() {
    let options = Options { verifier: Verifier::ON, ..Options::default() };
    let mut probe = Probe::new(options, MemoryConfig::default());
    let address = block(&mut probe, PAGED, 16);
    assert_eq!(Region::of(Va(address)), Some(Region::PagedPool));
}
