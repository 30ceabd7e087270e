//! Guided by coverage: schedules that came to a new place, or to an old one in a new state of locks and residency, are
//! changed a little and tried again.

use std::sync::Arc;

use fastrand::Rng;
use kernel::{Choice, Deed, Machine, Schedule};

use super::random::Random;
use crate::spine::Survey;
use crate::walk::Decider;

/// Schedules kept at most: beyond it, chance decides which one goes.
const KEPT: usize = 1024;

/// Schedules that showed something new.
#[derive(Clone, Default)]
pub(crate) struct Corpus(Arc<Vec<Schedule>>);

impl Corpus {
    pub(crate) fn add(&mut self, schedule: Schedule) {
        let kept = Arc::make_mut(&mut self.0);
        if kept.len() < KEPT {
            kept.push(schedule);
        } else {
            let index = schedule.iter().fold(0usize, |sum, (at, _)| sum.wrapping_mul(31) ^ *at as usize) % KEPT;
            kept[index] = schedule;
        }
    }

    /// A changed schedule; a random one as long as there is none, and now and then later.
    pub(super) fn decider(&self, rng: &mut Rng, survey: &Survey, depth: u32) -> Box<dyn Decider> {
        let parent = rng.choice(self.0.iter()).filter(|_| rng.clone().u8(..8) > 0);
        let Some(parent) = parent else { return Box::new(Random::new(rng.clone(), survey, depth)) };
        let mut wishes: Vec<(u32, Option<Deed>)> = parent.iter().map(|(at, deed)| (*at, Some(*deed))).collect();
        change(rng, survey, &mut wishes, depth as usize);
        wishes.sort_unstable();
        wishes.reverse();
        Box::new(Changed { rng: rng.clone(), wishes })
    }
}

/// Adds, moves, changes or takes away a deed.
fn change(rng: &mut Rng, survey: &Survey, wishes: &mut Vec<(u32, Option<Deed>)>, depth: usize) {
    let any = |rng: &mut Rng| rng.choice(survey.points.iter()).map_or(0, |point| point.index);
    if wishes.is_empty() {
        return wishes.push((any(rng), None));
    }
    let which = rng.usize(..wishes.len());
    match rng.u8(..6) {
        0 if wishes.len() > 1 => drop(wishes.remove(which)),
        1 => wishes[which].0 = any(rng),
        2 => wishes[which].0 = wishes[which].0.saturating_add_signed(rng.i32(-8..=8)),
        3 => wishes[which].1 = None,
        _ => {
            // Close to another deed is where two of them make a race.
            let near = wishes[which].0.saturating_add(rng.u32(1..32));
            let at = if rng.bool() { near } else { any(rng) };
            if wishes.len() < depth {
                wishes.push((at, None));
            } else {
                wishes[which] = (at, None);
            }
        }
    }
}

/// Deeds that are wished for, where they are possible; else others.
struct Changed {
    rng: Rng,
    /// The last one first; `None` for any deed.
    wishes: Vec<(u32, Option<Deed>)>,
}

impl Decider for Changed {
    fn from(&self) -> Option<u32> {
        self.wishes.last().map(|(index, _)| *index)
    }

    fn decide(&mut self, _machine: &Machine, choice: &Choice) -> Option<Deed> {
        let (_, wish) = self.wishes.pop_if(|(index, _)| *index <= choice.index)?;
        wish.filter(|deed| choice.deeds.contains(deed)).or_else(|| self.rng.choice(&choice.deeds).copied())
    }
}
