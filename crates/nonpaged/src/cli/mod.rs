//! The command line: arguments, dispatch, and the way to the exit code.

mod args;
mod check;
mod command_line;
mod explain;
mod explore;
mod fleet;
mod input;
mod log_file;
mod machine;
mod map;
mod output;
mod progress;
mod run;
mod serial;
mod tail;
mod terminal;
mod verifier;

use std::any::Any;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::Parser;
use report::cause::Cause;
use report::{Diagnostic, ExitCode};

use args::{Cli, Color, Command};
use output::{Output, unwritable};

/// What a command returns: how to exit, or why it could not be done.
type Outcome = Result<ExitCode, Box<Diagnostic>>;

/// Runs the program on the arguments of this process.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let output = Output::new(cli.color);
    match guarded(|| dispatch(&cli.command, &output)) {
        Ok(code) => code,
        Err(report) => {
            output.failure(&report, cli.command.wants_json());
            ExitCode::from(&*report)
        }
    }
}

/// A panic is a bug of this program and is reported as one. What it leaves behind does not matter: the process ends.
fn guarded(work: impl FnOnce() -> Outcome) -> Outcome {
    std::panic::set_hook(Box::new(|_| ()));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(own_bug(panic.as_ref())))
}

fn dispatch(command: &Command, output: &Output) -> Outcome {
    match command {
        Command::Run(options) if fleet::is_wanted(options) => fleet::run(options, output),
        Command::Run(options) => run::run(options, output),
        Command::Explore(options) => explore::explore(options, output),
        Command::Replay(options) => explore::replay(options, output),
        Command::Merge(options) => explore::merge(options, output),
        Command::Map(options) => map::map(options, output),
        Command::Check(options) => check::check(options, output),
        Command::Explain(options) => explain::explain(options, output),
    }
}

/// Prints help, version or what is wrong with the arguments, in the words of the argument parser.
fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if error.use_stderr() {
        // Nobody is left to tell where even this cannot be written.
        return ExitCode::Usage;
    }
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let report = unwritable("standard output", &error);
            Output::new(Color::Auto).report(&report);
            ExitCode::from(&*report)
        }
        _ => ExitCode::Clean,
    }
}

fn own_bug(panic: &(dyn Any + Send)) -> Box<Diagnostic> {
    Box::new(Diagnostic::from(Cause::OwnBug { invariant: nonpaged::fleet::panic_message(panic) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_reported_as_a_bug_of_this_program() {
        let report = guarded(|| panic!("count is {}", 7)).expect_err("it panics");
        assert_eq!(ExitCode::from(&*report), ExitCode::Internal);
        assert_eq!(report.title(), "count is 7");
    }
}
