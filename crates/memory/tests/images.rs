//! Images: what is where after load, discard, whole-driver paging and unload. The numbers are those of BEHAVIOUR.md.

use engine::{Access, Mmu};
use memory::{
    Absence, Backing, ImageError, InitialResidency, MapError, Memory, MemoryConfig, PageIn, PageState, Protection,
    Region, TrimPolicy, TrimReason,
};
use nt_types::{PAGE_SIZE, Va};
use section_paging::{
    Finding, ImageId, ImageKind, LoadError, LockStep, NewImage, NewSection, PageEntireStep, PageRun, ResetStep,
    UnloadStep,
};

const PAGES: u64 = 8;
const TEXT: u64 = 1;
const PAGE_CODE: u64 = 3;
const DATA: u64 = 5;
const INIT: u64 = 6;

/// Header, .text (2 pages), PAGE (2), .data (1), INIT (2).
fn sections() -> [NewSection; 4] {
    let section = |page: u64, pages: u64, pageable| NewSection {
        va: (page * PAGE_SIZE) as u32,
        span: (pages * PAGE_SIZE) as u32,
        pageable,
    };
    [section(TEXT, 2, false), section(PAGE_CODE, 2, true), section(DATA, 1, false), section(INIT, 2, false)]
}

fn protections() -> Vec<Protection> {
    let (code, data) = (Protection::READ_EXECUTE, Protection::READ_WRITE);
    vec![Protection::READ, code, code, code, code, data, code, code]
}

/// Each byte is the number of its page.
fn bytes() -> Vec<u8> {
    (0..PAGES * PAGE_SIZE).map(|offset| (offset / PAGE_SIZE) as u8).collect()
}

fn try_load(memory: &mut Memory, base: Va) -> Result<ImageId, ImageError> {
    let (sections, load_map) = (sections(), [PageRun::at(base + PAGE_CODE * PAGE_SIZE, 2)]);
    let size_bytes = (PAGES * PAGE_SIZE) as u32;
    let new = NewImage {
        name: "test.sys",
        kind: ImageKind::Driver,
        base,
        size_bytes,
        sections: &sections,
        load_map: &load_map,
    };
    memory.load_image(&new, &bytes(), &protections())
}

fn load(memory: &mut Memory) -> (ImageId, Va) {
    let base = memory.reserve(Region::Image, PAGES).unwrap();
    (try_load(memory, base).unwrap(), base)
}

fn memory_with(change: impl FnOnce(&mut MemoryConfig)) -> Memory {
    let mut config = MemoryConfig::default();
    change(&mut config);
    Memory::new(config).unwrap()
}

fn page_in(memory: &mut Memory, va: Va) {
    if let PageIn::Hard(ticket) = memory.begin_page_in(va).unwrap() {
        memory.finish(ticket).unwrap();
    }
}

/// Which pages of the image are in memory, one character each.
fn residency(memory: &Memory, base: Va) -> String {
    let letter = |page| match memory.page_state(base + page * PAGE_SIZE) {
        PageState::Resident { eligible: true, .. } => 'e',
        PageState::Resident { .. } => 'r',
        PageState::Out { .. } => 'o',
        PageState::Absent(Absence::Discarded) => 'd',
        PageState::Absent(_) => '-',
        _ => '?',
    };
    (0..PAGES).map(letter).collect()
}

fn lock(memory: &mut Memory, address: Va) -> section_paging::Handle {
    let step = memory.paging_mut().lock_by_address(address, address).unwrap().step;
    let LockStep::PageIn(transition) = step else { panic!("a first lock") };
    let begun = memory.begin_page_in_runs(transition.pages().iter()).unwrap();
    begun.tickets.into_iter().for_each(|ticket| memory.finish(ticket).unwrap());
    memory.paging_mut().finish(transition).unwrap().handle
}

fn page_entire(memory: &mut Memory, address: Va) {
    let PageEntireStep::FlushDpcs(flush) = memory.paging_mut().page_entire(address, false).step else { panic!() };
    memory.paging_mut().finish_page_entire(flush);
}

fn reset(memory: &mut Memory, address: Va) {
    let ResetStep::PageIn(restore) = memory.paging_mut().reset(address, false).step else { return };
    let begun = memory.begin_page_in_runs(restore.pages().iter()).unwrap();
    begun.tickets.into_iter().for_each(|ticket| memory.finish(ticket).unwrap());
    memory.paging_mut().finish_reset(restore);
}

/// R45, R46, D1, D4: the load map starts out, in the paging file; the rest is resident. The content is what was loaded.
#[test]
fn d1_the_load_map_starts_out() {
    let mut memory = memory_with(|_| {});
    memory.set_step(3);
    let (_, base) = load(&mut memory);
    assert_eq!(residency(&memory, base), "rrroorrr");
    assert_eq!((memory.counters().pages_written, memory.counters().writes), (2, 1));
    assert_eq!(memory.history(base + PAGE_CODE * PAGE_SIZE).trimmed, Some((3, TrimReason::Load)));
    let mut content = vec![0; bytes().len()];
    memory.peek(base, &mut content).unwrap();
    assert_eq!(content, bytes());
    page_in(&mut memory, base + PAGE_CODE * PAGE_SIZE);
    assert_eq!(memory.fetch((base + PAGE_CODE * PAGE_SIZE).0).unwrap().bytes, [PAGE_CODE as u8; 4096]);
    assert_eq!(memory.protection(base), Some(Protection::READ));
    assert_eq!(memory.protection(base + PAGE_CODE * PAGE_SIZE), Some(Protection::READ_EXECUTE));
}

/// D1: `initial=resident` keeps the load map in memory, eligible; its first eviction writes it though it is code (D4).
#[test]
fn d1_initially_resident() {
    let mut memory = memory_with(|config| config.initial = InitialResidency::Resident);
    let (_, base) = load(&mut memory);
    assert_eq!((residency(&memory, base).as_str(), memory.counters().pages_written), ("rrreerrr", 0));
    assert_eq!(memory.trim(TrimReason::Command).written_pages, 2);
    assert_eq!(residency(&memory, base), "rrroorrr");
    page_in(&mut memory, base + PAGE_CODE * PAGE_SIZE);
    assert_eq!(memory.trim(TrimReason::Command).written_pages, 0);
}

/// D5: `at-once` counts load among the moments when a page becomes eligible.
#[test]
fn d5_at_once_evicts_after_load_and_last_unlock_and_page_entire() {
    let mut memory = memory_with(|config| {
        config.initial = InitialResidency::Resident;
        config.trim = TrimPolicy::AtOnce;
    });
    let (_, base) = load(&mut memory);
    assert_eq!(memory.settle().pages.len(), 2);
    assert_eq!(residency(&memory, base), "rrroorrr");
    let handle = lock(&mut memory, base + PAGE_CODE * PAGE_SIZE);
    assert!(memory.settle().pages.is_empty());
    assert_eq!(residency(&memory, base), "rrrrrrrr");
    memory.paging_mut().unlock(handle, base).unwrap();
    assert_eq!(memory.settle().pages.len(), 2);
    page_entire(&mut memory, base);
    assert_eq!(memory.settle().pages.len(), 6);
    assert_eq!(residency(&memory, base), "oooooooo");
}

/// R61, D14: with DisablePagingExecutive nothing is pageable, neither at load nor by MmPageEntireDriver; locks count.
#[test]
fn r61_paging_disabled() {
    let mut memory = memory_with(|config| config.paging_enabled = false);
    let (_, base) = load(&mut memory);
    assert_eq!(residency(&memory, base), "rrrrrrrr");
    assert!(matches!(memory.paging_mut().page_entire(base, false).step, PageEntireStep::Done(done) if done == base));
    assert!(memory.trim(TrimReason::Command).pages.is_empty());
    let handle = lock(&mut memory, base + PAGE_CODE * PAGE_SIZE);
    assert_eq!(memory.paging_mut().unlock(handle, base).unwrap().count, 0);
}

/// D32, D36, D38: the table of section 6, what each page does under MmPageEntireDriver, a trim and MmResetDriverPaging.
#[test]
fn d36_page_entire_trim_and_reset() {
    let mut memory = memory_with(|_| {});
    let (_, base) = load(&mut memory);
    memory.write_u8(base + DATA * PAGE_SIZE, 99).unwrap();
    let handle = lock(&mut memory, base + TEXT * PAGE_SIZE);
    page_entire(&mut memory, base);
    assert_eq!(residency(&memory, base), "errooeee", "it evicts nothing by itself (D33)");
    memory.trim(TrimReason::Command);
    assert_eq!(residency(&memory, base), "orrooooo", "a locked section stays (D32)");
    memory.paging_mut().unlock(handle, base).unwrap();
    memory.trim(TrimReason::Command);
    assert_eq!(residency(&memory, base), "oooooooo", "a trim may take .text under the override");
    reset(&mut memory, base);
    assert_eq!(residency(&memory, base), "rrroorrr", "the load map is neither brought in nor evicted");
    assert_eq!(memory.read_u8(base + DATA * PAGE_SIZE), Ok(99));
    assert!(memory.trim(TrimReason::Command).pages.is_empty());
}

/// R56, D12, D13: a discarded page is gone for good, and says so; a lock does not keep it.
#[test]
fn d12_discarded_pages_never_come_back() {
    let mut memory = memory_with(|_| {});
    let (image, base) = load(&mut memory);
    lock(&mut memory, base + INIT * PAGE_SIZE);
    let used = memory.counters().frames_used;
    let findings = memory.discard(image, &[3], &[PageRun::at(base + INIT * PAGE_SIZE, 100)]);
    assert!(matches!(findings[..], [Finding::LockOfDiscarded { .. }]));
    assert_eq!(residency(&memory, base), "rrroordd");
    assert_eq!(memory.counters().frames_used, used - 2);
    let init = base + INIT * PAGE_SIZE;
    assert_eq!(memory.begin_page_in(init), Ok(PageIn::Absent(Absence::Discarded)));
    assert!(memory.fetch(init.0).is_err());
    assert_eq!(memory.why_absent(base + PAGES * PAGE_SIZE), Some(Absence::NeverMapped), "the run ends with the image");
}

/// D28: unload leaks the frames of locked sections only, unmaps everything, and the addresses are not used again.
#[test]
fn d28_unload_leaks_what_is_locked() {
    let mut memory = memory_with(|_| {});
    let before = memory.counters().frames_used;
    let (image, base) = load(&mut memory);
    let tables = memory.counters().frames_used - before - 6;
    lock(&mut memory, base + PAGE_CODE * PAGE_SIZE);
    let answer = memory.unload(image).unwrap();
    assert!(matches!(answer.step, UnloadStep::Unloaded { .. }));
    assert!(matches!(answer.findings[..], [Finding::UnloadWithLocks { .. }]));
    assert_eq!(memory.counters().frames_leaked, 2);
    assert_eq!(memory.counters().frames_used, before + tables + 2);
    assert_eq!(residency(&memory, base), "--------");
    assert_eq!(memory.why_absent(base), Some(Absence::Freed));
    memory.release(base).unwrap();
    assert!(memory.reserve(Region::Image, PAGES).unwrap() > base);
    assert!(memory.unload(image).is_none());
}

/// Without locks everything comes back, the slots in the paging file included.
#[test]
fn unload_frees_everything() {
    let mut memory = memory_with(|config| config.paging_file_pages = 2);
    for _ in 0..5 {
        let (image, base) = load(&mut memory);
        page_in(&mut memory, base + PAGE_CODE * PAGE_SIZE);
        assert!(memory.unload(image).is_some());
    }
    assert_eq!(memory.counters().frames_leaked, 0);
    let pool = memory.allocate(Region::PagedPool, 2, Backing::Pageable, Protection::READ_WRITE).unwrap();
    page_in(&mut memory, pool);
    page_in(&mut memory, pool + PAGE_SIZE);
    let report = memory.trim(TrimReason::Command);
    assert_eq!((report.pages.len(), report.failed.len()), (2, 0));
}

/// D6, D23: a fault's read, shared by a lock that is released before the faulting thread goes on. It finds the page out
/// again and starts over.
#[test]
fn d23_unlock_and_trim_while_a_thread_waits_for_the_page() {
    let mut memory = memory_with(|_| {});
    let (_, base) = load(&mut memory);
    let page = base + PAGE_CODE * PAGE_SIZE;
    let PageIn::Hard(ticket) = memory.begin_page_in(page).unwrap() else { panic!("the page is out") };
    let step = memory.paging_mut().lock_by_address(page, page).unwrap().step;
    let LockStep::PageIn(transition) = step else { panic!("a first lock") };
    let begun = memory.begin_page_in_runs(transition.pages().iter()).unwrap();
    assert!(begun.tickets.contains(&ticket) && begun.hard_pages == 1);
    begun.tickets.into_iter().for_each(|ticket| memory.finish(ticket).unwrap());
    let handle = memory.paging_mut().finish(transition).unwrap().handle;
    assert_eq!(residency(&memory, base), "rrrrrrrr");
    memory.paging_mut().unlock(handle, base).unwrap();
    assert_eq!(memory.trim(TrimReason::Raise).pages.len(), 2);
    memory.finish(ticket).unwrap();
    assert_eq!(residency(&memory, base), "rrroorrr", "the read is over: it brings in nothing any more");
    assert!(matches!(memory.begin_page_in(page), Ok(PageIn::Hard(next)) if next != ticket));
}

/// D6: after the wait the image may be gone.
#[test]
fn d6_unload_during_a_read() {
    let mut memory = memory_with(|_| {});
    let (image, base) = load(&mut memory);
    let PageIn::Hard(ticket) = memory.begin_page_in(base + PAGE_CODE * PAGE_SIZE).unwrap() else { panic!() };
    assert!(memory.unload(image).is_some());
    let used = memory.counters().frames_used;
    memory.finish(ticket).unwrap();
    assert_eq!((residency(&memory, base).as_str(), memory.counters().frames_used), ("--------", used));
}

/// An MDL over image pages keeps them in memory like a lock does, and beyond unload.
#[test]
fn mdl_pins_on_image_pages() {
    let mut memory = memory_with(|_| {});
    let (image, base) = load(&mut memory);
    let page = base + PAGE_CODE * PAGE_SIZE;
    page_in(&mut memory, page);
    let frames = memory.pin(page, 10, Access::Read).unwrap();
    assert!(memory.trim(TrimReason::Command).pages.is_empty());
    assert!(memory.unload(image).is_some());
    let mut byte = [0];
    assert!(memory.read_physical(frames[0].physical(), &mut byte) && byte == [PAGE_CODE as u8]);
    let used = memory.counters().frames_used;
    memory.unpin(&frames).unwrap();
    assert_eq!(memory.counters().frames_used, used - 1);
}

/// A failed load changes nothing: no image, no page, no slot.
#[test]
fn a_failed_load_leaves_nothing() {
    let mut memory = memory_with(|config| config.paging_file_pages = 1);
    let base = memory.reserve(Region::Image, PAGES).unwrap();
    assert!(matches!(try_load(&mut memory, base), Err(ImageError::PagingFile(_))));
    assert_eq!(memory.why_absent(base), Some(Absence::NeverMapped));
    assert_eq!((memory.paging().images().count(), memory.paging().unloaded().count()), (0, 0));

    let mut memory = memory_with(|config| config.frames = 32);
    let filler = memory.reserve(Region::NonpagedPool, 32).unwrap();
    let filled = (0..32).take_while(|page| {
        let page = filler + page * PAGE_SIZE;
        memory.map(page, 1, Backing::Resident, Protection::READ).is_ok()
    });
    assert!(filled.count() > 20);
    memory.unmap(filler, 5);
    let base = memory.reserve(Region::Image, PAGES).unwrap();
    assert!(matches!(try_load(&mut memory, base), Err(ImageError::Map(MapError::NoFrames(_)))));
    memory.unmap(filler, 32);
    assert!(try_load(&mut memory, base).is_ok());
    assert!(matches!(try_load(&mut memory, base), Err(ImageError::Layout(LoadError::Overlaps(_)))));
}

#[test]
fn content_must_fit_the_image() {
    let mut memory = memory_with(|_| {});
    let base = memory.reserve(Region::Image, PAGES).unwrap();
    let new = NewImage { name: "a", kind: ImageKind::Driver, base, size_bytes: 5000, sections: &[], load_map: &[] };
    let refused = memory.load_image(&new, &[0; 8193], &[Protection::READ; 2]);
    assert!(matches!(refused, Err(ImageError::Content { pages: 2, .. })));
    assert!(matches!(memory.load_image(&new, &[], &[Protection::READ]), Err(ImageError::Content { .. })));
    memory.load_image(&new, &[7; 4100], &[Protection::READ; 2]).unwrap();
    let mut tail = [1; 8];
    memory.peek(base + 4096, &mut tail).unwrap();
    assert_eq!(tail, [7, 7, 7, 7, 0, 0, 0, 0]);
}
