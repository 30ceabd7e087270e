//! G10: the negative control: pageable code and data at APC_LEVEL, which is legal.

use kernel::{Action, EventKind, Routine};
use memory::TrimPolicy;
use nt_types::{Irql, Va};

use super::{both, code, interleaved};
use crate::sample::{Lab, Setup};

/// R160, R166: the routine is paged in at APC_LEVEL, and so is its data; there is no finding and no bug check.
#[test]
fn g10_r160_faults_at_apc_level_are_legal() {
    for path in both("apc/apc") {
        for setup in [Setup::TRIMMED, Setup::VERIFIED] {
            let mut lab = Lab::new(setup);
            let base = lab.load(&path).expect("the driver starts");
            let file = lab.open(base).expect("it opens");
            lab.ask(file, code(0), 5).expect("no bug check");
            assert_eq!(lab.ask(file, code(1), 0).expect("no bug check"), 1, "{path}: it ran at APC_LEVEL");
            let places = lab.events(|event| match event.kind {
                EventKind::PagedIn { page, .. } if event.irql == Irql::APC => Some(lab.section_name(page)),
                _ => None,
            });
            // Aligned to 128 bytes what the routine needs lies in pages that stay, or that its caller has just used.
            let faulted = places.iter().any(|place| place.starts_with("PAGE"));
            assert_eq!(faulted, !path.ends_with("a80"), "{path}: {places:?}");
            assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
        }
    }
}

/// D6: an APC that waited for its page may go on with another processor, and so may what it interrupted: with that
/// processor's own state, not with that of the one it came from.
#[test]
fn g10_d6_an_apc_that_waits_may_go_on_elsewhere() {
    let mut moved = 0;
    for slice_steps in 1..=12 {
        let mut lab = interleaved(TrimPolicy::AtOnce, 2, slice_steps);
        let base = lab.load("apc/apc").expect("the driver starts");
        let file = lab.open(base).expect("it opens");
        let mut sum = 2;
        for round in 1..=10u32 {
            lab.evict_all();
            let input = round.to_le_bytes().to_vec();
            let run = Action::Ioctl { file, code: code(0), input, output_length: 4 };
            let mut requests: Vec<_> = (0..1 + round % 3).map(|_| lab.start(run.clone())).collect();
            sum += 2 * round * requests.len() as u32;
            while let Some(request) = requests.pop() {
                let answer = lab.finish(request).expect("no bug check").expect("it ends");
                assert!(answer.status.is_success(), "{slice_steps}: {}", answer.status);
            }
            assert_eq!(read_sum(&mut lab, file), sum, "{slice_steps}");
        }
        moved += apcs_that_moved(&lab);
        assert!(lab.codes().is_empty(), "{slice_steps}: {:?}", lab.codes());
    }
    assert!(moved > 0, "no APC ended on another processor than it began on");
}

/// The sum, without adding to it.
fn read_sum(lab: &mut Lab, file: Va) -> u32 {
    lab.ask(file, code(0), 0).expect("no bug check")
}

/// APCs that were entered on one processor and left on another.
fn apcs_that_moved(lab: &Lab) -> usize {
    let mut entered = std::collections::BTreeMap::new();
    let moved = lab.events(|event| match event.kind {
        EventKind::Entered { what: Routine::Apc, .. } => {
            entered.insert(event.thread, event.processor);
            None
        }
        EventKind::Left { what: Routine::Apc, .. } => (entered.remove(&event.thread)? != event.processor).then_some(()),
        _ => None,
    });
    moved.len()
}
