//! The tables as text.

use core::fmt::Write;

use super::{Driver, Fleet, Measures, Wanted};
use crate::plural;

/// Widest name of a driver; the middle of longer ones is left out.
const NAME: usize = 24;
/// Rows of the ranking that are printed.
const RANKED: usize = 10;

impl Fleet {
    /// A line a driver, and what is missing.
    pub fn text(&self) -> String {
        let width = self.drivers.iter().map(|driver| short(driver).chars().count()).max().unwrap_or(0).max(6);
        let mut text = format!("{:<width$}  {:<32}  end\n", "driver", "DriverEntry");
        for driver in &self.drivers {
            text += &driver.line(width);
        }
        text + &ranking(&self.wanted)
    }

    /// Time, memory and what the drivers came to, summed up.
    pub fn summary(&self) -> String {
        let measures = Measures::of(self);
        let percent = |part: usize, all: usize| format!("{part} of {all} ({} %)", part * 100 / all.max(1));
        let [time, frames] = [measures.time_ms, measures.frames];
        let kib = |frames: u64| super::super::kib(super::super::bytes(frames));
        let rows = [
            ("drivers", format!("{}, {} at a time", self.drivers.len(), self.jobs)),
            ("rate", format!("{:.1} drivers a second", measures.drivers_a_second)),
            ("time", format!("median {} ms, p95 {} ms, worst {} ms", time.median, time.p95, time.worst)),
            ("memory", format!("median {}, p95 {}, worst {}", kib(frames.median), kib(frames.p95), kib(frames.worst))),
            ("own status", percent(measures.all.with_status, measures.all.drivers)),
            ("whole life", percent(measures.all.whole_life, measures.all.started)),
            ("kernel only", format!("{} of them, which import from the kernel alone", measures.kernel_only.drivers)),
            ("  own status", percent(measures.kernel_only.with_status, measures.kernel_only.drivers)),
            ("  whole life", percent(measures.kernel_only.whole_life, measures.kernel_only.started)),
        ];
        let mut text = String::new();
        for (name, value) in rows {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<12}  {value}");
        }
        for (word, count) in measures.ends {
            let _ = writeln!(text, "{word:<12}  {count}");
        }
        text
    }
}

impl Driver {
    /// Its line.
    fn line(&self, width: usize) -> String {
        let entry = self.entry.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let end = match self.end.detail() {
            "" => self.end.word().replace('_', " "),
            detail => format!("{}: {detail}", self.end.word().replace('_', " ")),
        };
        format!("{:<width$}  {entry:<32}  {end}\n", short(self))
    }
}

/// The file name, or its ends.
fn short(driver: &Driver) -> String {
    let name: Vec<char> = driver.name().chars().collect();
    if name.len() <= NAME {
        return name.into_iter().collect();
    }
    let half = (NAME - 1) / 2;
    let (head, tail) = (&name[..half], &name[name.len() - half..]);
    head.iter().chain(['…'].iter()).chain(tail).collect()
}

fn ranking(wanted: &[Wanted]) -> String {
    let rows = &wanted[..wanted.len().min(RANKED)];
    let Some(last) = rows.last() else { return String::new() };
    let mut text = format!("\n{:<56}  stopped  complete\n", "missing");
    for Wanted { name, stopped, complete } in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<56}  {stopped:>7}  {complete:>8}");
    }
    let (things, drivers) = (plural(rows.len() as u64, "thing"), plural(last.complete as u64, "more driver"));
    text + &format!("modelling the first {things} would give {drivers} all they are known to need\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use nt_types::NtStatus;

    use super::super::{Driver, End, Fleet, Wanted};

    fn fleet() -> Fleet {
        let end = End::Unsupported("hal.dll!HalX".into(), "call of `hal.dll!HalX`".into());
        let mut drivers =
            vec![Driver::new(Path::new("a.sys")), Driver::new(Path::new("b/0123456789abcdefghijklmn.sys"))];
        drivers[0].entry = Some(NtStatus::SUCCESS);
        drivers[0].end = End::Finished;
        drivers[0].frames = 256;
        drivers[1].end = end;
        let wanted = vec![Wanted { name: "hal.dll!HalX".into(), stopped: 1, complete: 1 }];
        Fleet { drivers, wanted, jobs: 2, elapsed: Duration::from_millis(500) }
    }

    #[test]
    fn a_line_a_driver_and_the_ranking() {
        let expected = "\
driver                   DriverEntry                       end
a.sys                    STATUS_SUCCESS                    finished
0123456789a…hijklmn.sys  -                                 unsupported: call of `hal.dll!HalX`

missing                                                   stopped  complete
hal.dll!HalX                                                    1         1
modelling the first 1 thing would give 1 more driver all they are known to need
";
        assert_eq!(fleet().text(), expected);
    }

    #[test]
    fn the_summary_counts() {
        let summary = fleet().summary();
        for line in [
            "drivers       2, 2 at a time\n",
            "rate          4.0 drivers a second\n",
            "memory        median 0.0 KiB, p95 1024.0 KiB, worst 1024.0 KiB\n",
            "own status    1 of 2 (50 %)\n",
            "whole life    1 of 1 (100 %)\n",
            "unsupported   1\n",
        ] {
            assert!(summary.contains(line), "{line:?} in\n{summary}");
        }
    }

    #[test]
    fn nothing_is_no_trouble() {
        let empty = Fleet { drivers: Vec::new(), wanted: Vec::new(), jobs: 1, elapsed: Duration::ZERO };
        assert_eq!(empty.text().lines().count(), 1);
        assert!(empty.summary().contains("whole life    0 of 0 (0 %)\n"));
    }
}
