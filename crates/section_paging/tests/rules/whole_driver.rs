//! MmPageEntireDriver, MmResetDriverPaging and DisablePagingExecutive (BEHAVIOUR.md sections 2.2 and 6).

use crate::world::{BASE, INIT, PAGEA, TEXT, Trim, World, aligned, dense, runs_at};
use nt_types::Va;
use section_paging::{Config, Event, Finding, ImageKind, PageEntireStep, Reason, ResetStep, SectionId};

const ALL: [u64; 9] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

fn paging_disabled() -> Config {
    Config { paging: false, ..Config::default() }
}

/// R23, R120, R121, D31: every page becomes pageable, headers and INIT included; the base is returned.
#[test]
fn page_entire_covers_every_page() {
    for address in [0, 0x1000, 0x3000, 0x5FFF, 0x8FFF] {
        let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
        assert_eq!(world.page_entire(BASE + address, false), BASE);
        assert_eq!((world.eligible(image), world.resident()), (ALL.to_vec(), vec![]));
    }
}

/// R122, D33: it makes pages eligible and evicts none.
#[test]
fn page_entire_evicts_nothing() {
    let (mut world, image) = World::new(&aligned(), Trim::Never);
    let before = world.resident();
    world.page_entire(BASE, false);
    assert_eq!((world.resident(), world.eligible(image)), (before, ALL.to_vec()));
}

/// R120, R124, D35: nothing is pageable before the queued DPCs have run, and the answer says which pages became so.
#[test]
fn dpcs_are_flushed_first() {
    let (mut world, image) = World::new(&aligned(), Trim::Never);
    let PageEntireStep::FlushDpcs(flush) = world.paging.page_entire(BASE, false).step else { panic!() };
    assert_eq!((flush.image(), world.eligible(image)), (image, vec![3, 4, 5, 6, 7]));
    let done = world.paging.finish_page_entire(flush);
    assert_eq!(done.newly_eligible.iter().collect::<Vec<_>>(), runs_at(BASE, &[(0, 3), (8, 1)]));
}

/// R26, R123, D33: neither call nests; one reset undoes any number of them. A repeated one still flushes DPCs.
#[test]
fn idempotent_and_not_nested() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let before = world.paging.clone();
    (0..3).for_each(|_| assert_eq!(world.page_entire(BASE, false), BASE));
    assert_eq!(world.flushes, 3);
    world.reset(BASE, false);
    assert_eq!((world.eligible(image), world.resident()), (vec![3, 4, 5, 6, 7], vec![0, 1, 2, 8]));
    assert_eq!(world.paging, before, "as if page-entire had never been called");
    world.reset(BASE, false);
    assert_eq!(world.paging, before);
}

/// R27, R130, R131, R133, D36: nonpageable pages come back, headers too; pageable ones are neither brought in nor evicted.
#[test]
fn reset_brings_nonpageable_pages_back() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    world.page_entire(BASE, false);
    world.resident.insert(BASE.page() + 4);
    let ResetStep::PageIn(restore) = world.paging.reset(BASE, false).step else { panic!() };
    assert_eq!(restore.pages().iter().collect::<Vec<_>>(), runs_at(BASE, &[(0, 3), (8, 1)]));
    assert_eq!((restore.image(), world.eligible(image)), (image, vec![3, 4, 5, 6, 7]), "they stay from now on");
    world.resident.extend(restore.pages().pages());
    world.paging.finish_reset(restore);
    assert_eq!(world.resident(), [0, 1, 2, 4, 8]);
}

/// R132, D36: reset is no lock: no count, no pin, nothing to unlock.
#[test]
fn reset_is_no_lock() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    world.page_entire(BASE, false);
    world.reset(BASE, false);
    assert!((0..4).all(|index| world.count(image, index) == 0));
    assert!((0..9).all(|page| world.paging.page(BASE.page() + page).unwrap().pins == 0));
}

/// D36: pages shared by a nonpageable and a pageable section end nonpaged.
#[test]
fn shared_pages_end_nonpaged() {
    let (mut world, _) = World::new(&dense(), Trim::AtOnce);
    world.page_entire(BASE, false);
    world.reset(BASE, false);
    assert_eq!(world.resident(), [0, 1, 2, 5, 6]);
}

/// R26: reset of a driver that was never overridden does nothing.
#[test]
fn reset_without_override() {
    let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
    let before = (world.paging.clone(), world.resident());
    world.reset(BASE + 0x1000, false);
    assert_eq!((world.paging, world.findings), (before.0, vec![]));
}

/// R134, D37: an address in no module gives NULL or nothing, and K28; one in the kernel gives its base or nothing, and K28.
#[test]
fn bad_addresses() {
    let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
    let kernel = BASE + 0x10_0000;
    let id = world.load_as(&aligned(), kernel, ImageKind::Kernel);
    assert_eq!(world.page_entire(Va(0x1000), false), Va::NULL);
    assert_eq!(world.page_entire(kernel + 0x1000, false), kernel);
    world.reset(Va(0x1000), false);
    world.reset(kernel + 0x1000, false);
    assert_eq!((world.findings, world.flushes), (vec![28; 4], 0));
    assert!(world.paging.eligible(id).is_empty());
}

/// R24, R136, D34: K03 and K04 with an interrupt connected; the call proceeds.
#[test]
fn interrupt_connected_is_a_finding() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let answer = world.paging.reset(BASE, true);
    assert_eq!(answer.findings, [Finding::ResetWithInterrupt { image, overridden: false }]);
    assert_eq!(answer.step, ResetStep::Done);
    world.page_entire(BASE, true);
    assert_eq!((&world.findings[..], world.resident()), (&[3][..], vec![]));
    let answer = world.paging.reset(BASE, true);
    assert_eq!(answer.findings, [Finding::ResetWithInterrupt { image, overridden: true }]);
    assert!(matches!(answer.step, ResetStep::PageIn(_)));
}

/// R135, D32: both leave counts alone, and a locked section stays. The last unlock under the override makes .text eligible.
#[test]
fn locks_survive_both_calls() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let text = world.lock_address(BASE + 0x1000).unwrap();
    let page = world.lock_address(BASE + 0x3000).unwrap();
    world.page_entire(BASE, false);
    assert_eq!(world.resident(), [1, 2, 3, 4, 5]);
    assert_eq!((world.count(image, TEXT), world.count(image, PAGEA)), (1, 1));
    world.unlock(text).unwrap();
    assert_eq!(world.resident(), [3, 4, 5]);
    world.reset(BASE, false);
    assert_eq!(world.resident(), [0, 1, 2, 3, 4, 5, 8]);
    assert_eq!(world.unlock(page), Ok(0));
    assert_eq!(world.resident(), [0, 1, 2, 8]);
}

/// R126, D31, D12: legal from DriverEntry; INIT is pageable while it is there, and a discarded address is accepted later.
#[test]
fn init_is_a_valid_argument() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    assert_eq!(world.page_entire(BASE + 0x8000, false), BASE);
    world.discard(image, &aligned());
    world.reset(BASE + 0x8000, false);
    assert_eq!(world.resident(), [0, 1, 2], "a freed page does not come back");
    assert_eq!(world.page_entire(BASE + 0x8000, false), BASE);
    assert_eq!(world.eligible(image), [0, 1, 2, 3, 4, 5, 6, 7]);
}

/// D36: a page that is freed while reset reads it in is no longer waited for.
#[test]
fn discard_during_reset() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    world.page_entire(BASE, false);
    let ResetStep::PageIn(restore) = world.paging.reset(BASE, false).step else { panic!() };
    world.discard(image, &aligned());
    world.resident.extend(restore.pages().pages().filter(|page| !world.paging.page(*page).unwrap().discarded));
    world.paging.finish_reset(restore);
    world.check();
    assert_eq!(world.resident(), [0, 1, 2]);
}

/// D38: on one image the two routines exclude each other; the second goes on when the first has ended.
#[test]
fn they_exclude_each_other() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let other = world.load(&aligned(), BASE + 0x10_0000);
    let PageEntireStep::FlushDpcs(flush) = world.paging.page_entire(BASE, false).step else { panic!() };
    let ResetStep::Wait(reset) = world.paging.reset(BASE, false).step else { panic!() };
    let PageEntireStep::Wait(page_entire) = world.paging.page_entire(BASE, false).step else { panic!() };
    assert_eq!(reset.event(), Event::WholeDriver(image));
    assert!(!world.paging.is_over(reset.event()) && world.paging.image(image).unwrap().busy);
    assert!(world.paging.is_over(Event::WholeDriver(other)), "another image is free");

    world.paging.finish_page_entire(flush);
    assert!(world.paging.is_over(page_entire.event()));
    let ResetStep::PageIn(restore) = world.paging.resume_reset(reset) else { panic!() };
    let PageEntireStep::Wait(page_entire) = world.paging.resume_page_entire(page_entire) else { panic!() };
    world.paging.finish_reset(restore);
    let PageEntireStep::FlushDpcs(flush) = world.paging.resume_page_entire(page_entire) else { panic!() };
    assert_eq!(world.paging.finish_page_entire(flush).base, BASE);
    assert_eq!(world.paging.image(image).unwrap().calls, 0);
}

/// D34: with the other routine in progress the code may be out, whatever the override says now: K04 is an error.
#[test]
fn reset_with_interrupt_during_a_reset() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    world.page_entire(BASE, false);
    let ResetStep::PageIn(restore) = world.paging.reset(BASE, false).step else { panic!() };
    let second = world.paging.reset(BASE, true);
    assert_eq!(second.findings, [Finding::ResetWithInterrupt { image, overridden: true }]);
    let ResetStep::Wait(wait) = second.step else { panic!() };
    world.paging.finish_reset(restore);
    assert_eq!(world.paging.resume_reset(wait), ResetStep::Done);
}

/// D26: a reset that cannot read its pages leaves everything as it was.
#[test]
fn aborted_reset() {
    let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
    world.page_entire(BASE, false);
    let before = world.paging.clone();
    let ResetStep::PageIn(restore) = world.paging.reset(BASE, false).step else { panic!() };
    world.paging.abort_reset(restore);
    assert_eq!(world.paging, before);
}

/// D38: the table, row by row. Each row is one page: its state before, after page-entire, after a trim, after reset.
#[test]
fn table_of_page_states() {
    let (mut world, image) = World::new(&aligned(), Trim::Never);
    let text = world.lock_address(BASE + 0x1000).unwrap();
    world.lock_address(BASE + 0x6000).unwrap();
    world.discard(image, &aligned());
    world.resident.insert(BASE.page() + 3);
    // (page, resident and eligible before, after page-entire, after a trim, after reset)
    let rows = [
        ("not in load map, resident, pins 0", 0, (true, false), (true, true), (false, true), (true, false)),
        ("not in load map, pins > 0", 1, (true, false), (true, false), (true, false), (true, false)),
        ("load map, resident, pins 0", 3, (true, true), (true, true), (false, true), (false, true)),
        ("load map, out", 4, (false, true), (false, true), (false, true), (false, true)),
        ("load map, pins > 0", 6, (true, false), (true, false), (true, false), (true, false)),
        ("discarded", 8, (false, false), (false, false), (false, false), (false, false)),
    ];
    let check = |world: &World, column: fn(&Row) -> (bool, bool)| {
        for row in &rows {
            let page = BASE.page() + row.1;
            assert_eq!((world.resident.contains(&page), world.paging.is_eligible(page)), column(row), "{}", row.0);
        }
    };
    check(&world, |row| row.2);
    world.page_entire(BASE, false);
    check(&world, |row| row.3);
    world.trim_pass();
    check(&world, |row| row.4);
    world.reset(BASE, false);
    check(&world, |row| row.5);
    world.unlock(text).unwrap();

    // Row 3 of the table: not in the load map and out from an earlier override.
    world.page_entire(BASE, false);
    world.trim_pass();
    world.page_entire(BASE, false);
    assert!(!world.resident.contains(&BASE.page()) && world.paging.is_eligible(BASE.page()));
    world.reset(BASE, false);
    assert!(world.resident.contains(&BASE.page()) && !world.paging.is_eligible(BASE.page()));
}

type Row = (&'static str, u64, (bool, bool), (bool, bool), (bool, bool), (bool, bool));

/// R47, R60, R61: with paging disabled nothing is pageable at load; page-entire returns the base and flushes nothing.
#[test]
fn paging_disabled_makes_nothing_pageable() {
    let (mut world, image) = World::with_config(&aligned(), Trim::AtOnce, paging_disabled());
    assert_eq!((world.eligible(image), world.resident()), (vec![], ALL.to_vec()));
    assert_eq!(world.page_entire(BASE + 0x1000, false), BASE);
    assert_eq!((world.eligible(image), world.flushes, world.resident()), (vec![], 0, ALL.to_vec()));
    world.reset(BASE, false);
    assert_eq!(world.findings, []);
}

/// R62, D14: locks, counts, handles, bug checks, findings and discard work unchanged.
#[test]
fn paging_disabled_changes_nothing_else() {
    let (mut world, image) = World::with_config(&aligned(), Trim::AtOnce, paging_disabled());
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    assert_eq!(world.lock(handle), Ok(handle));
    assert_eq!((world.unlock(handle), world.unlock(handle)), (Ok(1), Ok(0)));
    assert_eq!(world.unlock(handle).unwrap_err().reason, Reason::CountZero);
    world.lock_address(BASE + 0x1000).unwrap();
    world.page_entire(BASE, true);
    world.lock_address(BASE + 0x8000).unwrap();
    world.discard(image, &aligned());
    assert!(world.paging.section(SectionId { image, index: INIT }).unwrap().discarded);
    world.unload(image);
    assert_eq!(world.findings, [1, 3, 1, 25, 5]);
}
