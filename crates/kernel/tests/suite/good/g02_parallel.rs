//! G2: one lock for any number of opens (R207).

use kernel::{Action, EventKind};
use memory::TrimPolicy;
use nt_types::Va;

use super::{code, interleaved};
use crate::invariants::Invariants;
use crate::sample::Lab;

/// A machine of two processors with the driver, which takes turns after so many instructions.
fn two_processors(slice_steps: u64) -> (Lab, Va, String) {
    let mut lab = interleaved(TrimPolicy::AtOnce, 2, slice_steps);
    let base = lab.load("parallel/parallel").expect("the driver starts");
    let name = lab.machine.openable_names(base).swap_remove(0);
    (lab, base, name)
}

/// Lets two actions run on two processors and checks the invariants after each slice.
fn race(lab: &mut Lab, actions: [Action; 2]) -> [Va; 2] {
    let mut invariants = Invariants::default();
    let mut processor = 0..2;
    let requests = actions.map(|action| lab.start_on(processor.next().expect("there are two"), action));
    while requests.iter().any(|request| lab.machine.answer_of(*request).is_none()) {
        lab.slice().expect("no bug check");
        invariants.check(&lab.machine);
    }
    requests.map(|request| Va(lab.machine.answer_of(request).expect("it was answered").information))
}

/// R97, D21: two processors open at the same time. The section is locked once, and both find every page resident when
/// their open is complete.
#[test]
fn g2_r97_two_processors_open_at_the_same_time() {
    for slice_steps in 1..=24 {
        let (mut lab, base, name) = two_processors(slice_steps);
        let open = || Action::Open { name: name.clone() };
        let files = race(&mut lab, [open(), open()]);
        assert_eq!(lab.counts(lab.section_id(base, "PAGEPAR")), [1], "{slice_steps}");
        let locked = time_of(&lab, |kind| matches!(kind, EventKind::SectionLocked { .. }));
        let opened = time_of(&lab, |kind| matches!(kind, EventKind::IrpCompleted { .. }));
        assert!(opened.iter().all(|time| *time >= locked[0]), "{slice_steps}: {opened:?} before {locked:?}");
        let [first, second] = files;
        lab.close(first).expect("no bug check");
        assert_eq!((lab.count(base, "PAGEPAR"), lab.is_whole(base, "PAGEPAR")), (1, true), "{slice_steps}");
        lab.close(second).expect("no bug check");
        assert_eq!(lab.count(base, "PAGEPAR"), 0, "{slice_steps}");
        assert!(lab.codes().is_empty(), "{slice_steps}: {:?}", lab.codes());
    }
}

/// D21, R11: two processors lock by another address of the same section and run its first page and its last one at
/// DISPATCH_LEVEL; nobody comes back early.
#[test]
fn g2_d21_the_later_locker_never_returns_early() {
    for slice_steps in 1..=24 {
        let (mut lab, base, name) = two_processors(slice_steps);
        let file = Va(lab.act(Action::Open { name }).expect("no bug check").expect("it ends").information);
        let feed = || Action::Ioctl { file, code: code(0), input: Vec::new(), output_length: 4 };
        race(&mut lab, [feed(), feed()]);
        let printed = lab.ask(file, code(0), 0).expect("no bug check");
        assert_eq!((printed, lab.count(base, "PAGEPAR")), (3, 1), "{slice_steps}");
        let found: Vec<_> = lab.codes().into_iter().collect();
        assert_eq!(found, ["K18"], "{slice_steps}");
    }
}

/// R8, R16: the cancel routine and the timer's DPC are resident; the last close stops the timer before it unlocks.
#[test]
fn g2_r16_the_last_close_stops_the_timer() {
    for slice_steps in [1, 7, 50, 10_000] {
        let (mut lab, base, name) = two_processors(slice_steps);
        let file = Va(lab.act(Action::Open { name }).expect("no bug check").expect("it ends").information);
        let write = lab.start_on(1, Action::Write { file, data: vec![b'x'; 200], offset: 0 });
        lab.pass_ms(3).expect("some ticks");
        let answer = lab.close(file).map(|()| lab.machine.answer_of(write).map(|answer| answer.status));
        assert_eq!(answer.expect("no bug check"), Some(nt_types::NtStatus::CANCELLED), "{slice_steps}");
        lab.pass_ms(20).expect("no tick comes late");
        lab.unload(base).expect("no bug check");
        assert!(lab.codes().is_empty(), "{slice_steps}: {:?}", lab.codes());
    }
}

fn time_of(lab: &Lab, which: impl Fn(&EventKind) -> bool) -> Vec<u64> {
    lab.events(|event| which(&event.kind).then_some(event.time_ns))
}
