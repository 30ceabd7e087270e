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
        if let Some(line) = self.line(&phase, Instant::now()) {
            // That nobody can be told is no reason to stop.
            let _ = io::stderr().write_all(line.as_bytes());
        }
        self.progress.phase(phase);
    }

    /// The line for a log, where it is time for one.
    fn line(&mut self, phase: &str, now: Instant) -> Option<String> {
        let is_due = self.lines.as_mut()?.is_due(now);
        is_due.then(|| format!("{}: {phase}\n", self.progress.0.prefix()))
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

    /// What a log gets in a minute in which something is said ten times a second.
    fn lines(mut logged: Logged) -> Vec<String> {
        let begin = logged.lines.as_ref().map_or_else(Instant::now, |pace| pace.told);
        let now = |tenth: u64| begin + Duration::from_millis(tenth * 100);
        (0..600).filter_map(|tenth| logged.line(&format!("at {tenth}"), now(tenth))).collect()
    }

    #[test]
    fn lines_are_ten_seconds_apart() {
        // Tests have no terminal, or one that says so.
        let progress = Progress(ProgressBar::hidden());
        progress.0.set_prefix("a.sys");
        let logged = Logged { progress, lines: Some(Pace { told: Instant::now() }) };
        assert_eq!(lines(logged), [100, 200, 300, 400, 500].map(|tenth| format!("a.sys: at {tenth}\n")));
    }

    #[test]
    fn who_wants_no_progress_gets_none() {
        assert!(lines(Logged::new("a.sys", true)).is_empty());
    }
}
