//! The life of one driver.

use nt_types::Va;
use section_paging::{ImageKind, LockStep, NewImage, NewSection, PageRun, Paging, UnloadStep};

#[test]
fn first_lock_pages_in_and_the_handle_survives_count_zero() {
    let mut paging = Paging::default();
    let base = Va(0xFFFF_F800_0010_0000);
    let load_map = [PageRun::at(base + 0x2000, 2)];
    let sections = [
        NewSection { va: 0x1000, span: 0x800, pageable: false },
        NewSection { va: 0x2000, span: 0x1800, pageable: true },
    ];
    let image = NewImage {
        name: "a.sys",
        kind: ImageKind::Driver,
        base,
        size_bytes: 0x4000,
        sections: &sections,
        load_map: &load_map,
    };
    let loaded = paging.load(&image).unwrap();
    assert_eq!(loaded.newly_eligible.page_count(), 2);

    let LockStep::PageIn(transition) = paging.lock_by_address(base + 0x2345, Va::NULL).unwrap().step else { panic!() };
    assert_eq!(transition.pages().page_count(), 2);
    let locked = paging.finish(transition).unwrap();
    assert!(!paging.is_eligible(base.page() + 2));

    assert_eq!(paging.unlock(locked.handle, Va::NULL).unwrap().newly_eligible, loaded.newly_eligible);
    let LockStep::PageIn(again) = paging.lock_by_handle(locked.handle, Va::NULL).unwrap().step else { panic!() };
    assert_eq!(paging.finish(again).unwrap().handle, locked.handle);
    let unload = paging.unload(loaded.image).unwrap();
    assert!(matches!(unload.step, UnloadStep::Unloaded { leaked } if leaked == loaded.newly_eligible));
    assert_eq!(unload.findings[0].number(), 5);
}
