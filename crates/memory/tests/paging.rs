//! Pages leave and come back. The numbers are those of BEHAVIOUR.md.

use engine::{Access, Fault, Mmu, PageFault};
use memory::{
    Absence, Backing, InPageCause, MapError, Memory, MemoryConfig, NotPinned, PageIn, PageState, Protection, Region,
    TrimPolicy, TrimReason,
};
use nt_types::{BugCheckCode, NtStatus, PAGE_SIZE, Va};
use section_paging::PageRun;

fn configured(trim: TrimPolicy, frames: u32) -> Memory {
    Memory::new(MemoryConfig { trim, frames, ..MemoryConfig::default() }).unwrap()
}

fn memory() -> Memory {
    Memory::new(MemoryConfig::default()).unwrap()
}

fn pool(memory: &mut Memory, pages: u64) -> Va {
    memory.allocate(Region::PagedPool, pages, Backing::Pageable, Protection::READ_WRITE).unwrap()
}

/// Brings in a page, whatever it takes.
fn page_in(memory: &mut Memory, va: Va) {
    if let PageIn::Hard(ticket) = memory.begin_page_in(va).unwrap() {
        memory.finish(ticket).unwrap();
    }
}

/// Writes a different number into each page.
fn write_all(memory: &mut Memory, va: Va, pages: u64) {
    for page in 0..pages {
        page_in(memory, va + page * PAGE_SIZE);
        memory.write_u64(va + page * PAGE_SIZE, va.0 + page).unwrap();
    }
}

fn check_all(memory: &mut Memory, va: Va, pages: u64) {
    for page in 0..pages {
        page_in(memory, va + page * PAGE_SIZE);
        assert_eq!(memory.read_u64(va + page * PAGE_SIZE), Ok(va.0 + page));
    }
}

fn is_resident(memory: &Memory, va: Va) -> bool {
    matches!(memory.page_state(va), PageState::Resident { .. })
}

/// D5: the policy decides when pages leave; `never` is for differential tests.
#[test]
fn d5_never_evicts_nothing() {
    let mut memory = configured(TrimPolicy::Never, 64);
    let va = pool(&mut memory, 100);
    let resident = (0..100).take_while(|page| memory.begin_page_in(va + page * PAGE_SIZE).is_ok()).count() as u64;
    assert!(memory.trim(TrimReason::Raise).pages.is_empty());
    let error = memory.begin_page_in(va + resident * PAGE_SIZE).unwrap_err();
    assert!(matches!(error.cause, InPageCause::NoFrames(none) if none.budget == 64));
    assert_eq!((memory.counters().frames_used, memory.counters().pages_evicted), (64, 0));
}

/// D5: an exhausted frame budget evicts, in every other policy, and nothing is lost.
#[test]
fn d5_pressure_makes_room() {
    for policy in [TrimPolicy::Pressure, TrimPolicy::OnRaise, TrimPolicy::AtOnce] {
        let mut memory = configured(policy, 64);
        let va = pool(&mut memory, 200);
        write_all(&mut memory, va, 200);
        assert_eq!(memory.counters().frames_used, 64);
        let report = memory.take_pressure_report();
        assert_eq!(report.pages.len() as u64, memory.counters().pages_evicted);
        assert!(report.pages.len() >= 200 - 64 && report.failed.is_empty());
        assert!(memory.take_pressure_report().pages.is_empty());
        check_all(&mut memory, va, 200);
    }
}

/// R182, D5, D48: a trim takes eligible pages only, and every one of them.
#[test]
fn d48_a_trim_takes_what_is_eligible() {
    let mut memory = memory();
    let (paged, nonpaged) = (pool(&mut memory, 3), Region::NonpagedPool);
    let fixed = memory.allocate(nonpaged, 2, Backing::Resident, Protection::READ_WRITE).unwrap();
    write_all(&mut memory, paged, 3);
    let pinned = memory.pin(paged + PAGE_SIZE, 1, Access::Write).unwrap();
    assert_eq!(memory.eligible(), [paged, paged + 2 * PAGE_SIZE]);
    let report = memory.trim(TrimReason::Raise);
    assert_eq!((report.pages, report.written_pages), (vec![paged, paged + 2 * PAGE_SIZE], 2));
    assert!(is_resident(&memory, paged + PAGE_SIZE) && is_resident(&memory, fixed));
    memory.unpin(&pinned).unwrap();
    assert_eq!(memory.trim(TrimReason::Raise).pages, [paged + PAGE_SIZE]);
    assert!(memory.trim(TrimReason::Raise).pages.is_empty(), "nothing is left");
    check_all(&mut memory, paged, 3);
}

/// D5: under `at-once` a page leaves when it becomes eligible; one that a fault brought in stays until the next trim.
#[test]
fn d5_at_once_evicts_what_becomes_eligible() {
    let mut memory = configured(TrimPolicy::AtOnce, 1000);
    let va = pool(&mut memory, 1);
    page_in(&mut memory, va);
    assert!(memory.settle().pages.is_empty() && is_resident(&memory, va));
    let frames = memory.pin(va, 1, Access::Write).unwrap();
    assert!(memory.settle().pages.is_empty());
    memory.unpin(&frames).unwrap();
    assert_eq!(memory.settle().pages, [va]);
    page_in(&mut memory, va);
    assert!(memory.settle().pages.is_empty() && is_resident(&memory, va));
    assert_eq!(memory.trim(TrimReason::Raise).pages, [va]);
}

/// D4: the first eviction writes; later ones write only if the page is dirty.
#[test]
fn d4_clean_pages_are_not_written_again() {
    let mut memory = memory();
    let va = pool(&mut memory, 1);
    write_all(&mut memory, va, 1);
    assert_eq!(memory.trim(TrimReason::Command).written_pages, 1);
    check_all(&mut memory, va, 1);
    assert_eq!(memory.trim(TrimReason::Command).written_pages, 0);
    page_in(&mut memory, va);
    memory.write_u64(va, 5).unwrap();
    assert_eq!(memory.trim(TrimReason::Command).written_pages, 1);
    page_in(&mut memory, va);
    assert_eq!(memory.read_u64(va), Ok(5));
}

/// D6: a page-in has a start and an end; all faults on the page share one read; the access starts over afterwards.
#[test]
fn d6_faults_share_one_read() {
    let mut memory = memory();
    let va = pool(&mut memory, 1);
    write_all(&mut memory, va, 1);
    memory.trim(TrimReason::Command);
    let PageIn::Hard(ticket) = memory.begin_page_in(va).unwrap() else { panic!("the page is out") };
    assert_eq!(memory.begin_page_in(va + 8), Ok(PageIn::Shared(ticket)));
    assert!(matches!(memory.page_state(va), PageState::Out { reading: true, .. }));
    assert!(
        matches!(memory.read_u64(va), Err(Fault::Page(fault)) if !fault.protection),
        "it is not there before the end"
    );
    memory.finish(ticket).unwrap();
    memory.finish(ticket).unwrap();
    assert_eq!(memory.begin_page_in(va), Ok(PageIn::AlreadyIn));
    assert_eq!((memory.read_u64(va), memory.counters().reads), (Ok(va.0), 1));
}

/// D6: what happened during the read counts: a page that was freed meanwhile does not come back.
#[test]
fn d6_a_page_freed_during_the_read_stays_freed() {
    let mut memory = memory();
    let va = pool(&mut memory, 2);
    write_all(&mut memory, va, 2);
    memory.trim(TrimReason::Command);
    let tickets = memory.begin_page_in_runs([PageRun::at(va, 2)]).unwrap().tickets;
    memory.unmap(va, 1);
    let used = memory.counters().frames_used;
    tickets.into_iter().for_each(|ticket| memory.finish(ticket).unwrap());
    assert_eq!(memory.why_absent(va), Some(Absence::Freed));
    assert_eq!((memory.read_u64(va + PAGE_SIZE), memory.counters().frames_used), (Ok(va.0 + 1), used + 1));
}

/// D6: a new page at the same address is not overwritten by the read for the old one.
#[test]
fn d6_a_page_mapped_anew_during_the_read_is_left_alone() {
    let mut memory = memory();
    let va = pool(&mut memory, 1);
    write_all(&mut memory, va, 1);
    memory.trim(TrimReason::Command);
    let PageIn::Hard(ticket) = memory.begin_page_in(va).unwrap() else { panic!("the page is out") };
    memory.release(va).unwrap();
    assert_eq!(pool(&mut memory, 1), va);
    memory.finish(ticket).unwrap();
    page_in(&mut memory, va);
    assert_eq!(memory.read_u64(va), Ok(0));
}

/// D6: each fork ends the read by itself.
#[test]
fn d6_a_fork_during_a_read_ends_it_by_itself() {
    let mut first = memory();
    let va = pool(&mut first, 1);
    write_all(&mut first, va, 1);
    first.trim(TrimReason::Command);
    let PageIn::Hard(ticket) = first.begin_page_in(va).unwrap() else { panic!("the page is out") };
    let mut second = first.fork();
    first.finish(ticket).unwrap();
    assert!(!is_resident(&second, va));
    second.finish(ticket).unwrap();
    assert_eq!((first.read_u64(va), second.read_u64(va)), (Ok(va.0), Ok(va.0)));
}

/// D22: many pages that lie together come in with few reads, each page once; what never comes is skipped.
#[test]
fn d22_a_range_is_read_in_clusters() {
    let mut memory = memory();
    let va = pool(&mut memory, 256);
    write_all(&mut memory, va, 256);
    memory.trim(TrimReason::Command);
    memory.unmap(va + 100 * PAGE_SIZE, 1);
    page_in(&mut memory, va + 200 * PAGE_SIZE);
    let before = memory.counters();
    let begun = memory.begin_page_in_runs([PageRun::at(va, 256)]).unwrap();
    assert_eq!((begun.soft_pages, begun.hard_pages), (0, 254));
    begun.tickets.into_iter().for_each(|ticket| memory.finish(ticket).unwrap());
    let (pages, reads) = (memory.counters().pages_read - before.pages_read, memory.counters().reads - before.reads);
    assert!(pages == 254 && pages / reads >= 16, "{pages} pages in {reads} reads");
    check_all(&mut memory, va, 100);
    assert_eq!(memory.read_u64(va + 255 * PAGE_SIZE), Ok(va.0 + 255));
}

/// R104, D27: pins that exceed the frame budget end in 0x7A with 0xC000009A.
#[test]
fn d27_pins_exceed_the_budget() {
    let mut memory = configured(TrimPolicy::OnRaise, 64);
    let va = pool(&mut memory, 100);
    let error = (0..100)
        .find_map(|page| {
            let error = memory.begin_page_in(va + page * PAGE_SIZE).err();
            if error.is_none() {
                memory.pin(va + page * PAGE_SIZE, 1, Access::Read).unwrap();
            }
            error
        })
        .unwrap();
    let InPageCause::NoFrames(none) = error.cause else { panic!("{error}") };
    assert_eq!((none.budget, none.pinned, none.write), (64, memory.counters().frames_used - tables(&memory), None));
    let bug_check = error.bug_check(error.va + 4);
    assert_eq!(bug_check.code, BugCheckCode::KERNEL_DATA_INPAGE_ERROR);
    let status = NtStatus::INSUFFICIENT_RESOURCES.0.into();
    assert_eq!(bug_check.parameters, [memory.pte(error.va).0, status, memory.pte(error.va).1, error.va.0 + 4]);
}

/// Frames in use that hold page tables: all that are neither mapped nor pinned here.
fn tables(memory: &Memory) -> u32 {
    let base = Region::PagedPool.base();
    let resident = (0..100).filter(|page| is_resident(memory, base + page * PAGE_SIZE)).count() as u32;
    memory.counters().frames_used - resident
}

/// D44: why nothing is there.
#[test]
fn d44_absent_addresses_say_why() {
    let mut memory = memory();
    let va = pool(&mut memory, 2);
    page_in(&mut memory, va);
    memory.release(va).unwrap();
    let stack = memory.allocate(Region::KernelStack, 6, Backing::Resident, Protection::READ_WRITE).unwrap();
    let expected = [
        (va, Some(Absence::Freed)),
        (va + PAGE_SIZE, Some(Absence::Freed)),
        (va + 2 * PAGE_SIZE, Some(Absence::NeverMapped)),
        (Va(0x8000_0000_0000), Some(Absence::NonCanonical)),
        (Va(stack.0 - 1), Some(Absence::Guard)),
        (stack, None),
        (Va::NULL, Some(Absence::NeverMapped)),
    ];
    for (va, absence) in expected {
        assert_eq!(memory.why_absent(va), absence, "{va}");
    }
    assert_eq!(memory.begin_page_in(va), Ok(PageIn::Absent(Absence::Freed)));
    let twin = Va(stack.0 & 0xFFFF_FFFF_FFFF);
    assert_eq!(memory.begin_page_in(twin), Ok(PageIn::Absent(Absence::NonCanonical)));
    assert_eq!((memory.pte(twin).1, memory.physical(twin), memory.protection(twin)), (0, None, None));
}

#[test]
fn transition_keeps_the_frame_until_it_is_needed() {
    let config = MemoryConfig { transition_stay: true, frames: 64, ..MemoryConfig::default() };
    let mut memory = Memory::new(config).unwrap();
    let va = pool(&mut memory, 8);
    write_all(&mut memory, va, 8);
    assert_eq!(memory.trim(TrimReason::Command).pages.len(), 8);
    assert_eq!(memory.counters().pages_written, 0, "the frames still hold the pages");
    assert!(memory.read_u64(va).is_err() && matches!(memory.page_state(va), PageState::Transition { .. }));
    let mut bytes = [0; 8];
    memory.peek(va, &mut bytes).unwrap();
    assert_eq!(u64::from_le_bytes(bytes), va.0);
    assert_eq!(memory.begin_page_in(va), Ok(PageIn::Soft));
    assert_eq!((memory.read_u64(va), memory.counters().transition_faults), (Ok(va.0), 1));

    let more = pool(&mut memory, 54);
    write_all(&mut memory, more, 54);
    assert!(matches!(memory.page_state(va + PAGE_SIZE), PageState::Out { .. }), "the oldest went first");
    check_all(&mut memory, va, 8);
    check_all(&mut memory, more, 54);
}

#[test]
fn a_page_freed_in_transition_is_forgotten() {
    let config = MemoryConfig { transition_stay: true, frames: 64, ..MemoryConfig::default() };
    let mut memory = Memory::new(config).unwrap();
    let va = pool(&mut memory, 8);
    write_all(&mut memory, va, 8);
    memory.trim(TrimReason::Command);
    memory.release(va).unwrap();
    let more = pool(&mut memory, 100);
    write_all(&mut memory, more, 100);
    check_all(&mut memory, more, 100);
    assert_eq!(memory.why_absent(va + 7 * PAGE_SIZE), None, "the addresses are in use again");
}

/// Pages that were touched since the hand passed last get a second chance.
#[test]
fn pressure_spares_pages_in_use() {
    let mut memory = configured(TrimPolicy::Pressure, 64);
    let hot = pool(&mut memory, 1);
    let cold = pool(&mut memory, 300);
    write_all(&mut memory, hot, 1);
    let code = memory.allocate(Region::PagedPool, 1, Backing::Pageable, Protection::ALL).unwrap();
    page_in(&mut memory, code);
    let mut epoch = memory.code_epoch();
    for page in 0..300 {
        page_in(&mut memory, cold + page * PAGE_SIZE);
        memory.read_u64(hot).expect("a page in constant use stays");
        if page == 0 || memory.code_epoch() != epoch {
            memory.fetch(code.0).expect("and so does code that runs decoded");
            epoch = memory.code_epoch();
        }
    }
    assert!(memory.take_pressure_report().pages.len() > 200);
}

/// Equal inputs, equal evictions; another seed, other victims.
#[test]
fn pressure_is_deterministic_and_seeded() {
    let run = |seed| {
        let config = MemoryConfig { seed, frames: 64, trim: TrimPolicy::Pressure, ..MemoryConfig::default() };
        let mut memory = Memory::new(config).unwrap();
        let va = pool(&mut memory, 150);
        write_all(&mut memory, va, 150);
        check_all(&mut memory, va, 150);
        (memory.take_pressure_report().pages, memory.counters())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(40).0);
}

#[test]
fn histories_tell_steps_and_reasons() {
    let mut memory = memory();
    let va = pool(&mut memory, 1);
    write_all(&mut memory, va, 1);
    assert_eq!(memory.history(va), memory::PageHistory::default());
    memory.set_step(40);
    memory.trim(TrimReason::Raise);
    memory.set_step(50);
    page_in(&mut memory, va);
    assert_eq!(memory.history(va).trimmed, Some((40, TrimReason::Raise)));
    assert_eq!(memory.history(va).paged_in, Some(50));
}

#[test]
fn forks_have_paging_files_of_their_own() {
    let mut first = memory();
    let va = pool(&mut first, 4);
    write_all(&mut first, va, 4);
    first.trim(TrimReason::Command);
    let mut second = first.fork();
    for (memory, value) in [(&mut first, 1), (&mut second, 2)] {
        page_in(memory, va);
        memory.write_u64(va, value).unwrap();
        memory.trim(TrimReason::Command);
    }
    let mut third = second.fork();
    drop(second);
    for (memory, value) in [(&mut first, 1), (&mut third, 2)] {
        page_in(memory, va);
        assert_eq!(memory.read_u64(va), Ok(value));
        page_in(memory, va + 3 * PAGE_SIZE);
        assert_eq!(memory.read_u64(va + 3 * PAGE_SIZE), Ok(va.0 + 3));
    }
}

#[test]
fn pins_count_and_keep_the_frame() {
    let mut memory = memory();
    let va = pool(&mut memory, 2);
    assert!(memory.pin(va, 2 * 4096, Access::Read).is_err(), "not resident");
    page_in(&mut memory, va);
    let Err(Fault::Page(fault)) = memory.pin(va + 1, 4096, Access::Read) else { panic!("the second page is out") };
    assert_eq!(fault.address, va.0 + PAGE_SIZE);
    page_in(&mut memory, va + PAGE_SIZE);
    let frames = memory.pin(va + 1, 4096, Access::Write).unwrap();
    assert_eq!(frames.len(), 2);
    let again = memory.pin(va, 1, Access::Write).unwrap();
    assert_eq!(again[0], frames[0]);
    memory.unpin(&frames).unwrap();
    assert_eq!(memory.trim(TrimReason::Command).pages, [va + PAGE_SIZE], "the first page has one pin left");
    assert_eq!(memory.unpin(&frames), Err(NotPinned(frames[1])));
    assert!(memory.trim(TrimReason::Command).pages.is_empty(), "a refused unpin changes nothing");

    let used = memory.counters().frames_used;
    memory.release(va).unwrap();
    assert_eq!(memory.counters().frames_used, used, "the pin keeps the frame");
    assert!(memory.write_physical(again[0].physical(), b"dma"));
    memory.unpin(&again).unwrap();
    assert_eq!(memory.counters().frames_used, used - 1);
    assert_eq!(memory.unpin(&again), Err(NotPinned(again[0])));
    memory.protect(va, 1, Protection::READ);
}

#[test]
fn pins_check_the_protection() {
    let mut memory = memory();
    let va = memory.allocate(Region::NonpagedPool, 1, Backing::Resident, Protection::READ).unwrap();
    assert!(matches!(memory.pin(va, 8, Access::Write), Err(Fault::Page(fault)) if fault.protection));
    assert!(memory.pin(va, 8, Access::Read).is_ok());
}

/// MmGetSystemAddressForMdl: a second mapping, gone again before the unlock.
#[test]
fn a_page_with_two_addresses_stays_and_may_leave_afterwards() {
    let mut memory = memory();
    let va = pool(&mut memory, 1);
    write_all(&mut memory, va, 1);
    let frames = memory.pin(va, 1, Access::Write).unwrap();
    let alias = memory.allocate(Region::SystemMapping, 1, Backing::Frames(&frames), Protection::READ_WRITE).unwrap();
    memory.write_u64(alias, 77).unwrap();
    memory.unpin(&frames).unwrap();
    assert!(memory.trim(TrimReason::Command).pages.is_empty());
    memory.release(alias).unwrap();
    assert_eq!(memory.trim(TrimReason::Command).pages, [va]);
    page_in(&mut memory, va);
    assert_eq!(memory.read_u64(va), Ok(77));
}

#[test]
fn mapping_is_all_or_nothing() {
    let mut memory = configured(TrimPolicy::OnRaise, 64);
    let va = memory.reserve(Region::NonpagedPool, 100).unwrap();
    memory.map(va + 5 * PAGE_SIZE, 1, Backing::Resident, Protection::READ).unwrap();
    let used = memory.counters().frames_used;
    let (resident, any) = (Backing::Resident, Protection::READ_WRITE);
    assert_eq!(memory.map(va, 10, resident, any), Err(MapError::Occupied(va + 5 * PAGE_SIZE)));
    assert!(matches!(memory.map(va + 6 * PAGE_SIZE, 90, resident, any), Err(MapError::NoFrames(_))));
    assert_eq!(memory.why_absent(va + 6 * PAGE_SIZE), Some(Absence::NeverMapped));
    assert_eq!(memory.counters().frames_used, used);
    for bad in [Va(0x8000_0000_0000), va + 1, Va(0xFFFF_F680_0000_0000), Va(section_paging::Handle::RANGE.start)] {
        assert_eq!(memory.map(bad, 1, resident, any), Err(MapError::BadRange(bad)));
    }
    assert_eq!(memory.map(va, 0, resident, any), Err(MapError::BadRange(va)));
    assert_eq!(memory.map(va, u64::MAX, resident, any), Err(MapError::BadRange(va)));
    let too_many = memory.reserve(Region::NonpagedPool, u64::MAX);
    assert_eq!(too_many, Err(MapError::NoAddressSpace { pages: u64::MAX }));
    assert_eq!(memory.release(va + PAGE_SIZE), None);
    assert_eq!((memory.release(va), memory.release(va)), (Some(100), None));
}

#[test]
fn contiguous_memory_has_consecutive_frames() {
    let mut memory = configured(TrimPolicy::OnRaise, 100);
    let va = pool(&mut memory, 60);
    write_all(&mut memory, va, 60);
    memory.unmap(va + 7 * PAGE_SIZE, 1);
    let low = Backing::Contiguous { below: 60 * PAGE_SIZE };
    let run = memory.allocate(Region::NonpagedPool, 40, low, Protection::READ_WRITE).unwrap();
    let first = memory.physical(run).unwrap();
    for page in 0..40 {
        assert_eq!(memory.physical(run + page * PAGE_SIZE), Some(first + page * PAGE_SIZE));
    }
    assert!(first + 40 * PAGE_SIZE <= 60 * PAGE_SIZE);
    let none = memory.allocate(Region::NonpagedPool, 40, low, Protection::READ_WRITE);
    assert_eq!(none, Err(MapError::NoContiguousFrames { pages: 40 }));
    check_all(&mut memory, va, 7);
}

/// Whatever a frame held before, new memory is zero.
#[test]
fn new_memory_is_zero() {
    let mut memory = configured(TrimPolicy::OnRaise, 64);
    for backing in [Backing::Resident, Backing::Pageable, Backing::Contiguous { below: u64::MAX }, Backing::Resident] {
        let va = memory.allocate(Region::NonpagedPool, 30, backing, Protection::READ_WRITE).unwrap();
        for page in (0..30).map(|page| va + page * PAGE_SIZE) {
            page_in(&mut memory, page);
            let mut bytes = [1; PAGE_SIZE as usize];
            memory.read_bytes(page, &mut bytes).unwrap();
            assert_eq!(bytes, [0; PAGE_SIZE as usize], "{backing:?}");
            memory.fill(page.0, &[0xaa], PAGE_SIZE as usize).unwrap();
        }
        memory.release(va);
    }
}

/// Drivers cannot reach page tables or unused RAM by physical address.
#[test]
fn physical_mappings_are_checked() {
    let mut memory = configured(TrimPolicy::OnRaise, 64);
    let va = memory.allocate(Region::NonpagedPool, 2, Backing::Resident, Protection::READ_WRITE).unwrap();
    let mut map = |physical, pages| {
        memory.allocate(Region::SystemMapping, pages, Backing::Physical(physical), Protection::READ_WRITE)
    };
    assert_eq!(map(64 * PAGE_SIZE, 2), Err(MapError::BadPhysicalRange(64 * PAGE_SIZE)));
    assert_eq!(map(123, 1), Err(MapError::BadPhysicalRange(123)));
    assert_eq!(map(1 << 52, 1), Err(MapError::BadPhysicalRange(1 << 52)));
    let physical = memory.physical(va).unwrap();
    let io = Backing::Physical(physical);
    let alias = memory.allocate(Region::SystemMapping, 1, io, Protection::READ_WRITE).unwrap();
    memory.write_u32(alias, 5).unwrap();
    assert_eq!(memory.read_u32(va), Ok(5));
    let mut byte = [0];
    assert!(memory.read_physical(physical, &mut byte) && byte == [5]);
    assert!(!memory.read_physical(65 * PAGE_SIZE - 1, &mut [0; 2]) && !memory.write_physical(memory.cr3(), &[0]));
}

/// D47: while watching, an access to a page that may leave is seen although the page is there; nothing else is affected.
#[test]
fn d47_latent_faults_are_seen() {
    let mut memory = configured(TrimPolicy::Pressure, 1000);
    let va = pool(&mut memory, 2);
    write_all(&mut memory, va, 2);
    let frames = memory.pin(va + PAGE_SIZE, 1, Access::Read).unwrap();
    memory.watch_eligible(true);
    let refused = |result: Result<u8, Fault>| matches!(result, Err(Fault::Page(fault)) if !fault.protection);
    assert!(refused(memory.read_u8(va)) && memory.write_u8(va, 1).is_err(), "the cache does not hide it");
    assert!(matches!(memory.page_state(va), PageState::Resident { eligible: true, .. }));
    assert!(memory.read_u8(va + PAGE_SIZE).is_ok(), "a pinned page may not leave");
    let mut fork = memory.fork();
    assert!(refused(fork.read_u8(va)));
    memory.allow(va);
    assert!(memory.read_u8(va).is_ok() && memory.write_u8(va, 1).is_ok());
    memory.unpin(&frames).unwrap();
    assert!(refused(memory.read_u8(va + PAGE_SIZE)), "now it may");
    memory.watch_eligible(false);
    assert!(memory.read_u8(va + PAGE_SIZE).is_ok());
    memory.watch_eligible(true);
    assert!(refused(memory.read_u8(va)), "what was allowed before is forgotten");
    memory.poke(va, &[7]).unwrap();
    memory.watch_eligible(false);
    assert_eq!(memory.read_u8(va), Ok(7));
}

/// D11: on a page that was kept, an access that touches a discarded byte is seen, by whatever width, until it is allowed;
/// the neighbours are as ever.
#[test]
fn d11_discarded_bytes_of_a_kept_page_are_seen() {
    let mut memory = configured(TrimPolicy::Pressure, 1000);
    let va = pool(&mut memory, 1);
    write_all(&mut memory, va, 1);
    memory.watch_kept(va + 0x80..va + 0x100, false);
    let at = |result: Result<(), Fault>| match result {
        Err(Fault::Page(fault)) => Some(Va(fault.address)),
        _ => None,
    };
    assert_eq!(at(memory.read_u64(va + 0x78).map(|_| ())), None);
    assert_eq!(at(memory.read_u64(va + 0x79).map(|_| ())), Some(va + 0x80));
    assert_eq!(at(memory.write_u8(va + 0xFF, 1)), Some(va + 0xFF));
    assert_eq!(at(memory.write_u8(va + 0x100, 1)), None);
    assert!(at(memory.copy(va.0, va.0 + 0xF0, 8)).is_some() && at(memory.fill(va.0 + 0x70, &[0], 0x20)).is_some());
    assert!(at(memory.fork().read_u8(va + 0x90).map(|_| ())).is_some());
    memory.allow_kept(va + 0x80, Access::Read);
    assert!(memory.read_u64(va + 0x79).is_ok() && memory.read_u8(va + 0x81).is_err());
}

/// D11: where they are not overwritten, running them is seen, too, until it is allowed: then the code goes on.
#[test]
fn d11_discarded_code_of_a_kept_page_is_seen() {
    let mut memory = configured(TrimPolicy::Pressure, 1000);
    let code = Protection { write: true, execute: true };
    let va = memory.allocate(Region::NonpagedPool, 1, Backing::Resident, code).unwrap();
    let fetched = |memory: &mut Memory, at: Va| memory.fetch(at.0).map(|_| ());
    assert_eq!(fetched(&mut memory, va + 0x80), Ok(()));
    let epoch = memory.code_epoch();
    memory.watch_kept(va + 0x80..va + 0x100, true);
    assert_ne!(memory.code_epoch(), epoch, "what was decoded is looked up again");
    let refused = PageFault { address: va.0 + 0x90, access: Access::Execute, protection: false };
    assert_eq!(fetched(&mut memory, va + 0x90), Err(Fault::Page(refused)));
    assert_eq!((fetched(&mut memory, va + 0x7F), fetched(&mut memory, va + 0x100)), (Ok(()), Ok(())));
    memory.allow_kept(va + 0x90, Access::Execute);
    assert_eq!(fetched(&mut memory, va + 0x80), Ok(()), "one report is enough for code that runs");
    assert!(memory.read_u8(va + 0x80).is_err(), "reading it is another matter");
}

/// A request that would fill memory with page tables is refused before it begins.
#[test]
fn absurd_sizes_cost_nothing() {
    let mut memory = configured(TrimPolicy::OnRaise, 64);
    let used = memory.counters().frames_used;
    for pages in [64 * 512, 1 << 26] {
        let refused = memory.allocate(Region::PagedPool, pages, Backing::Pageable, Protection::READ_WRITE);
        assert!(matches!(refused, Err(MapError::NoFrames(_))), "{refused:?}");
    }
    let device = Backing::Physical(1 << 40);
    assert!(memory.map(Va(0x1_0000), 1 << 34, device, Protection::READ).is_err());
    assert_eq!(memory.counters().frames_used, used);
}

/// Explorers move machines between threads.
#[test]
fn a_memory_can_be_sent() {
    fn check<T: Send + Sync>() {}
    check::<Memory>();
}

/// A page that is written through its physical address, or poked, is dirty.
#[test]
fn writes_past_the_tables_are_not_lost() {
    let mut memory = memory();
    let va = pool(&mut memory, 1);
    write_all(&mut memory, va, 1);
    memory.trim(TrimReason::Command);
    page_in(&mut memory, va);
    assert!(memory.write_physical(memory.physical(va).unwrap(), &[42]));
    memory.trim(TrimReason::Command);
    page_in(&mut memory, va);
    assert_eq!(memory.read_u8(va), Ok(42));
    memory.protect(va, 1, Protection::READ);
    memory.poke(va, &[43]).unwrap();
    memory.trim(TrimReason::Command);
    assert!(memory.poke(va, &[44]).is_err(), "it is out");
    page_in(&mut memory, va);
    assert_eq!(memory.read_u8(va), Ok(43));
}

/// D51: the pages of a kernel stack may leave when its owner says so, they leave together, and then stay again.
#[test]
fn d51_the_pages_of_a_stack_leave_together() {
    let mut memory = configured(TrimPolicy::Pressure, 1000);
    let stack = |memory: &mut Memory| {
        let va = memory.allocate(Region::KernelStack, 6, Backing::Resident, Protection::READ_WRITE).unwrap();
        write_all(memory, va, 6);
        va
    };
    let (one, other) = (stack(&mut memory), stack(&mut memory));
    assert!(memory.evict(&[one], TrimReason::Command).pages.is_empty(), "nobody said so");
    memory.set_pageable(one, 6, true);
    memory.set_pageable(other, 6, true);
    let left: Vec<Va> = (0..6).map(|page| one + page * PAGE_SIZE).collect();
    assert_eq!(memory.evict(&[one + 3 * PAGE_SIZE], TrimReason::Command).pages, left);
    assert!(is_resident(&memory, other));
    memory.set_pageable(one, 6, false);
    for ticket in memory.begin_page_in_runs([PageRun::at(one, 6)]).unwrap().tickets {
        memory.finish(ticket).unwrap();
    }
    check_all(&mut memory, one, 6);
    assert_eq!(memory.trim(TrimReason::Command).pages.len(), 6, "only the other one may leave");
}

/// D51: where frames are short, a stack gives all of its own at once; a page that an MDL keeps stays.
#[test]
fn d51_pressure_takes_a_whole_stack() {
    let mut memory = configured(TrimPolicy::Pressure, 64);
    let stack = memory.allocate(Region::KernelStack, 6, Backing::Resident, Protection::READ_WRITE).unwrap();
    write_all(&mut memory, stack, 6);
    memory.pin(stack, 1, Access::Write).unwrap();
    memory.set_pageable(stack, 6, true);
    let free = 64 - memory.counters().frames_used;
    let pool = pool(&mut memory, 60);
    write_all(&mut memory, pool, u64::from(free));
    let report = memory.take_pressure_report();
    assert_eq!(report.pages, (1..6).map(|page| stack + page * PAGE_SIZE).collect::<Vec<_>>());
    assert!(is_resident(&memory, stack));
}
