//! The run without deeds: its choices, and forks along it to start from.

use engine::Engine;
use kernel::Deed;
use memory::Memory;

use crate::failure::take_findings;
use crate::subject::Subject;
use crate::walk::{End, Walked, conclude};

/// Forks kept along a run: more would cost memory, fewer time.
const CHECKPOINTS: usize = 64;

/// A choice of the run without deeds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Point {
    pub(crate) index: u32,
    pub(crate) deeds: Vec<Deed>,
}

/// What can be done otherwise, found by a run in which nothing is.
pub(crate) struct Survey {
    pub(crate) points: Vec<Point>,
    pub(crate) walked: Walked,
}

impl Survey {
    pub(crate) fn take<S: Subject>(base: &mut S, engine: &mut dyn Engine<Memory>) -> Survey {
        let mut subject = base.fork();
        subject.machine().ask_from(Some(0));
        let mut points = Vec::new();
        loop {
            match subject.go_on(engine) {
                Some(ending) => {
                    let walked = conclude(subject.machine(), End::Of(ending), Vec::new());
                    return Survey { points, walked };
                }
                None => {
                    let choice = subject.machine().choice().cloned();
                    points.extend(choice.map(|choice| Point { index: choice.index, deeds: choice.deeds }));
                    subject.machine().answer_choice(None);
                }
            }
        }
    }

    /// All runs with one deed: number of the point, and deed.
    pub(crate) fn single_deeds(&self) -> impl Iterator<Item = (u32, Deed)> {
        self.points.iter().flat_map(|point| point.deeds.iter().map(|deed| (point.index, *deed)))
    }
}

/// Forks of the run without deeds, ascending by the choice that they stand at.
pub(crate) struct Spine<S> {
    checkpoints: Vec<(u32, S)>,
}

impl<S: Subject> Spine<S> {
    /// Runs `base` along the points of the survey and keeps forks.
    pub(crate) fn new(base: &mut S, engine: &mut dyn Engine<Memory>, survey: &Survey) -> Spine<S> {
        let every = survey.points.len().div_ceil(CHECKPOINTS).max(1);
        let mut subject = base.fork();
        take_findings(subject.machine());
        let mut checkpoints = vec![(0, subject.fork())];
        for point in survey.points.iter().step_by(every).skip(1) {
            subject.machine().ask_from(Some(point.index));
            if subject.go_on(engine).is_some() {
                break;
            }
            take_findings(subject.machine());
            checkpoints.push((point.index, subject.fork()));
            subject.machine().answer_choice(None);
        }
        Spine { checkpoints }
    }

    /// A run without deeds that stands at or before this choice.
    pub(crate) fn fork_at(&mut self, index: u32) -> S {
        let after = self.checkpoints.partition_point(|(at, _)| *at <= index);
        self.checkpoints[after.saturating_sub(1)].1.fork()
    }
}
