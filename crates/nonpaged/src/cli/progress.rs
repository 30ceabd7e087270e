//! A line that shows how far a run is, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// What is being done. Draws nothing where standard error is no terminal, and leaves nothing behind.
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

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
