//! Accesses as an engine makes them: faults, protection, stamps, overlap, devices.

use engine::{Access, Fault, Mmu, PageFault};
use memory::{Backing, Memory, MemoryConfig, PageIn, Protection, Region, TrimReason};
use nt_types::{PAGE_SIZE, Va};

fn memory() -> Memory {
    Memory::new(MemoryConfig::default()).unwrap()
}

fn resident(memory: &mut Memory, pages: u64, protection: Protection) -> Va {
    memory.allocate(Region::NonpagedPool, pages, Backing::Resident, protection).unwrap()
}

fn page_fault(address: Va, access: Access, protection: bool) -> Fault {
    Fault::Page(PageFault { address: address.0, access, protection })
}

/// Brings in a page, whatever it takes.
fn page_in(memory: &mut Memory, va: Va) {
    if let PageIn::Hard(ticket) = memory.begin_page_in(va).unwrap() {
        memory.finish(ticket).unwrap();
    }
}

fn stamp(memory: &mut Memory, va: Va) -> u64 {
    memory.fetch(va.0).unwrap().stamp
}

#[test]
fn an_access_across_pages_happens_whole_or_not_at_all() {
    let mut memory = memory();
    let va = resident(&mut memory, 2, Protection::READ_WRITE);
    let (second, last) = (va + PAGE_SIZE, va + (2 * PAGE_SIZE - 4));
    memory.store(second.0 - 3, *b"straddle").unwrap();
    assert_eq!(memory.load(second.0 - 3), Ok(*b"straddle"));
    let beyond = va + 2 * PAGE_SIZE;
    assert_eq!(memory.load::<8>(last.0), Err(page_fault(beyond, Access::Read, false)));
    assert_eq!(memory.store(last.0, [9u8; 8]), Err(page_fault(beyond, Access::Write, false)));
    assert_eq!(memory.load(last.0), Ok([0u8; 4]));
    memory.protect(second, 1, Protection::READ);
    assert_eq!(memory.store(second.0 - 3, [9u8; 8]), Err(page_fault(second, Access::Write, true)));
    assert_eq!(memory.probe_store(second.0 - 3, 8), Err(page_fault(second, Access::Write, true)));
    assert_eq!(memory.load(second.0 - 3), Ok(*b"straddle"));
}

/// The cache never outlives the mapping that it stands for.
#[test]
fn protection_and_mapping_take_effect_at_once() {
    let mut memory = memory();
    let va = resident(&mut memory, 1, Protection::ALL);
    memory.store(va.0, [0x90u8; 16]).unwrap();
    memory.fetch(va.0).unwrap();
    memory.load::<8>(va.0).unwrap();
    memory.protect(va, 1, Protection::READ);
    assert_eq!(memory.store(va.0, [1u8]), Err(page_fault(va, Access::Write, true)));
    assert_eq!(memory.fetch(va.0).unwrap_err(), page_fault(va, Access::Execute, true));
    assert_eq!(memory.load(va.0), Ok([0x90u8]));
    memory.unmap(va, 1);
    assert_eq!(memory.load::<1>(va.0), Err(page_fault(va, Access::Read, false)));
}

#[test]
fn non_canonical_addresses_are_their_own_fault() {
    let mut memory = memory();
    for address in [0x8000_0000_0000, 0xFFFF_7FFF_FFFF_FFFF] {
        assert_eq!(memory.load::<4>(address), Err(Fault::NonCanonical(address)));
        assert_eq!(memory.store(address, [0; 4]), Err(Fault::NonCanonical(address)));
        assert_eq!(memory.fetch(address).unwrap_err(), Fault::NonCanonical(address));
    }
    assert_eq!(memory.load::<4>(u64::MAX - 1), Err(page_fault(Va(u64::MAX - 1), Access::Read, false)));
}

/// Accessed and dirty bits are the processor's, in its places (bits 5 and 6).
#[test]
fn accessed_and_dirty_bits() {
    let mut memory = memory();
    let va = resident(&mut memory, 1, Protection::READ_WRITE);
    let bits = |memory: &Memory| (memory.pte(va).1 >> 5) & 3;
    assert_eq!(bits(&memory), 0);
    memory.load::<1>(va.0).unwrap();
    assert_eq!(bits(&memory), 1);
    memory.store(va.0, [1u8]).unwrap();
    assert_eq!(bits(&memory), 3);
    let (address, contents) = memory.pte(va);
    assert_eq!(address, memory::pte_address(va));
    assert_eq!(contents & 0x8000_0000_0000_0007, 0x8000_0000_0000_0003, "present, writable, supervisor, no execute");
    assert_eq!(Some((contents & 0x000f_ffff_ffff_f000) | 0x123), memory.physical(va + 0x123));
}

/// The tables lie in guest memory in hardware format: a second walker finds the same page.
#[test]
fn a_processor_would_find_the_page() {
    let mut memory = memory();
    let va = resident(&mut memory, 3, Protection::READ_WRITE) + 2 * PAGE_SIZE;
    memory.write_u32(va + 0x10, 0xfeed_f00d).unwrap();
    let mut table = memory.cr3();
    for shift in [39, 30, 21, 12] {
        let mut entry = [0; 8];
        assert!(memory.read_physical(table + ((va.0 >> shift) & 511) * 8, &mut entry));
        let entry = u64::from_le_bytes(entry);
        assert_eq!(entry & 1, 1);
        table = entry & 0x000f_ffff_ffff_f000;
    }
    let mut bytes = [0; 4];
    assert!(memory.read_physical(table + 0x10, &mut bytes));
    assert_eq!(u32::from_le_bytes(bytes), 0xfeed_f00d);
}

#[test]
fn a_stamp_names_the_content() {
    let mut memory = memory();
    let va = resident(&mut memory, 1, Protection::ALL);
    let before = (stamp(&mut memory, va), memory.code_epoch());
    assert_eq!((stamp(&mut memory, va), memory.code_epoch()), before, "nothing changed");
    memory.load::<8>(va.0).unwrap();
    memory.probe_store(va.0, 8).unwrap();
    assert_eq!((stamp(&mut memory, va), memory.code_epoch()), before, "reading and probing change nothing");
    for write in [
        |memory: &mut Memory, va: Va| memory.store(va.0, [1u8]),
        |memory: &mut Memory, va: Va| memory.fill(va.0, &[2], 4),
        |memory: &mut Memory, va: Va| memory.copy(va.0, va.0 + 8, 4),
        |memory: &mut Memory, va: Va| memory.poke(va, &[4]),
    ] {
        let before = (stamp(&mut memory, va), memory.code_epoch());
        write(&mut memory, va).unwrap();
        assert_ne!(memory.code_epoch(), before.1);
        assert_ne!(stamp(&mut memory, va), before.0);
    }
    let before = (stamp(&mut memory, va), memory.code_epoch());
    assert!(memory.write_physical(memory.physical(va).unwrap(), &[5]));
    assert!(memory.code_epoch() != before.1 && stamp(&mut memory, va) != before.0);
}

#[test]
fn the_epoch_tells_of_lost_mappings_and_protections() {
    let mut memory = memory();
    let va = resident(&mut memory, 1, Protection::ALL);
    stamp(&mut memory, va);
    let epoch = memory.code_epoch();
    memory.protect(va, 1, Protection::READ_WRITE);
    assert_ne!(memory.code_epoch(), epoch);
    memory.protect(va, 1, Protection::ALL);
    stamp(&mut memory, va);
    let epoch = memory.code_epoch();
    memory.unmap(va, 1);
    assert_ne!(memory.code_epoch(), epoch);
}

/// A write through another address of the same frame is a write to the code.
#[test]
fn aliases_share_content_and_stamp() {
    let mut memory = memory();
    let va = resident(&mut memory, 1, Protection::ALL);
    let frames = memory.pin(va, 1, Access::Read).unwrap();
    let alias = memory.allocate(Region::SystemMapping, 1, Backing::Frames(&frames), Protection::READ_WRITE).unwrap();
    memory.store(alias.0, [0xc3u8]).unwrap();
    let before = (stamp(&mut memory, va), memory.code_epoch());
    memory.store(alias.0, [0xcc; 1]).unwrap();
    assert_ne!(memory.code_epoch(), before.1);
    let span = memory.fetch(va.0).unwrap();
    assert_eq!((span.bytes[0], span.stamp == before.0), (0xcc, false));
}

/// R46, D6: content has identity; leaving and coming back does not change it, in transition or in the file.
#[test]
fn a_stamp_survives_the_paging_file() {
    for transition_stay in [false, true] {
        let mut memory = Memory::new(MemoryConfig { transition_stay, ..MemoryConfig::default() }).unwrap();
        let va = memory.allocate(Region::PagedPool, 1, Backing::Pageable, Protection::ALL).unwrap();
        page_in(&mut memory, va);
        memory.store(va.0, *b"code").unwrap();
        let (first, epoch) = (stamp(&mut memory, va), memory.code_epoch());
        assert_eq!(memory.trim(TrimReason::Command).pages, [va]);
        assert_ne!(memory.code_epoch(), epoch);
        page_in(&mut memory, va);
        assert_eq!(stamp(&mut memory, va), first);
        memory.store(va.0, *b"data").unwrap();
        memory.trim(TrimReason::Command);
        page_in(&mut memory, va);
        assert_ne!(stamp(&mut memory, va), first);
    }
}

#[test]
fn forks_agree_on_stamps_until_they_differ() {
    let mut first = memory();
    let va = resident(&mut first, 1, Protection::ALL);
    let before = stamp(&mut first, va);
    let mut second = first.fork();
    assert_eq!(stamp(&mut second, va), before);
    first.store(va.0, [1u8]).unwrap();
    second.store(va.0, [2u8]).unwrap();
    let (one, two) = (stamp(&mut first, va), stamp(&mut second, va));
    assert!(one != before && two != before && one != two);
    assert_eq!((first.load(va.0), second.load(va.0)), (Ok([1u8]), Ok([2u8])));
}

#[test]
fn copying_is_bytewise_upwards() {
    let mut memory = memory();
    let va = resident(&mut memory, 2, Protection::READ_WRITE);
    memory.store(va.0, *b"abcd....").unwrap();
    memory.copy(va.0 + 2, va.0, 6).unwrap();
    assert_eq!(memory.load(va.0), Ok(*b"abababab"), "an overlap upwards repeats");
    memory.store(va.0, *b"abcdefgh").unwrap();
    memory.copy(va.0, va.0 + 2, 6).unwrap();
    assert_eq!(memory.load(va.0), Ok(*b"cdefghgh"), "an overlap downwards moves");
    memory.copy(va.0 + PAGE_SIZE, va.0, 8).unwrap();
    assert_eq!(memory.load(va.0 + PAGE_SIZE), Ok(*b"cdefghgh"));
    let mut fork = memory.fork();
    fork.copy(va.0 + PAGE_SIZE, va.0 + 1, 3).unwrap();
    assert_eq!(fork.load(va.0 + PAGE_SIZE), Ok(*b"deffghgh"));
    assert_eq!(memory.load(va.0 + PAGE_SIZE), Ok(*b"cdefghgh"));
}

/// The same frame behind both addresses overlaps as well.
#[test]
fn copying_overlaps_through_an_alias() {
    let mut memory = memory();
    let va = resident(&mut memory, 1, Protection::READ_WRITE);
    let frames = memory.pin(va, 1, Access::Write).unwrap();
    let alias = memory.allocate(Region::SystemMapping, 1, Backing::Frames(&frames), Protection::READ_WRITE).unwrap();
    memory.store(va.0, *b"abcd....").unwrap();
    let mut fork = memory.fork();
    fork.copy(alias.0 + 2, va.0, 6).unwrap();
    assert_eq!(fork.load(va.0), Ok(*b"abababab"));
}

#[test]
fn filling_repeats_a_pattern() {
    let mut memory = memory();
    let va = resident(&mut memory, 1, Protection::READ_WRITE);
    memory.fill(va.0 + 1, &[1, 2], 4).unwrap();
    memory.fill(va.0 + 8, &[7], 3).unwrap();
    assert_eq!(memory.load(va.0), Ok([0, 1, 2, 1, 2, 0, 0, 0, 7, 7, 7, 0, 0, 0, 0, 0]));
    memory.protect(va, 1, Protection::READ);
    assert_eq!(memory.fill(va.0, &[1], 1), Err(page_fault(va, Access::Write, true)));
    assert_eq!(memory.copy(va.0, va.0 + 8, 1), Err(page_fault(va, Access::Write, true)));
}

#[test]
fn device_memory_is_the_machines_business() {
    let mut memory = memory();
    let device = Backing::Physical(0xfed0_0000);
    let va = memory.allocate(Region::SystemMapping, 2, device, Protection::READ_WRITE).unwrap();
    assert_eq!(memory.load::<4>(va.0 + 0x14), Err(Fault::Device(0xfed0_0014)));
    assert_eq!(memory.store(va.0 + PAGE_SIZE, [0; 1]), Err(Fault::Device(0xfed0_1000)));
    assert_eq!(memory.fetch(va.0).unwrap_err(), page_fault(va, Access::Execute, true));
    assert_eq!(memory.physical(va + 0x14), Some(0xfed0_0014));
    assert_eq!(memory.begin_page_in(va), Ok(PageIn::AlreadyIn));
    memory.release(va).unwrap();
    assert_eq!(memory.load::<4>(va.0), Err(page_fault(va, Access::Read, false)));
}

#[test]
fn text_helpers() {
    let mut memory = memory();
    let va = resident(&mut memory, 2, Protection::READ_WRITE);
    let end = va + (2 * PAGE_SIZE - 6);
    memory.write_bytes(end, b"h\0i\0\0\0").unwrap();
    assert_eq!(memory.read_utf16(end, 2), Ok(vec![104, 105]));
    memory.write_bytes(end, b"hello\0").unwrap();
    assert_eq!(memory.read_c_string(end, 100), Ok(b"hello".to_vec()), "the page after the NUL is not touched");
    assert_eq!(memory.read_c_string(end, 2), Ok(b"he".to_vec()));
    memory.write_u8(end + 5, b'!').unwrap();
    assert_eq!(memory.read_c_string(end, 100), Err(page_fault(va + 2 * PAGE_SIZE, Access::Read, false)));
    memory.write_u64(va, 0x1122_3344_5566_7788).unwrap();
    assert_eq!((memory.read_u16(va), memory.read_u32(va + 4)), (Ok(0x7788), Ok(0x1122_3344)));
    assert_eq!(memory.read_va(va), Ok(Va(0x1122_3344_5566_7788)));
}
