//! What a run did, in numbers.

use std::collections::BTreeMap;

use kernel::{Event, EventKind, FindingKind, IssuedRequest, Machine};
use nt_types::PAGE_SIZE;
use report::table::{RequestAnswer, RequestMade, Sample, SectionUse, Summary};
use section_paging::{Finding, ImageId};

use crate::session::Residency;

/// Counts what happens.
#[derive(Clone, Default)]
pub(super) struct Tally {
    summary: Summary,
    /// Locks, unlocks and highest count of the driver's sections, by number.
    locks: BTreeMap<u16, Locks>,
    /// Residency of its sections, in header order.
    sections: Vec<SectionUse>,
}

#[derive(Clone, Copy, Default)]
struct Locks {
    locks: u64,
    unlocks: u64,
    highest: u32,
}

impl Tally {
    /// An event; `driver` is the one that the run is about.
    pub(super) fn event(&mut self, event: &Event, driver: Option<ImageId>) {
        let summary = &mut self.summary;
        match &event.kind {
            EventKind::SectionLocked { section, count } if Some(section.image) == driver => {
                let locks = self.locks.entry(section.index).or_default();
                locks.locks += 1;
                locks.highest = locks.highest.max(*count);
            }
            EventKind::SectionUnlocked { section, .. } if Some(section.image) == driver => {
                self.locks.entry(section.index).or_default().unlocks += 1;
            }
            EventKind::PagedIn { hard: true, .. } => summary.hard_faults += 1,
            EventKind::PagedIn { hard: false, .. } => summary.soft_faults += 1,
            EventKind::Trimmed { .. } => summary.trims += 1,
            EventKind::Discarded { pages, .. } => summary.init_bytes_freed += pages * PAGE_SIZE,
            EventKind::Found(finding) => self.finding(&finding.kind),
            _ => {}
        }
    }

    fn finding(&mut self, kind: &FindingKind) {
        match kind {
            FindingKind::PoolLeak { bytes, .. } => {
                self.summary.leaked_blocks += 1;
                self.summary.leaked_bytes += bytes;
            }
            FindingKind::Paging(Finding::UnloadWithLocks { locked, .. }) => {
                self.summary.leaked_locks += locked.len() as u64;
            }
            _ => {}
        }
    }

    /// How much of the driver's sections is in memory now.
    pub(super) fn residency(&mut self, now: &Residency) {
        if self.sections.is_empty() {
            let uses = now.sections.iter().map(|section| SectionUse {
                name: section.name.clone(),
                pages: if section.pageable { section.pages } else { 0 },
                resident: Vec::new(),
                locks: 0,
                unlocks: 0,
                highest_count: 0,
            });
            self.sections = uses.collect();
        }
        for (section, now_there) in self.sections.iter_mut().zip(&now.sections) {
            let sample = Sample { step: now.step, pages: now_there.resident };
            if section.resident.last().is_none_or(|last| last.pages != sample.pages) {
                section.resident.push(sample);
            }
            // Of a driver that is paged as a whole every section can leave.
            if now_there.resident + now_there.discarded < now_there.pages {
                section.pages = now_there.pages;
            }
        }
    }

    /// The driver is gone, and its pages with it.
    pub(super) fn gone(&mut self, step: u64) {
        for section in &mut self.sections {
            if section.resident.last().is_some_and(|last| last.pages > 0) {
                section.resident.push(Sample { step, pages: 0 });
            }
        }
    }

    /// The sums at this moment.
    pub(super) fn summary(&self, name: &str, machine: &Machine) -> Summary {
        let counters = machine.memory.counters();
        Summary {
            driver: name.to_owned(),
            steps: machine.steps(),
            virtual_time_ns: machine.now_ns(),
            requests: machine.requests().map(request).collect(),
            sections: self.sections(),
            pages_written: counters.pages_written,
            pages_read: counters.pages_read,
            paging_file_peak: u64::from(counters.slots_peak),
            ..self.summary.clone()
        }
    }

    /// The sections that can leave memory.
    fn sections(&self) -> Vec<SectionUse> {
        let uses = self.sections.iter().zip(0u16..).map(|(section, index)| {
            let Locks { locks, unlocks, highest } = self.locks.get(&index).copied().unwrap_or_default();
            SectionUse { locks, unlocks, highest_count: highest, ..section.clone() }
        });
        uses.filter(|section| section.pages > 0 || section.locks > 0).collect()
    }
}

fn request(issued: &IssuedRequest) -> RequestMade {
    let answer = issued.answer.as_ref().map(|(step, answer)| RequestAnswer {
        step: *step,
        status: answer.status,
        information: issued.transfers.then_some(answer.information),
    });
    RequestMade { name: issued.name.clone(), begun: issued.begun, answer }
}
