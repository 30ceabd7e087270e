//! Mistakes that take two drivers: the owner of a section, and one that uses its handle.

use kernel::Stop;
use nt_types::Va;

use super::expected::{P, differences};
use super::life::alignments;
use crate::sample::{IOCTL, Lab, Setup, bug_check};

const SETUPS: [Setup; 3] = [Setup::TRIMMED, Setup::NEVER, Setup::VERIFIED];

/// Every machine with every image of the other driver.
fn cases(other: &str) -> impl Iterator<Item = (Setup, String)> {
    SETUPS.into_iter().flat_map(move |setup| alignments(other).map(move |image| (setup, image)))
}

/// The owner, loaded; the other driver, loaded and opened.
fn with_owner(setup: Setup, other: &str) -> (Lab, Va, Va, Va) {
    let mut lab = Lab::new(setup);
    let owner = lab.load("broken/owner").expect("the owner starts");
    let driver = lab.load(&format!("broken/{other}")).expect("the driver starts");
    let file = lab.open(driver).expect("it opens");
    (lab, owner, driver, file)
}

/// A handle of an image that is gone, and has come again, is locked or unlocked.
fn stale(lab: &mut Lab, owner: Va, file: Va, code: u32) -> Result<(), Box<Stop>> {
    lab.ioctl(file, IOCTL, 0)?;
    lab.unload(owner)?;
    lab.load("broken/owner")?;
    lab.ioctl(file, code, 0).map(drop)
}

/// D19: a handle dies with its image, reason 5, for lock and unlock; and it was never this driver's (D18).
#[test]
fn x12_uses_a_handle_of_an_image_that_is_gone() {
    for (setup, image) in cases("x12-stale-handle") {
        for (code, subtype) in [(IOCTL + 4, 0x1234), (IOCTL + 8, 0x1010)] {
            let (mut lab, owner, _, file) = with_owner(setup, &image);
            let stop = stale(&mut lab, owner, file, code).expect_err("the handle is dead");
            let expected = (0x1A, [P::Is(subtype), P::Handle, P::Is(5), P::Within("X12DeviceControl")]);
            assert_eq!(differences(&lab, &bug_check(&stop), &expected), Vec::<String>::new());
            assert_eq!(lab.codes().into_iter().collect::<Vec<_>>(), ["K06"]);
        }
    }
}

#[test]
fn x12_repaired_asks_the_owner_each_time() {
    for (setup, image) in cases("x12-stale-handle-fixed") {
        let (mut lab, owner, driver, file) = with_owner(setup, &image);
        lab.ioctl(file, IOCTL, 0).expect("there is nothing to keep");
        lab.unload(owner).expect("the owner goes");
        let owner = lab.load("broken/owner").expect("the owner comes again");
        for code in [IOCTL + 4, IOCTL + 8] {
            lab.ioctl(file, code, 0).expect("the owner does it");
        }
        lab.close(file).and_then(|()| lab.unload(driver)).and_then(|()| lab.unload(owner)).expect("both go");
        assert!(lab.codes().is_empty(), "{:?}", lab.codes());
    }
}

/// D18, D24: the count does not know whose lock it is, so the owner's own unlock fails.
#[test]
fn x25_unlocks_what_another_locked() {
    for (setup, image) in cases("x25-foreign-unlock") {
        let (mut lab, owner, _, file) = with_owner(setup, &image);
        let owned = lab.open(owner).expect("it opens and locks");
        lab.ioctl(file, IOCTL, 0).expect("a foreign unlock is no error");
        let stop = lab.close(owned).expect_err("the owner's own unlock fails");
        let expected = (0x1A, [P::Is(0x1010), P::Handle, P::Is(6), P::Within("OwnerClose")]);
        assert_eq!(differences(&lab, &bug_check(&stop), &expected), Vec::<String>::new());
        assert!(lab.codes().contains("K06"), "{:?}", lab.codes());
    }
}

#[test]
fn x25_repaired_locks_before_it_unlocks() {
    for (setup, image) in cases("x25-foreign-unlock-fixed") {
        let (mut lab, owner, driver, file) = with_owner(setup, &image);
        let owned = lab.open(owner).expect("it opens and locks");
        lab.ioctl(file, IOCTL, 0).expect("it locks and unlocks");
        lab.close(owned).and_then(|()| lab.close(file)).expect("both close");
        lab.unload(driver).and_then(|()| lab.unload(owner)).expect("both go");
        assert!(lab.codes().is_subset(&["K18"].into()), "{:?}", lab.codes());
    }
}
