//! Locks, handles and counts (BEHAVIOUR.md sections 4 and 5).

use std::num::NonZeroU32;

use crate::world::{BASE, INIT, PAGEA, PAGEB, TEXT, Trim, World, aligned, dense, runs_at};
use nt_types::{BugCheckCode, Va};
use section_paging::{
    COUNT_OVERFLOW, Config, Event, Failure, Finding, Handle, LOCK_OF_NONEXISTENT_SECTION, LockStep, Operation, Reason,
    SectionId, UNLOCK_OF_UNLOCKED_SECTION,
};

const RETURN_ADDRESS: Va = Va(0xFFFF_F800_0010_1234);

fn reason<T: std::fmt::Debug>(result: Result<T, Failure>) -> Reason {
    result.unwrap_err().reason
}

/// R11, R44, R97: whatever address is given, the whole section is resident when the lock returns, its bss tail included.
#[test]
fn whole_section_is_locked() {
    for address in [0x3000, 0x4567, 0x57FF] {
        let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
        assert_eq!(world.resident(), [0, 1, 2, 8]);
        world.lock_address(BASE + address).unwrap();
        assert_eq!(world.resident(), [0, 1, 2, 3, 4, 5, 8]);
    }
}

/// R12: while locked, a section behaves as a nonpaged one: a trim pass takes nothing of it.
#[test]
fn locked_pages_survive_a_trim_pass() {
    let (mut world, _) = World::new(&aligned(), Trim::Never);
    world.lock_address(BASE + 0x3000).unwrap();
    world.trim_pass();
    assert_eq!(world.resident(), [0, 1, 2, 3, 4, 5, 8]);
}

/// R13, R14, R93, D19: a handle survives count zero; locking with it then sets the count to one and brings the section in.
#[test]
fn handle_survives_count_zero() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    assert_eq!(world.unlock(handle), Ok(0));
    assert_eq!(world.resident(), [0, 1, 2, 8]);
    world.lock(handle).unwrap();
    assert_eq!((world.count(image, PAGEA), world.resident().len()), (1, 7));
}

/// R15, D20: each lock adds one, each unlock takes one; the pages may go only at zero.
#[test]
fn counts_are_exact() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    for count in 2..=100 {
        world.lock(handle).unwrap();
        assert_eq!(world.count(image, PAGEA), count);
    }
    for count in (0..100).rev() {
        assert_eq!(world.resident().len(), 7);
        assert_eq!(world.unlock(handle), Ok(count));
    }
    assert_eq!(world.resident().len(), 4);
}

/// R71, R84, D19: one handle for each section, whatever the address; different sections have different ones, none is null.
#[test]
fn one_handle_for_each_section() {
    let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
    let first = world.lock_address(BASE + 0x3000).unwrap();
    let again = world.lock_address(BASE + 0x4000).unwrap();
    let other = world.lock_address(BASE + 0x6000).unwrap();
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_ne!(first.value(), 0);
}

/// R90, D19: a handle lies in a range that is reserved for handles, where no image can be loaded.
#[test]
fn handle_is_no_usable_address() {
    let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    assert!(Handle::RANGE.contains(&handle.value()));
    assert!(Va(Handle::RANGE.start).is_canonical() && Va(Handle::RANGE.end - 1).is_canonical());
    assert_eq!(world.paging.image_at(Va(handle.value())), None);
}

/// R80, R82, D16: the order of the look-up, and the reason for each address that names no section.
#[test]
fn addresses_that_name_no_section() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    assert_eq!(reason(world.lock_address(BASE + 0x9000)), Reason::NoModule);
    assert_eq!(reason(world.lock_address(Va(BASE.0 - 1))), Reason::NoModule);
    assert_eq!(reason(world.lock_address(Va::NULL)), Reason::NoModule);
    assert_eq!(reason(world.lock_address(BASE)), Reason::NoSection);
    assert_eq!(reason(world.lock_address(BASE + 0x5800)), Reason::NoSection);
    world.discard(image, &aligned());
    assert_eq!(reason(world.lock_address(BASE + 0x8000)), Reason::Discarded);
}

/// D16: the module ends with SizeOfImage, also in the middle of a page.
#[test]
fn image_ends_in_the_middle_of_a_page() {
    let (mut world, _) = World::new(&dense(), Trim::AtOnce);
    assert!(world.lock_address(BASE + 0x687F).is_ok());
    assert_eq!(reason(world.lock_address(BASE + 0x6880)), Reason::NoModule);
}

/// D16: of overlapping sections the first in header order is meant.
#[test]
fn first_section_in_header_order() {
    let mut layout = aligned();
    layout.sections[usize::from(PAGEA)].span = 0x4000;
    let (mut world, image) = World::new(&layout, Trim::AtOnce);
    world.lock_address(BASE + 0x6000).unwrap();
    assert_eq!((world.count(image, PAGEA), world.count(image, PAGEB)), (1, 0));
}

/// D18, D37: no section of the kernel or the HAL can be locked.
#[test]
fn kernel_offers_no_section() {
    let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
    let kernel = BASE + 0x10_0000;
    world.load_as(&aligned(), kernel, section_paging::ImageKind::Kernel);
    assert_eq!(reason(world.lock_address(kernel + 0x3000)), Reason::NoSection);
    assert!(!world.paging.is_eligible(kernel.page() + 3));
}

/// D16, D19: a handle that was never issued is unknown, even one that would name an existing section.
#[test]
fn unknown_handles() {
    let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
    let issued = world.lock_address(BASE + 0x3000).unwrap();
    let neighbour = world.lock_address(BASE + 0x6000).unwrap();
    let spacing = neighbour.value() - issued.value();
    let init = neighbour.value() + spacing;
    let values = [0, 1, BASE.0, u64::MAX, issued.value() + 1, init, Handle::RANGE.start];
    for value in values.into_iter().chain([Handle::RANGE.end, Handle::RANGE.end - 16, init + spacing]) {
        let handle = Handle::from_value(value);
        assert_eq!(reason(world.lock(handle)), Reason::UnknownHandle, "{value:#x}");
        assert_eq!(reason(world.unlock(handle)), Reason::UnknownHandle, "{value:#x}");
    }
}

/// R91, R114, D19, D29: a handle dies with its image; a reload at the same address gives another one.
#[test]
fn stale_handles() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let old = world.lock_address(BASE + 0x3000).unwrap();
    world.unlock(old).unwrap();
    let never_issued = Handle::from_value(old.value() + 16);
    world.unload(image);
    world.load(&aligned(), BASE);
    let new = world.lock_address(BASE + 0x3000).unwrap();
    assert_ne!(old, new);
    assert_eq!(reason(world.lock(old)), Reason::StaleHandle);
    assert_eq!(reason(world.unlock(old)), Reason::StaleHandle);
    assert_eq!(reason(world.lock(never_issued)), Reason::UnknownHandle);
}

/// R94, R100, D23: unlock at count zero, and of a section that is locked for the first time just now.
#[test]
fn unlock_at_count_zero() {
    let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    world.unlock(handle).unwrap();
    assert_eq!(reason(world.unlock(handle)), Reason::CountZero);
    let LockStep::PageIn(transition) = world.paging.lock_by_handle(handle, Va::NULL).unwrap().step else { panic!() };
    assert_eq!(reason(world.unlock(handle)), Reason::CountZero);
    assert_eq!(world.paging.finish(transition).unwrap().count, 1);
    assert_eq!(world.unlock(handle), Ok(0));
}

/// R98, D25: the count never wraps; the limit can be lowered.
#[test]
fn count_overflow() {
    let config = Config { count_limit: NonZeroU32::new(5).unwrap(), ..Config::default() };
    let (mut world, image) = World::with_config(&aligned(), Trim::AtOnce, config);
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    (0..4).for_each(|_| assert!(world.lock(handle).is_ok()));
    assert_eq!(reason(world.lock(handle)), Reason::CountOverflow);
    assert_eq!(reason(world.lock_address(BASE + 0x3000)), Reason::CountOverflow);
    assert_eq!(world.count(image, PAGEA), 5);
    assert_eq!(world.unlock(handle), Ok(4));
}

/// R82, R100, R170, D16: the exact bug check of each reason.
#[test]
fn bug_checks() {
    let lock = |reason| Failure { operation: Operation::Lock, value: 0x1234_5678, reason };
    let unlock = |reason| Failure { operation: Operation::Unlock, value: 0x1234_5678, reason };
    let rows = [
        (lock(Reason::NoModule), LOCK_OF_NONEXISTENT_SECTION, 1),
        (lock(Reason::NoSection), 0x1234, 2),
        (lock(Reason::Discarded), 0x1234, 3),
        (lock(Reason::UnknownHandle), 0x1234, 4),
        (unlock(Reason::UnknownHandle), UNLOCK_OF_UNLOCKED_SECTION, 4),
        (lock(Reason::StaleHandle), 0x1234, 5),
        (unlock(Reason::StaleHandle), 0x1010, 5),
        (unlock(Reason::CountZero), 0x1010, 6),
        (lock(Reason::CountOverflow), COUNT_OVERFLOW, 7),
    ];
    for (failure, subtype, reason) in rows {
        let bug_check = failure.bug_check(RETURN_ADDRESS);
        assert_eq!(bug_check.code, BugCheckCode::MEMORY_MANAGEMENT);
        assert_eq!(bug_check.parameters, [subtype, 0x1234_5678, reason, RETURN_ADDRESS.0]);
    }
    assert_eq!(
        (LOCK_OF_NONEXISTENT_SECTION, UNLOCK_OF_UNLOCKED_SECTION, COUNT_OVERFLOW),
        (0x1234, 0x1010, 0xFFFF_1001)
    );
}

/// D16: the bug check carries the value that was passed, and nothing has changed before it.
#[test]
fn failures_change_nothing() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    world.unlock(handle).unwrap();
    world.discard(image, &aligned());
    let before = world.paging.clone();
    assert_eq!(world.lock_address(BASE + 0x8123).unwrap_err().value, BASE.0 + 0x8123);
    assert_eq!(world.lock(Handle::from_value(77)).unwrap_err().value, 77);
    assert_eq!(world.unlock(handle).unwrap_err().value, handle.value());
    assert_eq!(world.paging, before);
}

/// R81, D17: a section that is not pageable is lockable, counted and pinned; K01 warns unless an override is in force.
#[test]
fn nonpageable_section_is_lockable() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let handle = world.lock_address(BASE + 0x1000).unwrap();
    assert_eq!((world.count(image, TEXT), &world.findings[..]), (1, &[1][..]));
    world.page_entire(BASE, false);
    assert!(world.resident().starts_with(&[1, 2]), "the lock pins .text under the override");
    world.findings.clear();
    world.lock_address(BASE + 0x1000).unwrap();
    assert_eq!(world.findings, [18], "no K01 under an override");
    assert_eq!((world.unlock(handle), world.unlock(handle)), (Ok(1), Ok(0)));
    assert!(!world.resident().contains(&1));
}

/// R83, D18: anybody may lock and unlock; K06 if the caller is not the owner, K18 for a repeated lock by address.
#[test]
fn foreign_and_repeated_locks_are_findings() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let other = world.load(&aligned(), BASE + 0x10_0000);
    let section = SectionId { image, index: PAGEA };
    let answer = world.paging.lock_by_address(BASE + 0x3000, BASE + 0x10_1000).unwrap();
    assert_eq!(answer.findings, [Finding::ForeignLock { section, caller: Some(other) }]);
    let LockStep::PageIn(transition) = answer.step else { panic!() };
    let repeated = world.paging.lock_by_address(BASE + 0x3000, BASE + 0x1000).unwrap();
    assert_eq!(repeated.findings, [Finding::RepeatLockByAddress { section }]);
    let handle = world.paging.finish(transition).unwrap().handle;
    let by_handle = world.paging.lock_by_handle(handle, BASE + 0x1000).unwrap();
    assert_eq!(by_handle.findings, []);
    let unlocked = world.paging.unlock(handle, Va(0x1_0000)).unwrap();
    assert_eq!(unlocked.findings, [Finding::ForeignLock { section, caller: None }]);
}

/// R95, R97, D21: a second locker waits while the first brings the pages in; both are counted; one transition is enough.
#[test]
fn second_locker_waits_for_the_transition() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let section = SectionId { image, index: PAGEA };
    let first = world.paging.lock_by_address(BASE + 0x3000, Va::NULL).unwrap().step;
    let LockStep::PageIn(transition) = first else { panic!() };
    let second = world.paging.lock_by_address(BASE + 0x4000, Va::NULL).unwrap().step;
    let LockStep::Wait(wait) = second else { panic!() };
    assert_eq!((wait.event(), wait.section()), (Event::Transition(section), section));
    assert!(!world.paging.is_over(wait.event()));
    assert_eq!(world.count(image, PAGEA), 0, "nobody sees a count before the last page is resident");
    world.paging.finish(transition).unwrap();
    assert!(world.paging.is_over(wait.event()));
    let LockStep::Locked(locked) = world.paging.resume_lock(wait).unwrap() else { panic!() };
    assert_eq!(locked.count, 2);
}

/// D21: pages are pinned from the start of the transition, so what is brought in stays in.
#[test]
fn pages_are_pinned_from_the_start() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let LockStep::PageIn(transition) = world.paging.lock_by_address(BASE + 0x3000, Va::NULL).unwrap().step else {
        panic!()
    };
    assert_eq!(world.eligible(image), [6, 7]);
    assert_eq!(transition.pages().pages().map(|page| page - BASE.page()).collect::<Vec<_>>(), [3, 4, 5]);
}

/// R96, D21: transitions of different sections run in parallel and end in any order.
#[test]
fn transitions_are_independent() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let LockStep::PageIn(a) = world.paging.lock_by_address(BASE + 0x3000, Va::NULL).unwrap().step else { panic!() };
    let LockStep::PageIn(b) = world.paging.lock_by_address(BASE + 0x6000, Va::NULL).unwrap().step else { panic!() };
    world.paging.finish(b).unwrap();
    assert_eq!((world.count(image, PAGEA), world.count(image, PAGEB)), (0, 1));
    world.paging.finish(a).unwrap();
    assert_eq!(world.count(image, PAGEA), 1);
}

/// R103, D26: a failed read leaves no partial lock; a waiter starts over.
#[test]
fn aborted_transition_leaves_nothing() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let before = world.paging.clone();
    let LockStep::PageIn(transition) = world.paging.lock_by_address(BASE + 0x3000, Va::NULL).unwrap().step else {
        panic!()
    };
    let LockStep::Wait(wait) = world.paging.lock_by_address(BASE + 0x3000, Va::NULL).unwrap().step else { panic!() };
    assert_eq!(world.paging.abort(transition).page_count(), 3);
    assert_eq!((world.count(image, PAGEA), world.eligible(image)), (0, vec![3, 4, 5, 6, 7]));
    let LockStep::PageIn(second) = world.paging.resume_lock(wait).unwrap() else { panic!() };
    world.paging.abort(second);
    assert_eq!(world.paging, before);
}

/// R99, R102, D22: the range starts rounded down; a page on the edge is pinned by both sections and freed with the last.
#[test]
fn edge_pages_are_shared() {
    let (mut world, image) = World::new(&dense(), Trim::AtOnce);
    let a = world.lock_address(BASE + 0x2080).unwrap();
    let b = world.lock_address(BASE + 0x4080).unwrap();
    assert_eq!(world.paging.section(SectionId { image, index: PAGEA }).unwrap().pages.pages().count(), 3);
    assert_eq!(world.paging.page(BASE.page() + 4).unwrap().pins, 2);
    assert_eq!(world.paging.page(BASE.page() + 2).unwrap().pins, 1);
    world.unlock(a).unwrap();
    assert_eq!((world.eligible(image), world.resident().contains(&4)), (vec![3], true));
    world.unlock(b).unwrap();
    assert_eq!(world.eligible(image), [3, 4]);
}

/// D22: discarded pages on the edge are skipped.
#[test]
fn discarded_edge_pages_are_skipped() {
    let (mut world, image) = World::new(&dense(), Trim::AtOnce);
    world.paging.discard(image, &[INIT], &runs_at(BASE, &[(5, 2)]));
    let LockStep::PageIn(transition) = world.paging.lock_by_address(BASE + 0x4080, Va::NULL).unwrap().step else {
        panic!()
    };
    assert_eq!(transition.pages().pages().map(|page| page - BASE.page()).collect::<Vec<_>>(), [4]);
}

/// D22: a section without bytes contains no address.
#[test]
fn empty_section_cannot_be_locked() {
    let mut layout = aligned();
    layout.sections[usize::from(PAGEA)].span = 0;
    let (mut world, image) = World::new(&layout, Trim::AtOnce);
    assert_eq!(reason(world.lock_address(BASE + 0x3000)), Reason::NoSection);
    assert!(world.paging.section(SectionId { image, index: PAGEA }).unwrap().pages.is_empty());
}

/// R101, D23: unlock evicts nothing, it makes pages eligible.
#[test]
fn unlock_evicts_nothing() {
    let (mut world, image) = World::new(&aligned(), Trim::Never);
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    world.unlock(handle).unwrap();
    assert_eq!((world.resident().len(), world.eligible(image)), (7, vec![3, 4, 5, 6, 7]));
}

/// R92, D24: call sites of outstanding locks, oldest first. Nobody owns a lock, so all stay suspects until the count is
/// zero again; their number is bounded.
#[test]
fn call_sites_of_outstanding_locks() {
    let config = Config { call_sites: 2, ..Config::default() };
    let (mut world, image) = World::with_config(&aligned(), Trim::AtOnce, config);
    let sites = |world: &World| {
        let sites = world.paging.section(SectionId { image, index: PAGEA }).unwrap().call_sites;
        (sites.iter().map(|site| (site.address - BASE, site.locks)).collect::<Vec<_>>(), sites.others())
    };
    let mut handle = Handle::from_value(0);
    for site in [0x1010, 0x1020, 0x1010, 0x1030] {
        handle = world.lock_address_from(BASE + 0x3000, BASE + site).unwrap();
    }
    world.unlock(handle).unwrap();
    assert_eq!(sites(&world), (vec![(0x1010, 2), (0x1020, 1)], 1));
    (0..3).for_each(|_| assert!(world.unlock(handle).is_ok()));
    assert_eq!(sites(&world), (vec![], 0));
}
