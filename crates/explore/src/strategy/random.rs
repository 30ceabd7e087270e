//! Deeds at random choices: between one and `depth` of them.

use fastrand::Rng;
use kernel::{Choice, Deed, Machine};

use super::random_points;
use crate::spine::Survey;
use crate::walk::Decider;

/// Some choices, and chance for what happens there.
pub(crate) struct Random {
    rng: Rng,
    /// Choices at or after which something happens, the last one first.
    points: Vec<u32>,
}

impl Random {
    pub(super) fn new(mut rng: Rng, survey: &Survey, depth: u32) -> Random {
        let count = rng.usize(1..=depth.max(1) as usize);
        let mut points = random_points(&mut rng, survey, count);
        points.reverse();
        Random { rng, points }
    }
}

impl Decider for Random {
    fn from(&self) -> Option<u32> {
        self.points.last().copied()
    }

    fn decide(&mut self, _machine: &Machine, choice: &Choice) -> Option<Deed> {
        self.points.pop_if(|point| *point <= choice.index)?;
        self.rng.choice(&choice.deeds).copied()
    }
}
