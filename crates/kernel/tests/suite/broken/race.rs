//! Mistakes that only some schedules show: two requests on two processors.

use std::collections::BTreeSet;

use kernel::{Action, Stop};
use nt_types::Va;

use super::expected::{P, differences};
use super::life::{alignments, lead, life};
use crate::sample::{Lab, Setup, bug_check};

/// When the second request begins, in steps after the first, and how many steps a processor takes before the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Schedule {
    delay: u64,
    slice: u64,
}

fn schedules() -> impl Iterator<Item = Schedule> {
    [1, 3, 5, 8, 20, 40].into_iter().flat_map(|slice| (0..40).step_by(3).map(move |delay| Schedule { delay, slice }))
}

/// The last close and the next open of a driver that pages itself as a whole; then an interrupt.
fn close_and_open(lab: &mut Lab, driver: &str, delay: u64) -> Result<(), Box<Stop>> {
    let base = lab.load(&format!("broken/{driver}"))?;
    let (name, file) = (lab.name(base), lab.open(base)?);
    let closing = lab.start_on(0, Action::Close { file });
    lab.pass_ns(delay)?;
    let opening = lab.start_on(1, Action::Open { name });
    lab.finish(closing)?;
    let opened = lab.finish(opening)?.expect("the open ends");
    lab.interrupt()?;
    lab.close(Va(opened.information))?;
    lab.unload(base)
}

fn run(driver: &str, Schedule { delay, slice }: Schedule) -> (Lab, Option<Box<Stop>>) {
    let mut lab = Lab::new(Setup { processors: 2, slice_steps: slice, ..Setup::TRIMMED });
    let end = close_and_open(&mut lab, driver, delay);
    (lab, end.err())
}

/// R28: some schedules work, in others the driver is paged between its reset and its connection, which is K19, and the
/// interrupt finds its service routine out. Equal schedules end equally.
#[test]
fn x08_both_outcomes() {
    for image in alignments("x08-page-entire-race") {
        let outcomes: BTreeSet<bool> = schedules().map(|schedule| is_found_out(&image, schedule)).collect();
        assert_eq!(outcomes, [false, true].into(), "{image}: both are reached");
    }
}

/// True where the interrupt finds its service routine out.
fn is_found_out(image: &str, schedule: Schedule) -> bool {
    const DIRQL: u64 = 10;
    let expected = (0xD1, [P::At("X08Interrupt"), P::Is(DIRQL), P::Is(8), P::First]);
    let (lab, stop) = run(image, schedule);
    let check = stop.as_ref().map(|stop| bug_check(stop));
    if let Some(check) = &check {
        assert_eq!(differences(&lab, check, &expected), Vec::<String>::new(), "{image}, {schedule:?}");
        let (again, stop) = run(image, schedule);
        assert_eq!(stop.map(|stop| bug_check(&stop)), Some(*check), "{image}, {schedule:?}");
        assert_eq!(again.machine.steps(), lab.machine.steps(), "{image}, {schedule:?}");
    }
    assert_eq!(lab.codes().contains("K19"), check.is_some(), "{image}, {schedule:?}: {:?}", lab.codes());
    check.is_some()
}

#[test]
fn x08_repaired_has_one_outcome() {
    for image in alignments("x08-page-entire-race-fixed") {
        for schedule in schedules() {
            let (lab, stop) = run(&image, schedule);
            assert!(stop.is_none() && lab.codes().is_empty(), "{image}, {schedule:?}: {:?} {stop:?}", lab.codes());
        }
    }
}

/// D29, K20: the unload waits for a first lock. On one processor the thread goes on at once, with a handle of an image that
/// is on its way out; on two the image is gone first, with the lock (K05), and the thread returns to nowhere.
#[test]
fn x29_unloads_during_a_first_lock() {
    let stale = (0x1A, [P::Is(0x1010), P::Handle, P::Is(5), P::Within("X29Thread")]);
    let gone = (0xCE, [P::Within("X29Thread"), P::Is(0), P::First, P::Is(0)]);
    for (processors, expected, codes) in [(1, stale, vec!["K20"]), (2, gone, vec!["K05", "K20"])] {
        let images = || alignments("x29-unload-during-lock");
        for (setup, image) in [Setup::TRIMMED, Setup::VERIFIED].into_iter().flat_map(|s| images().map(move |i| (s, i)))
        {
            let mut lab = Lab::new(Setup { processors, ..setup });
            let life = life("x29-unload-during-lock");
            let stop = lead(&mut lab, &image, life).expect_err("the thread has no way back");
            let wrong = differences(&lab, &bug_check(&stop), &expected);
            assert!(wrong.is_empty(), "{image}, {processors} processors: {wrong:?}");
            assert_eq!(lab.codes().into_iter().collect::<Vec<_>>(), codes, "{image}, {processors} processors");
        }
    }
}
