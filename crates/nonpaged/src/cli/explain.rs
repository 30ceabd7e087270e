//! `nonpaged explain`.

use report::cause::{Cause, Input};
use report::{Diagnostic, ExitCode, explain};

use super::Outcome;
use super::args::ExplainOptions;
use super::output::Output;

/// Prints the long form of a code, or the list of codes.
pub(crate) fn explain(options: &ExplainOptions, output: &Output) -> Outcome {
    let Some(code) = &options.code else {
        output.result(&explain::list())?;
        return Ok(ExitCode::Clean);
    };
    let page = explain::find(code).ok_or_else(|| unknown(code))?;
    output.result(page.text)?;
    Ok(ExitCode::Clean)
}

fn unknown(code: &str) -> Box<Diagnostic> {
    let known = explain::pages().map(|page| page.name.to_owned()).collect();
    Box::new(Diagnostic::from(Cause::Input(Input::UnknownName { role: "code", name: code.to_owned(), known })))
}
