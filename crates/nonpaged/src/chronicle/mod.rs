//! What is remembered of a run while it goes: the log, the sums, the findings as reports.

mod executed;
mod log;
mod tally;

use std::io::{self, Write};

use kernel::{EventKind, Machine, Stop};
use report::Diagnostic;
use report::table::{Summary, WatchedStep};
use section_paging::ImageId;

use crate::session::Residency;
use crate::story::Story;
use tally::Tally;

pub(crate) use executed::{EXECUTED, ExecutedLine, Stretch};

/// The memory of a run.
#[derive(Default)]
pub struct Chronicle {
    /// Turns evidence into reports.
    pub story: Story,
    /// What was found, in the order it happened.
    pub reports: Vec<Diagnostic>,
    /// What the scenario watches, after each step.
    pub watched: Vec<WatchedStep>,
    log: Option<Box<dyn Write>>,
    log_error: Option<io::Error>,
    tally: Tally,
    /// Events taken note of so far.
    seen: u64,
    /// The driver that the run is about.
    driver: Option<(String, ImageId)>,
}

impl Chronicle {
    /// Writes every event that has not been taken note of yet to `out`, as lines of JSON.
    pub fn log_to(&mut self, out: Box<dyn Write>) {
        self.log = Some(out);
    }

    /// Names the driver whose sections and locks are counted: the first one named.
    pub(crate) fn about(&mut self, name: &str, image: ImageId) {
        self.driver.get_or_insert_with(|| (name.to_owned(), image));
    }

    /// The driver that the run is about.
    pub(crate) fn driver(&self) -> Option<ImageId> {
        self.driver.as_ref().map(|(_, image)| *image)
    }

    /// Takes note of what happened since the last call. To be called often enough for [`kernel::EventLog`] not to drop
    /// events in between.
    pub(crate) fn observe(&mut self, machine: &Machine, residency: Option<&Residency>) {
        let events = machine.events.iter().as_slice();
        let first = self.seen.saturating_sub(machine.events.dropped()) as usize;
        for (index, event) in events.iter().enumerate().skip(first) {
            self.write(machine, event);
            self.tally.event(event, self.driver());
            match &event.kind {
                EventKind::Found(finding) => {
                    self.reports.extend(self.story.finding(machine, &events[..index], finding));
                }
                EventKind::Unloaded { .. } => self.tally.gone(event.step),
                _ => {}
            }
        }
        self.seen = machine.events.dropped() + events.len() as u64;
        // Whatever ends this process, the log has everything up to here.
        self.with_log(|out, _| out.flush());
        if let Some(residency) = residency {
            self.tally.residency(residency);
        }
    }

    fn write(&mut self, machine: &Machine, event: &kernel::Event) {
        self.with_log(|out, story| log::write(out, machine, &story.images, event));
    }

    /// Does something with the log; after the first error there is none any more.
    fn with_log(&mut self, work: impl FnOnce(&mut dyn Write, &Story) -> io::Result<()>) {
        let Some(out) = &mut self.log else { return };
        if let Err(error) = work(out.as_mut(), &self.story) {
            self.log = None;
            self.log_error = Some(error);
        }
    }

    /// The report of a stop. A finding about the very same fault is part of it, and no report any more.
    pub fn stopped(&mut self, machine: &Machine, stop: &Stop) -> Diagnostic {
        let report = self.story.stop(machine, stop);
        let same = |other: &Diagnostic| {
            report.finding.is_some_and(|finding| other.code() == report::Code::Finding(finding))
                && other.step == report.step
        };
        self.reports.retain(|other| !same(other));
        report
    }

    /// The sums at this moment.
    pub fn summary(&self, machine: &Machine) -> Summary {
        let name = self.driver.as_ref().map_or("", |(name, _)| name);
        let verified = machine.options.verifier.verified;
        let verifier = machine.verifier_counters().rows().into_iter().filter(|_| verified).collect();
        Summary { watched: self.watched.clone(), verifier, ..self.tally.summary(name, machine) }
    }

    /// Ends the log with the code that ran.
    ///
    /// # Errors
    /// The first write that failed.
    pub fn finish_log(&mut self, machine: &Machine) -> io::Result<()> {
        self.with_log(|out, story| executed::write(out, machine, &story.images));
        match (self.log_error.take(), self.log.take()) {
            (Some(error), _) => Err(error),
            (None, Some(mut out)) => out.flush(),
            (None, None) => Ok(()),
        }
    }
}
