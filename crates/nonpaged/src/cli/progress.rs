//! A line that shows how far a run is: on a terminal always the same one, elsewhere one now and then.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// What is being done. Leaves nothing behind on a terminal, and draws nothing where standard error is none.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Starts with the name of the driver; `quiet` draws nothing.
    pub(crate) fn new(driver: &str, quiet: bool) -> Progress {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        let style = ProgressStyle::with_template("{spinner} {prefix}: {msg}").expect("a constant template");
        bar.set_style(style);
        bar.set_prefix(driver.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    /// A bar for so many drivers.
    pub(crate) fn of_many(drivers: u64, quiet: bool) -> Progress {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(drivers) };
        let style = ProgressStyle::with_template("{wide_bar} {pos} of {len}, {eta} left: {msg}");
        bar.set_style(style.expect("a constant template"));
        Progress(bar)
    }

    /// One of them is done.
    pub(crate) fn done(&self, driver: String) {
        self.0.set_message(driver);
        self.0.inc(1);
    }

    /// Says what happens now.
    pub(crate) fn phase(&self, phase: impl Into<String>) {
        self.0.set_message(phase.into());
    }
}

/// The progress of what takes long: also where standard error is no terminal, as in the log of a CI system.
pub(crate) struct Logged {
    progress: Progress,
    lines: Option<Pace>,
}

impl Logged {
    /// Starts with the name of the driver; `quiet` says nothing.
    pub(crate) fn new(driver: &str, quiet: bool) -> Logged {
        let progress = Progress::new(driver, quiet);
        let lines = (!quiet && progress.0.is_hidden()).then(|| Pace { told: Instant::now() });
        Logged { progress, lines }
    }

    /// Says what happens now.
    pub(crate) fn phase(&mut self, phase: String) {
        if self.lines.as_mut().is_some_and(|pace| pace.is_due(Instant::now())) {
            // That nobody can be told is no reason to stop.
            let _ = writeln!(io::stderr(), "{}: {phase}", self.progress.0.prefix());
        }
        self.progress.phase(phase);
    }
}

/// When the last line was written, or the work began.
struct Pace {
    told: Instant,
}

impl Pace {
    /// Between two lines at least.
    const INTERVAL: Duration = Duration::from_secs(10);

    /// Is it time for a line? Then the next one is as far away.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = now.duration_since(self.told) >= Pace::INTERVAL;
        if due {
            self.told = now;
        }
        due
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_ten_seconds_apart() {
        let begin = Instant::now();
        let mut pace = Pace { told: begin };
        let due: Vec<u64> =
            (0..600).map(|tenth| tenth * 100).filter(|ms| pace.is_due(begin + Duration::from_millis(*ms))).collect();
        assert_eq!(due, [10_000, 20_000, 30_000, 40_000, 50_000]);
    }
}
