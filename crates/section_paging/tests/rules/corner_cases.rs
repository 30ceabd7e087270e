//! The positive corner cases that every release must pass (SAMPLES.md section 3), as far as this machine decides them.
//! Content (2), page-in itself and the byte-for-byte repetition of a whole run (10) belong to the crates around it.

use crate::world::{BASE, PAGEA, Trim, World, aligned};
use nt_types::Va;
use section_paging::{Config, LockStep, PageEntireStep, Reason, ResetStep};

/// R14: lock by handle at count 0 with the section out: count 1, all pages in.
#[test]
fn case_1_lock_by_handle_at_count_zero() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    world.unlock(handle).unwrap();
    assert!((3..6).all(|page| !world.resident().contains(&page)));
    world.lock(handle).unwrap();
    assert_eq!(world.count(image, PAGEA), 1);
    assert!((3..6).all(|page| world.resident().contains(&page)));
}

/// R12: lock, then pressure: residency is unchanged.
#[test]
fn case_2_eviction_passes_a_locked_section_by() {
    let (mut world, _) = World::new(&aligned(), Trim::Never);
    world.lock_address(BASE + 0x3000).unwrap();
    let before = world.resident();
    (0..3).for_each(|_| world.trim_pass());
    assert_eq!(world.resident(), before);
}

/// D23: unlock to 0 without trimming: still resident.
#[test]
fn case_3_unlock_leaves_pages_resident() {
    let (mut world, _) = World::new(&aligned(), Trim::Never);
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    let before = world.resident();
    assert_eq!((world.unlock(handle), world.resident()), (Ok(0), before));
}

/// R61, D14: page-entire with paging disabled: base, no flush, nothing pageable; locks and 0x1010 still work.
#[test]
fn case_4_paging_disabled() {
    let config = Config { paging: false, ..Config::default() };
    let (mut world, image) = World::with_config(&aligned(), Trim::AtOnce, config);
    assert_eq!((world.page_entire(BASE, false), world.flushes), (BASE, 0));
    assert!(world.eligible(image).is_empty());
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    world.unlock(handle).unwrap();
    assert_eq!(world.unlock(handle).unwrap_err().bug_check(BASE).parameters[0], 0x1010);
}

/// R120, D37: page-entire with an address in no image: NULL and K28.
#[test]
fn case_5_page_entire_in_no_image() {
    let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
    assert_eq!((world.page_entire(BASE + 0x9000, false), &world.findings[..]), (Va::NULL, &[28][..]));
}

/// R124: the override is set after the flush: what was queued before has run, what is queued later is not waited for.
#[test]
fn case_6_flush_comes_before_the_effect() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let PageEntireStep::FlushDpcs(flush) = world.paging.page_entire(BASE, false).step else { panic!() };
    assert!(!world.paging.image(image).unwrap().overridden);
    world.paging.finish_page_entire(flush);
    assert!(world.paging.image(image).unwrap().overridden);
}

/// D34: reset with override clear and an interrupt connected: K04 (a warning), no effect.
#[test]
fn case_7_reset_with_interrupt_and_no_override() {
    let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
    let before = world.paging.clone();
    let answer = world.paging.reset(BASE, true);
    assert_eq!((answer.step, answer.findings[0].number(), world.paging), (ResetStep::Done, 4, before));
}

/// D32: the last unlock under the override makes .text eligible.
#[test]
fn case_8_last_unlock_under_the_override() {
    let (mut world, image) = World::new(&aligned(), Trim::Never);
    let handle = world.lock_address(BASE + 0x1000).unwrap();
    world.page_entire(BASE, false);
    assert_eq!(world.eligible(image), [0, 3, 4, 5, 6, 7, 8]);
    world.unlock(handle).unwrap();
    assert_eq!(world.eligible(image), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

/// D21: two first locks of one section at once: one transition, count 2.
#[test]
fn case_9_two_first_locks_at_once() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let LockStep::PageIn(transition) = world.paging.lock_by_address(BASE + 0x3000, Va::NULL).unwrap().step else {
        panic!()
    };
    let LockStep::Wait(wait) = world.paging.lock_by_address(BASE + 0x3FFF, Va::NULL).unwrap().step else { panic!() };
    world.paging.finish(transition).unwrap();
    assert!(matches!(world.paging.resume_lock(wait), Ok(LockStep::Locked(_))));
    assert_eq!(world.count(image, PAGEA), 2);
}

/// 10. The same calls give the same machine, the same failure and the same parameters.
#[test]
fn case_10_same_calls_same_bug_check() {
    let run = || {
        let (mut world, _) = World::new(&aligned(), Trim::AtOnce);
        let handle = world.lock_address(BASE + 0x3000).unwrap();
        world.unlock(handle).unwrap();
        let failure = world.unlock(handle).unwrap_err();
        (failure.reason, failure.bug_check(BASE + 0x1010), world.paging)
    };
    assert_eq!(run(), run());
    assert_eq!(run().0, Reason::CountZero);
}
