//! `nonpaged replay`.

use clap::Parser;
use nonpaged::explore::{changed, in_rust, named};
use report::Diagnostic;
use report::cause::Input;

use super::super::Outcome;
use super::super::args::{ReplayOptions, Setup};
use super::super::input::{self, refuse};
use super::super::output::Output;
use super::super::run::{Job, conclude};
use super::super::tail::Tail;
use super::inputs;

/// The words of a token as a command line.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Words {
    #[command(flatten)]
    setup: Setup,
}

/// Runs the schedule of a token.
pub(crate) fn replay(options: &ReplayOptions, output: &Output) -> Outcome {
    let (token, file) = named(&options.token).map_err(input::no_token)?;
    if let Some(place) = in_rust(&token) {
        let problem = format!("the token belongs to a test, and what it does is written at `{place}`");
        return Err(refuse(Input::Arguments {
            problem: format!("{problem}: set `NONPAGED_REPLAY` to the token and run that test"),
        }));
    }
    let mut setup = Words::try_parse_from(&token.arguments).map_err(|error| arguments(&error))?.setup;
    if let Some(driver) = &options.driver {
        setup.driver.clone_from(driver);
    }
    let driver = input::driver(&setup.driver)?;
    let changed = changed(&token, &driver, &inputs(&setup, &driver));
    let tail = options.trace.then(Tail::default);
    let mut conclusion = Job {
        setup: &setup,
        show: &options.show,
        token: Some(&token),
        token_file: file.as_deref(),
        tail: tail.clone(),
    }
    .perform()?;
    conclusion.reports.splice(..0, changed);
    if let Some(tail) = tail {
        output.result(&tail.text())?;
    }
    conclude(&options.show, output, &conclusion)
}

fn arguments(error: &dyn std::fmt::Display) -> Box<Diagnostic> {
    refuse(Input::Arguments { problem: error.to_string() })
}
