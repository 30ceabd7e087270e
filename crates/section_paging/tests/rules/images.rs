//! Load, discard and unload (BEHAVIOUR.md sections 2 and 5.1).

use crate::world::{BASE, INIT, PAGEA, Trim, World, aligned, dense, runs_at};
use nt_types::Va;
use section_paging::{
    Event, Finding, Handle, ImageKind, LoadError, LockStep, NewImage, PageRun, Paging, Reason, SectionId, UnloadStep,
};

/// R1, R40, R45, D1: nothing is pageable but the load map, and that is eligible as soon as the load is complete.
#[test]
fn load_map_is_eligible_from_the_start() {
    let (world, image) = World::new(&aligned(), Trim::AtOnce);
    assert_eq!(world.eligible(image), [3, 4, 5, 6, 7]);
    let mut paging = Paging::default();
    let load_map = runs_at(BASE, &[(3, 2), (6, 1)]);
    let image = NewImage { load_map: &[load_map[0], PageRun::default(), load_map[1]], ..valid() };
    assert_eq!(paging.load(&image).unwrap().newly_eligible.iter().collect::<Vec<_>>(), load_map);
}

/// R43, R37: below page alignment only the pages of the load map are pageable, not those shared with other sections.
#[test]
fn shared_pages_follow_the_load_map() {
    let (world, image) = World::new(&dense(), Trim::AtOnce);
    assert_eq!(world.eligible(image), [3, 4]);
    let state = world.paging.page(BASE.page() + 2).unwrap();
    assert!(!state.pageable && !state.in_load_map && !state.is_eligible());
}

fn valid() -> NewImage<'static> {
    NewImage { name: "a.sys", kind: ImageKind::Driver, base: BASE, size_bytes: 0x9000, sections: &[], load_map: &[] }
}

/// D19, D22: layouts that the machine cannot keep its promises for are refused, each with its reason.
#[test]
fn refused_layouts() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let outside = [PageRun::at(BASE + 0x10_8000, 2)];
    let other = NewImage { base: BASE + 0x10_0000, ..valid() };
    let sections = vec![aligned().sections[0]; 0x1_0000];
    let rows = [
        (NewImage { base: BASE + 0x10_0010, ..valid() }, LoadError::Misaligned(BASE + 0x10_0010)),
        (NewImage { size_bytes: 0, ..other }, LoadError::Empty),
        (NewImage { base: Va(u64::MAX - 0xFFF), ..valid() }, LoadError::Wraps),
        (NewImage { base: Va(Handle::RANGE.start - 0x1000), ..valid() }, LoadError::InHandleRange),
        (NewImage { base: Va(Handle::RANGE.end - 0x1000), ..valid() }, LoadError::InHandleRange),
        (NewImage { base: BASE + 0x8000, size_bytes: 0x800, ..valid() }, LoadError::Overlaps(image)),
        (NewImage { base: Va(BASE.0 - 0x8000), ..valid() }, LoadError::Overlaps(image)),
        (NewImage { base: BASE + 0x1000, size_bytes: 1, ..valid() }, LoadError::Overlaps(image)),
        (NewImage { base: BASE + 0x1000, size_bytes: 0x8000, ..valid() }, LoadError::Overlaps(image)),
        (NewImage { sections: &sections, ..other }, LoadError::TooManySections(0x1_0000)),
        (NewImage { load_map: &outside, ..other }, LoadError::LoadMapOutsideImage(outside[0])),
    ];
    world.load(&aligned(), BASE + 0x9000);
    let before = world.paging.clone();
    for (new, error) in rows {
        assert_eq!(world.paging.load(&new), Err(error));
    }
    assert_eq!(world.paging, before);
    assert!(world.paging.load(&other).is_ok());
}

/// Images side by side, and one that only touches another at a page boundary.
#[test]
fn images_are_found_by_address() {
    let mut paging = Paging::default();
    let bases = [5, 1, 3, 2, 4].map(|n| BASE + n * 0x9000);
    let ids = bases.map(|base| paging.load(&NewImage { base, ..valid() }).unwrap().image);
    for (base, id) in bases.into_iter().zip(ids) {
        assert_eq!((paging.image_at(base), paging.image_at(base + 0x8FFF)), (Some(id), Some(id)));
    }
    assert_eq!((paging.image_at(BASE + 0x8FFF), paging.image_at(BASE + 6 * 0x9000)), (None, None));
    let ascending: Vec<_> = paging.images().map(|image| image.base).collect();
    assert_eq!(ascending, [1, 2, 3, 4, 5].map(|n| BASE + n * 0x9000));
}

/// Sections that leave the image, as a damaged header may claim: their pages end with the image.
#[test]
fn absurd_sections_end_with_the_image() {
    let mut layout = aligned();
    layout.sections[usize::from(PAGEA)].span = u32::MAX;
    layout.sections[usize::from(INIT)].va = u32::MAX;
    let (mut world, image) = World::new(&layout, Trim::AtOnce);
    world.lock_address(BASE + 0x3000).unwrap();
    assert_eq!(world.resident(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(world.paging.section(SectionId { image, index: INIT }).unwrap().pages.is_empty());
}

/// R56, R58, D9, D11, D12: a discarded page is gone for good, its section cannot be locked any more.
#[test]
fn discarded_section_cannot_be_locked() {
    for layout in [aligned(), dense()] {
        let (mut world, image) = World::new(&layout, Trim::AtOnce);
        let init = BASE + u64::from(layout.sections[usize::from(INIT)].va);
        let handle = world.lock_address(init).unwrap();
        world.unlock(handle).unwrap();
        world.discard(image, &layout);
        let freed = BASE.page() + layout.init_pages[0].0;
        assert!(world.paging.page(freed).unwrap().discarded);
        assert!(!world.paging.is_eligible(freed));
        assert_eq!(world.lock_address(init).unwrap_err().reason, Reason::Discarded);
        assert_eq!(world.lock(handle).unwrap_err().reason, Reason::Discarded);
        assert_eq!(world.unlock(handle).unwrap_err().reason, Reason::CountZero);
    }
}

/// D13: INIT locked when its time comes is discarded anyway (K25); the balancing unlocks succeed and change no page.
#[test]
fn locked_init_is_discarded_anyway() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let handle = world.lock_address(BASE + 0x8000).unwrap();
    world.lock(handle).unwrap();
    world.findings.clear();
    world.discard(image, &aligned());
    assert_eq!((&world.findings[..], world.count(image, INIT)), (&[25][..], 2));
    world.discard(image, &aligned());
    assert_eq!(world.findings, [25], "once");
    assert_eq!((world.unlock(handle), world.unlock(handle)), (Ok(1), Ok(0)));
    assert_eq!(world.unlock(handle).unwrap_err().reason, Reason::CountZero);
    assert!(world.paging.page(BASE.page() + 8).unwrap().discarded);
}

/// D6, D12: a first lock that is in progress when its section is discarded finds that out when it ends; so does a waiter.
#[test]
fn discard_during_a_transition() {
    let (mut world, image) = World::new(&dense(), Trim::AtOnce);
    let init = BASE + 0x5080;
    let LockStep::PageIn(transition) = world.paging.lock_by_address(init, Va::NULL).unwrap().step else { panic!() };
    let LockStep::Wait(wait) = world.paging.lock_by_address(init, Va::NULL).unwrap().step else { panic!() };
    world.discard(image, &dense());
    let failure = world.paging.finish(transition).unwrap_err();
    assert_eq!((failure.reason, failure.value), (Reason::Discarded, init.0));
    assert_eq!(world.paging.resume_lock(wait).unwrap_err().reason, Reason::Discarded);
    assert_eq!(world.paging.page(BASE.page() + 5).unwrap().pins, 0, "the kept edge page is not pinned any more");
    assert_eq!(world.paging.image(image).unwrap().calls, 0);
}

/// Discarding what is not there, or pages outside the image, does nothing.
#[test]
fn discard_of_nothing() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let before = world.paging.clone();
    assert_eq!(world.paging.discard(image, &[99], &runs_at(BASE, &[(100, 5)])), []);
    assert_eq!(world.paging, before);
    world.unload(image);
    assert_eq!(world.paging.discard(image, &[INIT], &[]), []);
}

/// R17, R110, R111, D28: an unload with locks never fails; K05 lists section, count and call sites; the pages leak.
#[test]
fn unload_with_locks() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let handle = world.lock_address_from(BASE + 0x3000, BASE + 0x1010).unwrap();
    world.lock_address_from(BASE + 0x3000, BASE + 0x1020).unwrap();
    world.unlock(handle).unwrap();
    let answer = world.paging.unload(image).unwrap();
    let UnloadStep::Unloaded { leaked } = answer.step else { panic!() };
    assert_eq!(leaked.iter().collect::<Vec<_>>(), runs_at(BASE, &[(3, 3)]));
    let [Finding::UnloadWithLocks { image: from, locked }] = &answer.findings[..] else { panic!() };
    assert_eq!((*from, locked.len(), locked[0].section.index, locked[0].count), (image, 1, PAGEA, 1));
    let sites: Vec<_> = locked[0].call_sites.iter().map(|site| site.address - BASE).collect();
    assert_eq!(sites, [0x1010, 0x1020]);
    assert!(world.paging.unload(image).is_none(), "it is gone");
}

/// R17: an unload with all counts zero leaks nothing and says nothing.
#[test]
fn balanced_unload() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let handle = world.lock_address(BASE + 0x3000).unwrap();
    world.unlock(handle).unwrap();
    assert!(world.unload(image).is_empty());
    assert_eq!(world.findings, []);
}

/// D13, D28: the freed pages of a locked and discarded section cannot leak, its kept edge page can.
#[test]
fn discarded_pages_do_not_leak() {
    let (mut world, image) = World::new(&dense(), Trim::AtOnce);
    world.lock_address(BASE + 0x5080).unwrap();
    world.discard(image, &dense());
    assert_eq!(world.unload(image).iter().collect::<Vec<_>>(), runs_at(BASE, &[(5, 1)]));
}

/// R105, R113, D29: unload waits for the calls inside (K20), lets none in, and counts what they completed (K05).
#[test]
fn unload_waits_for_calls_inside() {
    let (mut world, image) = World::new(&aligned(), Trim::AtOnce);
    let b = world.lock_address(BASE + 0x6000).unwrap();
    world.unlock(b).unwrap();
    let LockStep::PageIn(transition) = world.paging.lock_by_address(BASE + 0x3000, Va::NULL).unwrap().step else {
        panic!()
    };
    let LockStep::Wait(wait) = world.paging.lock_by_address(BASE + 0x3000, Va::NULL).unwrap().step else { panic!() };

    let answer = world.paging.unload(image).unwrap();
    assert_eq!(answer.step, UnloadStep::Wait { calls: 2 });
    assert_eq!(answer.findings, [Finding::UnloadDuringCall { image, calls: 2 }]);
    assert_eq!(world.paging.unload(image).unwrap().findings, [], "once");
    assert!(!world.paging.is_over(Event::Calls(image)));

    assert_eq!(world.lock_address(BASE + 0x3000).unwrap_err().reason, Reason::NoModule);
    assert_eq!(world.lock(b).unwrap_err().reason, Reason::StaleHandle);
    assert_eq!(world.unlock(b).unwrap_err().reason, Reason::StaleHandle);
    assert_eq!(world.page_entire(BASE, false), Va::NULL);

    world.paging.finish(transition).unwrap();
    assert_eq!(world.paging.unload(image).unwrap().step, UnloadStep::Wait { calls: 1 });
    assert!(matches!(world.paging.resume_lock(wait), Ok(LockStep::Locked(locked)) if locked.count == 2));
    assert!(world.paging.is_over(Event::Calls(image)));
    let answer = world.paging.unload(image).unwrap();
    assert!(matches!(&answer.findings[..], [Finding::UnloadWithLocks { locked, .. }] if locked[0].count == 2));
}

/// D30: name and range of every unloaded image are kept, and the youngest at an address is found.
#[test]
fn unloaded_images_are_remembered() {
    let (mut world, first) = World::new(&aligned(), Trim::AtOnce);
    world.unload(first);
    let second = world.load(&dense(), BASE);
    assert_eq!(world.paging.unloaded_at(BASE + 0x10).unwrap().image, first);
    world.unload(second);
    assert_eq!(world.paging.unloaded_at(BASE + 0x10).unwrap().image, second);
    assert_eq!(world.paging.unloaded_at(BASE + 0x7000).unwrap().image, first, "beyond the end of the smaller image");
    assert_eq!(world.paging.unloaded_at(BASE + 0x9000), None);
    let names: Vec<_> = world.paging.unloaded().map(|image| (&*image.name, image.base)).collect();
    assert_eq!(names, [("test.sys", BASE), ("test.sys", BASE)]);
}

/// D19: load serials are never reused, and when they are used up the load is refused.
#[test]
fn serials_are_never_reused() {
    let mut paging = Paging::default();
    let image = NewImage { size_bytes: 1, ..valid() };
    for serial in 1..=(1 << 19) - 1 {
        let loaded = paging.load(&image).unwrap().image;
        assert_eq!(loaded.serial(), serial);
        assert!(paging.unload(loaded).is_some());
    }
    assert_eq!(paging.load(&image), Err(LoadError::SerialsExhausted));
}
