//! `nonpaged run`.

use report::Diagnostic;
use report::cause::{Cause, Unsupported};

use super::args::RunOptions;
use super::output::Output;
use super::{Outcome, image};

/// Runs the driver and reports.
pub(crate) fn run(options: &RunOptions, _output: &Output) -> Outcome {
    image::load(&options.driver)?;
    let feature = Unsupported::Behaviour { routine: "nonpaged run".into(), behaviour: "cannot execute drivers yet" };
    Err(Box::new(Diagnostic::from(Cause::Unsupported(feature))))
}
