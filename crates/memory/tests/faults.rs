//! The machinery itself fails: nothing is lost silently, and no byte is ever wrong (issue 3, point 10).

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;

use memory::{
    Absence, Backing, InPageCause, InPageError, InjectedFault, Injection, Memory, MemoryConfig, PageIn, PageState,
    PagingFileConfig, Protection, Region, SetupError, TrimPolicy, TrimReason, WriteError,
};
use nt_types::{BugCheckCode, NtStatus, PAGE_SIZE, Va};
use section_paging::PageRun;

const PAGES: u64 = 4;

fn config() -> MemoryConfig {
    MemoryConfig::default()
}

/// Four pages of paged pool, each with its number in it.
fn filled(config: MemoryConfig) -> (Memory, Va) {
    let mut memory = Memory::new(config).unwrap();
    let va = memory.allocate(Region::PagedPool, PAGES, Backing::Pageable, Protection::READ_WRITE).unwrap();
    for page in 0..PAGES {
        memory.begin_page_in(va + page * PAGE_SIZE).unwrap();
        memory.write_u64(va + page * PAGE_SIZE, page + 1).unwrap();
    }
    (memory, va)
}

/// The same, all out.
fn trimmed() -> (Memory, Va) {
    let (mut memory, va) = filled(config());
    assert_eq!(memory.trim(TrimReason::Command).written_pages, PAGES);
    (memory, va)
}

fn page_in(memory: &mut Memory, va: Va) -> Result<(), InPageError> {
    match memory.begin_page_in(va)? {
        PageIn::Hard(ticket) => memory.finish(ticket),
        _ => Ok(()),
    }
}

fn inject(memory: &mut Memory, number: u64, fault: InjectedFault) {
    memory.inject(Injection { number, fault });
}

fn check_content(memory: &mut Memory, va: Va) {
    for page in 0..PAGES {
        page_in(memory, va + page * PAGE_SIZE).unwrap();
        assert_eq!(memory.read_u64(va + page * PAGE_SIZE), Ok(page + 1));
    }
}

/// R168, R169, R171, D46: 0x7A in its third form: entry address, status, entry contents, faulting address.
#[test]
fn d46_a_failed_read_is_0x7a() {
    for status in [
        NtStatus::INSUFFICIENT_RESOURCES,
        NtStatus::DEVICE_DATA_ERROR,
        NtStatus::DEVICE_NOT_CONNECTED,
        NtStatus(0xC000_016A),
        NtStatus::IO_DEVICE_ERROR,
        NtStatus::NO_SUCH_DEVICE,
    ] {
        let (mut memory, va) = trimmed();
        inject(&mut memory, 1, InjectedFault::ReadStatus(status));
        let entry = memory.pte(va);
        let used = memory.counters().frames_used;
        let error = page_in(&mut memory, va).unwrap_err();
        assert_eq!((error.va, error.cause), (va, InPageCause::Injected));
        assert_eq!(memory.counters().frames_used, used);
        let bug_check = error.bug_check(va + 0x10);
        assert_eq!(bug_check.code, BugCheckCode::KERNEL_DATA_INPAGE_ERROR);
        assert_eq!(bug_check.parameters, [entry.0, status.0.into(), entry.1, va.0 + 0x10]);
        assert!(matches!(memory.page_state(va), PageState::Out { reading: false, .. }));
        check_content(&mut memory, va);
    }
}

#[test]
fn d46_host_errors_have_a_documented_status() {
    let faults = [
        (InjectedFault::ShortRead, InPageCause::ShortRead, NtStatus::DEVICE_DATA_ERROR),
        (InjectedFault::ReadIo(ErrorKind::Other), InPageCause::Io(ErrorKind::Other), NtStatus::IO_DEVICE_ERROR),
    ];
    for (fault, cause, status) in faults {
        let (mut memory, va) = trimmed();
        inject(&mut memory, 2, fault);
        page_in(&mut memory, va).unwrap();
        let error = page_in(&mut memory, va + PAGE_SIZE).unwrap_err();
        assert_eq!((error.va, error.cause, error.status), (va + PAGE_SIZE, cause, status));
        check_content(&mut memory, va);
    }
}

/// D46: a checksum mismatch is 0x1A/0x3f with the offset, the CRC found and the CRC expected.
#[test]
fn d46_a_flipped_bit_is_0x1a_0x3f() {
    let (mut memory, va) = trimmed();
    inject(&mut memory, 1, InjectedFault::BitFlip);
    let PageState::Out { slot, .. } = memory.page_state(va) else { panic!("the page is out") };
    let error = page_in(&mut memory, va).unwrap_err();
    let InPageCause::Checksum { slot: bad, found, expected } = error.cause else { panic!("{error}") };
    assert!(bad == slot && found != expected);
    let bug_check = error.bug_check(va);
    assert_eq!(bug_check.code, BugCheckCode::MEMORY_MANAGEMENT);
    assert_eq!(bug_check.parameters, [0x3f, u64::from(slot) * PAGE_SIZE, found.into(), expected.into()]);
    assert!(memory.read_u64(va).is_err(), "a wrong byte is never seen");
}

/// D26: an error in the middle of a cluster names its page, and the read can be repeated.
#[test]
fn d26_a_clustered_read_fails_as_a_whole() {
    let (mut memory, va) = trimmed();
    inject(&mut memory, 1, InjectedFault::ReadIo(ErrorKind::Other));
    let begun = memory.begin_page_in_runs([PageRun::at(va, PAGES)]).unwrap();
    assert_eq!((begun.tickets.len(), begun.hard_pages), (1, PAGES));
    assert!(memory.finish(begun.tickets[0]).is_err());
    for page in 0..PAGES {
        assert!(matches!(memory.page_state(va + page * PAGE_SIZE), PageState::Out { reading: false, .. }));
    }
    check_content(&mut memory, va);
}

/// A full disk or a failed write keeps the pages in memory, and says so.
#[test]
fn a_failed_write_loses_nothing() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        let (mut memory, va) = filled(config());
        inject(&mut memory, 1, InjectedFault::WriteIo(kind));
        let report = memory.trim(TrimReason::Raise);
        assert_eq!((report.pages.len(), report.failed.len()), (0, PAGES as usize));
        assert!(report.failed.iter().all(|&(_, error)| error == WriteError::Io(kind)));
        assert_eq!(memory.read_u64(va), Ok(1), "still there");
        assert_eq!(memory.trim(TrimReason::Raise).written_pages, PAGES);
        check_content(&mut memory, va);
    }
}

/// A failed write of changed content leaves the old content in the file and the new one in memory.
#[test]
fn a_failed_rewrite_keeps_the_new_content() {
    let (mut memory, va) = trimmed();
    let mut before = memory.fork();
    page_in(&mut memory, va).unwrap();
    memory.write_u64(va, 77).unwrap();
    inject(&mut memory, 1, InjectedFault::WriteIo(ErrorKind::StorageFull));
    assert_eq!(memory.trim(TrimReason::Command).failed.len(), 1);
    assert_eq!(memory.read_u64(va), Ok(77));
    check_content(&mut before, va);
}

/// With no frame and no way to write, the error names both; the machine can go on when the disk can.
#[test]
fn pressure_with_a_full_disk_is_an_error_not_a_loop() {
    let frames = 40;
    let mut memory = Memory::new(MemoryConfig { frames, trim: TrimPolicy::Pressure, ..config() }).unwrap();
    let va = memory.allocate(Region::PagedPool, 100, Backing::Pageable, Protection::READ_WRITE).unwrap();
    (1..=200).for_each(|number| inject(&mut memory, number, InjectedFault::WriteIo(ErrorKind::StorageFull)));
    let error = (0..100).find_map(|page| page_in(&mut memory, va + page * PAGE_SIZE).err()).unwrap();
    let InPageCause::NoFrames(none) = error.cause else { panic!("{error}") };
    assert_eq!((none.budget, none.write), (frames, Some(WriteError::Io(ErrorKind::StorageFull))));
    assert!(!memory.take_pressure_report().failed.is_empty());
    while memory.counters().writes < 200 {
        let _ = page_in(&mut memory, error.va);
    }
    page_in(&mut memory, error.va).unwrap();
}

#[test]
fn the_paging_file_has_a_largest_size() {
    let (mut memory, va) = filled(MemoryConfig { paging_file_pages: 2, ..config() });
    let report = memory.evict(&[va, va + 2 * PAGE_SIZE, va + 3 * PAGE_SIZE], TrimReason::Command);
    assert_eq!(report.pages, [va]);
    assert_eq!(report.failed.len(), 2);
    assert!(report.failed.iter().all(|&(_, error)| error == WriteError::Full { pages: 2 }));
    check_content(&mut memory, va);
}

/// Someone else truncates or changes the file: a short read, or a checksum mismatch, never wrong content.
#[test]
#[cfg_attr(windows, ignore = "the host keeps others away from the file")]
fn a_file_damaged_from_outside_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pages");
    let (mut memory, va) = filled(MemoryConfig { paging_file: PagingFileConfig::File(path.clone()), ..config() });
    memory.trim(TrimReason::Command);
    let mut content = fs::read(&path).unwrap();
    let position = content.windows(8).rposition(|bytes| bytes == 1u64.to_le_bytes()).unwrap();
    content[position] = 0xff;
    fs::write(&path, &content).unwrap();
    assert!(matches!(page_in(&mut memory, va).unwrap_err().cause, InPageCause::Checksum { .. }));
    assert_eq!(memory.peek(va, &mut [0; 8]), Err(Absence::Unreadable));
    page_in(&mut memory, va + PAGE_SIZE).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(PAGE_SIZE * 2).unwrap();
    let error = page_in(&mut memory, va + 3 * PAGE_SIZE).unwrap_err();
    assert_eq!(error.cause, InPageCause::ShortRead);
    assert_eq!(memory.read_u64(va + PAGE_SIZE), Ok(2));
}

/// A missing directory and a directory in place of a file are set-up errors with the path in them.
#[test]
fn a_paging_file_that_cannot_be_made() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    for paging_file in [
        PagingFileConfig::Directory(missing.clone()),
        PagingFileConfig::File(missing.join("file")),
        PagingFileConfig::File(directory.path().to_path_buf()),
    ] {
        let error = Memory::new(MemoryConfig { paging_file, ..config() }).err().unwrap();
        assert!(
            matches!(error, SetupError::PagingFile { .. }) && error.to_string().contains("paging file in `"),
            "{error}"
        );
    }
    let inside = PagingFileConfig::Directory(directory.path().to_path_buf());
    assert!(Memory::new(MemoryConfig { paging_file: inside, ..config() }).is_ok());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "a file in a directory has no name");
}

#[test]
fn frame_budgets_have_limits() {
    for frames in [0, 31, (1 << 24) + 1] {
        let error = Memory::new(MemoryConfig { frames, ..config() }).err().unwrap();
        assert!(matches!(error, SetupError::FrameBudget { min: 32, .. }), "{error}");
    }
    let mut memory = Memory::new(MemoryConfig { frames: 32, ..config() }).unwrap();
    for region in [Region::User, Region::NonpagedPool, Region::KernelStack, Region::SystemMapping, Region::Image] {
        memory.allocate(region, 1, Backing::Resident, Protection::READ_WRITE).unwrap();
    }
    memory.map(Va(0xFFFF_F780_0000_0000), 1, Backing::Resident, Protection::READ).unwrap();
    let pool = memory.allocate(Region::PagedPool, 1, Backing::Pageable, Protection::READ_WRITE).unwrap();
    assert_eq!(memory.begin_page_in(pool), Ok(PageIn::Soft));
}
