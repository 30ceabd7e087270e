//! From what the kernel saw to reports: where, with names and code, and what made it possible.
//!
//! Each area of [`report::cause`] has its conversion in a file of its own here. All of them take a scene: the place, and
//! what had happened until then.

mod context;
mod departure;
mod discarded;
mod fault;
mod findings;
mod images;
mod irql;
mod objects;
mod pages;
mod paging;
mod pool;
mod scene;
mod schedule;
mod stacks;
mod stops;

use kernel::{Event, Finding, Machine, Place, Stop};
use report::{Diagnostic, Replay};

pub use images::Images;

use scene::Scene;

/// Turns evidence into reports.
#[derive(Clone, Default)]
pub struct Story {
    /// Names and code of the images of the run.
    pub images: Images,
    /// How to see a report again; its step is filled in.
    pub replay: Option<Replay>,
}

impl Story {
    /// The report of why a run ended.
    pub fn stop(&self, machine: &Machine, stop: &Stop) -> Diagnostic {
        let scene = self.scene(machine, machine.events.iter().as_slice(), &stop.place);
        let mut report = stops::report(&scene, &stop.kind);
        let is_new =
            |jump: &report::Event| jump.at != report.at && report.because.iter().all(|event| event.at != jump.at);
        let jump = scene.jump().filter(is_new);
        report.because.extend(jump);
        self.complete(&scene, report)
    }

    /// The reports of a finding; `before` is what had happened until then.
    pub fn finding(&self, machine: &Machine, before: &[Event], finding: &Finding) -> Vec<Diagnostic> {
        let scene = self.scene(machine, before, &finding.place);
        findings::reports(&scene, &finding.kind).into_iter().map(|report| self.complete(&scene, report)).collect()
    }

    /// A report about a place, with nothing but what all reports have.
    pub fn at(&self, machine: &Machine, place: &Place, report: Diagnostic) -> Diagnostic {
        self.complete(&self.scene(machine, machine.events.iter().as_slice(), place), report)
    }

    fn scene<'a>(&'a self, machine: &'a Machine, events: &'a [Event], place: &'a Place) -> Scene<'a> {
        Scene { machine, images: &self.images, events, place }
    }

    /// Adds what all reports have: place, step, who ran, how to see it again.
    fn complete(&self, scene: &Scene<'_>, report: Diagnostic) -> Diagnostic {
        let step = scene.place.step;
        let mut because = report.because.clone();
        because.extend(schedule::events(scene));
        Diagnostic {
            because,
            at: report.at.or_else(|| scene.here()),
            step: Some(step),
            context: Some(context::context(scene)),
            replay: self.replay.clone().map(|replay| Replay { stop_at: step, ..replay }),
            ..report
        }
    }
}
