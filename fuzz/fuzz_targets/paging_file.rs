//! Any bytes as an existing paging file, and any damage to one in use: a page comes back as it was written or not at all.
#![no_main]

use std::fs::{self, OpenOptions};
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use memory::{Backing, Memory, MemoryConfig, PageIn, PagingFileConfig, Protection, Region, SetupError, TrimReason};
use nt_types::{PAGE_SIZE, Va};
use section_paging::PageRun;

const PAGES: u64 = 8;

fn open(path: &Path) -> Result<Memory, SetupError> {
    Memory::new(MemoryConfig { paging_file: PagingFileConfig::File(path.into()), ..MemoryConfig::default() })
}

/// A file that someone left: it is refused and stays as it is, or it is a paging file.
fn left_behind(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a temporary file");
    match open(path) {
        Ok(_) => assert!(bytes.is_empty() || bytes.starts_with(b"nonpaged pages 1")),
        Err(_) => assert_eq!(fs::read(path).expect("it was just written"), bytes),
    }
}

/// Eight pages in the file, then the damage: groups of four bytes say where (two), and what to flip (one); the length of
/// what is left says where the file ends.
fn damaged(path: &Path, bytes: &[u8]) {
    let mut memory = open(path).expect("a new file");
    let pool = memory.allocate(Region::PagedPool, PAGES, Backing::Pageable, Protection::READ_WRITE).expect("frames");
    for page in 0..PAGES {
        memory.begin_page_in(pool + page * PAGE_SIZE).expect("frames");
        memory.write_bytes(pool + page * PAGE_SIZE, &[page as u8 + 1; PAGE_SIZE as usize]).expect("resident");
    }
    assert_eq!(memory.trim(TrimReason::Command).written_pages, PAGES);

    let mut content = fs::read(path).expect("the paging file");
    let (flips, rest) = bytes.as_chunks::<4>();
    for [high, low, mask, _] in flips {
        let at = usize::from(u16::from_be_bytes([*high, *low]));
        if let Some(byte) = content.get_mut(at) {
            *byte ^= mask;
        }
    }
    content.truncate(content.len() - rest.len() * 5000);
    fs::write(path, &content).expect("a temporary file");
    OpenOptions::new().write(true).open(path).expect("it is there").set_len(content.len() as u64).expect("shorter");

    let mut fork = memory.fork();
    if let PageIn::Hard(ticket) = fork.begin_page_in(pool).expect("frames") {
        let _ = fork.finish(ticket);
    }
    for ticket in memory.begin_page_in_runs([PageRun::at(pool, PAGES)]).expect("frames").tickets {
        let _ = memory.finish(ticket);
    }
    check(&mut memory, pool);
    check(&mut fork, pool);
}

/// What can be read is what was written.
fn check(memory: &mut Memory, pool: Va) {
    for page in 0..PAGES {
        let mut bytes = [0; PAGE_SIZE as usize];
        let expected = [page as u8 + 1; PAGE_SIZE as usize];
        assert!(memory.peek(pool + page * PAGE_SIZE, &mut bytes).is_err() || bytes == expected);
        assert!(memory.read_bytes(pool + page * PAGE_SIZE, &mut bytes).is_err() || bytes == expected);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("pages");
    match bytes.split_first() {
        Some((0, file)) => left_behind(&path, file),
        Some((_, damage)) => damaged(&path, damage),
        None => {}
    }
});
