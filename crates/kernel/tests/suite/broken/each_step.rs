//! The strictest trim: between any two instructions everything that may leave does.

use kernel::EventKind;
use memory::TrimPolicy;

use super::life::{lead, life};
use crate::sample::{Lab, Setup, bug_check};

const EACH_STEP: Setup = Setup { trim: TrimPolicy::EachStep, ..Setup::TRIMMED };

/// A driver that breaks no rule gets on, however often its pages leave.
#[test]
fn d5_a_good_driver_runs_while_pages_leave_between_instructions() {
    // Their twins keep code that runs in a pageable section.
    for name in
        ["x03-helper-in-paged-file", "x08-page-entire-race", "x09-set-event-wait", "x16-own-lock", "x31-mixed-section"]
    {
        let mut lab = Lab::new(EACH_STEP);
        lead(&mut lab, &format!("{name}-fixed"), life(name)).unwrap_or_else(|stop| panic!("{name}: {:x?}", stop.kind));
        assert!(lab.codes().is_empty(), "{name}: {:?}", lab.codes());
        let mut usual = Lab::new(Setup::TRIMMED);
        lead(&mut usual, &format!("{name}-fixed"), life(name)).expect("it is repaired");
        assert!(paged_in(&lab) > paged_in(&usual), "{name}: {} for {}", paged_in(&lab), paged_in(&usual));
    }
}

fn paged_in(lab: &Lab) -> usize {
    lab.machine.events.iter().filter(|event| matches!(event.kind, EventKind::PagedIn { .. })).count()
}

/// X16 pages itself while its interrupt is connected, and raises nothing: no other trim but that at once finds its service
/// routine out.
#[test]
fn x16_is_found_without_a_raise() {
    for name in ["x16-page-while-connected", "x16-connect-before-reset"] {
        let mut lab = Lab::new(EACH_STEP);
        let stop = lead(&mut lab, name, life(name)).expect_err("its service routine is out");
        assert_eq!(bug_check(&stop).code.0, 0xD1, "{name}");
    }
}
