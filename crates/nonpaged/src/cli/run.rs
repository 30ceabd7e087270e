//! `nonpaged run`.

use report::Diagnostic;
use report::cause::{Cause, Unsupported};

use super::args::RunOptions;
use super::output::Output;
use super::progress::Progress;
use super::{Outcome, input};

/// Runs the driver and reports.
pub(crate) fn run(options: &RunOptions, _output: &Output) -> Outcome {
    let progress = Progress::new(&options.driver.display().to_string(), options.json);
    progress.phase("reading the image");
    input::image(&options.driver)?;
    if let Some(path) = &options.scenario {
        progress.phase("reading the scenario");
        input::scenario(path)?;
    }
    let missing = Unsupported::Behaviour { routine: "nonpaged run".into(), behaviour: "cannot execute drivers yet" };
    Err(Box::new(Diagnostic::from(Cause::Unsupported(missing))))
}
