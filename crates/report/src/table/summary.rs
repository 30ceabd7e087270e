//! What a run did: residency, locks, faults, traffic, leaks.

use core::fmt::Write;

use super::requests::{self, RequestMade};
use super::watched::{self, WatchedStep};
use super::{bytes, kib};
use crate::event::Step;
use crate::plural;

/// What a run did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// File name of the driver.
    pub driver: String,
    /// Instructions retired.
    pub steps: Step,
    /// Virtual time in nanoseconds.
    pub virtual_time_ns: u64,
    /// What was asked of the driver, in order.
    pub requests: Vec<RequestMade>,
    /// What the scenario watches, after each step.
    pub watched: Vec<WatchedStep>,
    /// The driver's sections that can leave memory, in header order.
    pub sections: Vec<SectionUse>,
    /// Page faults served from memory.
    pub soft_faults: u64,
    /// Page faults served from the paging file.
    pub hard_faults: u64,
    /// Trim passes.
    pub trims: u64,
    /// Pages written to the paging file.
    pub pages_written: u64,
    /// Pages read from the paging file.
    pub pages_read: u64,
    /// Largest number of pages the paging file held.
    pub paging_file_peak: u64,
    /// Bytes freed when initialisation ended.
    pub init_bytes_freed: u64,
    /// Pool blocks left behind at unload.
    pub leaked_blocks: u64,
    /// Bytes in them.
    pub leaked_bytes: u64,
    /// Sections left locked at unload.
    pub leaked_locks: u64,
    /// What Driver Verifier counted, under its own labels; none where it is off.
    pub verifier: Vec<(&'static str, u64)>,
}

/// One section over a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SectionUse {
    /// Its name.
    pub name: String,
    /// Pages that can leave memory.
    pub pages: u32,
    /// Resident pages, as changes in the order of their steps.
    pub resident: Vec<Sample>,
    /// Successful locks.
    pub locks: u64,
    /// Successful unlocks.
    pub unlocks: u64,
    /// Highest count reached.
    pub highest_count: u32,
}

/// From this step on, so many pages were resident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The step.
    pub step: Step,
    /// Resident pages.
    pub pages: u32,
}

/// Columns of the residency graph.
const COLUMNS: usize = 32;
const LEVELS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl Summary {
    /// The summary as tables.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}, {} of virtual time\n\n", self.driver, plural(self.steps, "step"), self.time());
        text += &requests::table(&self.requests);
        text += &watched::table(&self.watched);
        text += &self.sections_table();
        for (name, value) in self.rows() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<12}  {value}");
        }
        text + &self.verifier_table()
    }

    /// The counters with the labels that `verifier /query` and `!verifier` print (docs: debuggercmds/-verifier).
    fn verifier_table(&self) -> String {
        let mut text = String::new();
        for (index, (label, count)) in self.verifier.iter().enumerate() {
            let gap = if index == 0 { "\n" } else { "" };
            let _ = writeln!(text, "{gap}{label:<40}  {count}");
        }
        text
    }

    fn sections_table(&self) -> String {
        if self.sections.is_empty() {
            return "no section can leave memory\n\n".to_owned();
        }
        let mut text =
            format!("{:<8}  pages  {:<COLUMNS$}  locks  unlocks  highest\n", "section", "resident over time");
        for section in &self.sections {
            let graph = section.graph(self.steps);
            let SectionUse { name, pages, locks, unlocks, highest_count, .. } = section;
            let _ = writeln!(text, "{name:<8}  {pages:>5}  {graph}  {locks:>5}  {unlocks:>7}  {highest_count:>7}");
        }
        text + "\n"
    }

    fn rows(&self) -> [(&'static str, String); 5] {
        let peak = kib(bytes(self.paging_file_peak));
        let traffic = format!("{} written, {} read", plural(self.pages_written, "page"), self.pages_read);
        let leaks = match (self.leaked_blocks, self.leaked_locks) {
            (0, 0) => "none".to_owned(),
            (blocks, locks) => format!(
                "{} of pool with {}, {}",
                plural(blocks, "block"),
                plural(self.leaked_bytes, "byte"),
                plural(locks, "locked section")
            ),
        };
        [
            ("page faults", format!("{} soft, {} hard", self.soft_faults, self.hard_faults)),
            ("paging file", format!("{traffic}, at most {peak}")),
            ("trimming", format!("{} of all that may leave", plural(self.trims, "trim"))),
            ("INIT", format!("{} freed", kib(self.init_bytes_freed))),
            ("leaks", leaks),
        ]
    }

    fn time(&self) -> String {
        match self.virtual_time_ns {
            ns if ns < 1_000 => format!("{ns} ns"),
            ns if ns < 1_000_000 => format!("{}.{} us", ns / 1_000, ns % 1_000 / 100),
            ns => format!("{}.{} ms", ns / 1_000_000, ns % 1_000_000 / 100_000),
        }
    }
}

impl SectionUse {
    /// One character an equal part of the run: the most pages that were resident in it, in eighths.
    fn graph(&self, steps: Step) -> String {
        (0..COLUMNS as u64).map(|column| self.level(boundary(steps, column), boundary(steps, column + 1))).collect()
    }

    /// The height for the part of the run from step `start` to before step `end`.
    fn level(&self, start: Step, end: Step) -> char {
        let before = self.resident.iter().rev().find(|sample| sample.step <= start);
        let within = self.resident.iter().filter(|sample| start < sample.step && sample.step < end);
        let most = before.into_iter().chain(within).map(|sample| sample.pages).max().unwrap_or(0);
        let eighths = (u64::from(most) * 8).div_ceil(u64::from(self.pages.max(1)));
        LEVELS[(eighths as usize).min(LEVELS.len() - 1)]
    }
}

/// First step of a column.
fn boundary(steps: Step, column: u64) -> Step {
    (u128::from(steps) * u128::from(column) / COLUMNS as u128) as Step
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Sample, SectionUse};

    fn section(resident: Vec<Sample>) -> SectionUse {
        SectionUse { name: "PAGE".into(), pages: 4, resident, locks: 0, unlocks: 0, highest_count: 0 }
    }

    #[test]
    fn graph_shows_when_pages_were_resident() {
        let half = section(vec![Sample { step: 0, pages: 0 }, Sample { step: 160, pages: 4 }]);
        let expected: String = ["·".repeat(COLUMNS / 2), "█".repeat(COLUMNS / 2)].concat();
        assert_eq!(half.graph(320), expected);
    }

    #[test]
    fn a_short_stay_is_not_lost() {
        let samples = [(0, 0), (5, 1), (6, 0)].map(|(step, pages)| Sample { step, pages });
        assert!(section(samples.to_vec()).graph(320).starts_with("▂·"));
    }

    #[test]
    fn hostile_numbers_do_no_harm() {
        let odd = section(vec![Sample { step: u64::MAX, pages: u32::MAX }]);
        assert_eq!(odd.graph(u64::MAX).chars().count(), COLUMNS);
        assert_eq!(odd.graph(0).chars().count(), COLUMNS);
    }
}
