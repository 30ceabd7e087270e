//! The fewest deeds that still show a failure.

use engine::Engine;
use kernel::Schedule;
use memory::Memory;

use crate::failure::Signature;
use crate::spine::Spine;
use crate::subject::Subject;
use crate::walk::{Follow, Walked, walk};

/// How far later deeds are moved where one before them was taken away: the numbers of choices after it differ.
const SHIFTS: i32 = 12;

/// Takes deeds away for as long as the failure stays. The result shows it.
pub(crate) fn shrink<S: Subject>(
    spine: &mut Spine<S>,
    engine: &mut dyn Engine<Memory>,
    signature: &Signature,
    schedule: Schedule,
) -> Schedule {
    let mut best = schedule;
    'again: loop {
        for which in 0..best.len() {
            let mut shorter = best.clone();
            shorter.remove(which);
            if let Some(shorter) = shown(spine, engine, signature, &shorter, which) {
                best = shorter;
                continue 'again;
            }
        }
        return best;
    }
}

/// What really was done in a run of this schedule that shows the failure, with the deeds from `moved` on shifted a little
/// where that is needed.
fn shown<S: Subject>(
    spine: &mut Spine<S>,
    engine: &mut dyn Engine<Memory>,
    signature: &Signature,
    schedule: &Schedule,
    moved: usize,
) -> Option<Schedule> {
    let shifts = if moved < schedule.len() { SHIFTS } else { 0 };
    let nearest_first = (0..=shifts).flat_map(|by| [by, -by]);
    nearest_first.skip(1).find_map(|by| {
        let mut shifted = schedule.clone();
        shifted.iter_mut().skip(moved).for_each(|(index, _)| *index = index.saturating_add_signed(by));
        let walked = follow(spine, engine, &shifted);
        (walked.failures.contains(signature) && walked.schedule.len() <= schedule.len()).then_some(walked.schedule)
    })
}

/// Runs a schedule or one like it.
pub(crate) fn follow<S: Subject>(spine: &mut Spine<S>, engine: &mut dyn Engine<Memory>, schedule: &Schedule) -> Walked {
    let first = schedule.first().map_or(0, |(index, _)| *index);
    walk(spine.fork_at(first), engine, &mut Follow::new(schedule))
}
