//! Long random sequences (section 12), where the exhaustive search is too shallow.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::play::{Caller, Operation, Play};
use crate::world::{BASE, INIT, PAGEA, PAGEB, TEXT, Trim, World, aligned, dense};

fn section() -> impl Strategy<Value = u16> {
    prop_oneof![Just(TEXT), Just(PAGEA), Just(PAGEB), Just(INIT)]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        20 => section().prop_map(Operation::LockAddress),
        20 => section().prop_map(Operation::LockHandle),
        30 => section().prop_map(Operation::Unlock),
        10 => Just(Operation::PageEntire),
        10 => Just(Operation::Reset),
        1 => Just(Operation::Discard),
        1 => Just(Operation::Unload),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// D20, D21, D25, D38: 5 callers, counts up to 5, hundreds of calls, any schedule: machine and model agree, and no
    /// promise about residency is broken.
    #[test]
    fn long_schedules_agree_with_the_model(moves in vec((0..5usize, operation(), 0..10u8), 1..400)) {
        let mut play = Play::new(&dense(), 5, 5);
        for (caller, operation, luck) in moves {
            let mut next = play.clone();
            let goes_on = match &next.callers[caller] {
                Caller::Idle => next.begin(caller, operation),
                _ if luck == 0 && next.can_fail(caller) => { next.fail_read(caller); true }
                _ => next.can_advance(caller) && next.advance(caller),
            };
            if goes_on {
                play = next;
            }
        }
    }

    /// R123, D31, D36: a reset after any sequence of page-entire equals never having called it, apart from the residency
    /// of the load map; and after it every page outside the load map that is not discarded is resident.
    #[test]
    fn reset_undoes_every_page_entire(calls in vec(operation(), 0..60), trims in any::<u64>()) {
        let with = run(&calls, trims, true);
        let without = run(&calls, trims, false);
        prop_assert_eq!(&with.paging, &without.paging);
        let nonpageable = |world: &World| world.resident().into_iter().filter(|page| !(3..8).contains(page)).collect::<Vec<_>>();
        prop_assert_eq!(nonpageable(&with), nonpageable(&without));
        let freed = with.paging.page(BASE.page() + 8).unwrap().discarded;
        prop_assert_eq!(nonpageable(&with), if freed { vec![0, 1, 2] } else { vec![0, 1, 2, 8] });
    }
}

/// Runs the calls of one caller, with or without page-entire and reset, and ends with a reset.
fn run(calls: &[Operation], trims: u64, whole_driver: bool) -> World {
    let (mut world, image) = World::new(&aligned(), Trim::Never);
    let mut handles = [None; 4];
    for (step, call) in calls.iter().enumerate() {
        match *call {
            Operation::LockAddress(section) | Operation::LockHandle(section) => {
                let address = BASE + u64::from(aligned().sections[usize::from(section)].va);
                handles[usize::from(section)] = world.lock_address(address).ok().or(handles[usize::from(section)]);
            }
            Operation::Unlock(section) => {
                let _count = handles[usize::from(section)].map(|handle| world.unlock(handle));
            }
            Operation::PageEntire if whole_driver => assert_eq!(world.page_entire(BASE, false), BASE),
            Operation::Reset if whole_driver => world.reset(BASE, false),
            Operation::Discard => world.discard(image, &aligned()),
            Operation::PageEntire | Operation::Reset | Operation::Unload => (),
        }
        if trims >> (step % 64) & 1 == 1 {
            world.trim_pass();
        }
    }
    world.reset(BASE, false);
    world
}
