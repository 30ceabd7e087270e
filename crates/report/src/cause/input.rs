//! Input that cannot be used.

use crate::code::{Class, Code, Level};
use crate::words::Words;

/// Input that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The command line.
    Arguments {
        /// What is wrong, as a phrase.
        problem: String,
    },
    /// A file that cannot be read.
    Unreadable {
        /// What it is for: "driver", "scenario" and so on.
        role: &'static str,
        /// Its path.
        path: String,
        /// What the host said.
        error: String,
    },
    /// Not an image that NT would load as a driver.
    NotLoadable {
        /// Its path.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A text file with an error in it.
    Malformed {
        /// What it is for.
        role: &'static str,
        /// Its path.
        path: String,
        /// Line from 1, where known.
        line: Option<usize>,
        /// Column from 1, where known.
        column: Option<usize>,
        /// The text of that line.
        text: Option<String>,
        /// What is wrong.
        problem: String,
    },
    /// A name that does not exist, with those that do.
    UnknownName {
        /// What kind of name.
        role: &'static str,
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
}

impl Input {
    pub(super) fn words(&self) -> Words {
        let words = |title: String| Words::plain(Code::Input, Level::Error, Class::Input, title);
        match self {
            Input::Arguments { problem } => words(problem.clone()),
            Input::Unreadable { role, path, error } => words(format!("{role} `{path}` cannot be read: {error}")),
            Input::NotLoadable { path, reason } => words(format!("`{path}` is not a loadable driver: {reason}")),
            Input::Malformed { role, path, line, column, text, problem } => {
                let position = position(*line, *column);
                let words = words(format!("{role} `{path}`{position}: {problem}"));
                match text {
                    Some(text) => words.note(format!("the line reads `{}`", text.trim())),
                    None => words,
                }
            }
            Input::UnknownName { role, name, known } => {
                words(format!("unknown {role} `{name}`")).help(format!("the known ones are {}", known.join(", ")))
            }
        }
    }
}

fn position(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!(", line {line}, column {column}"),
        (Some(line), None) => format!(", line {line}"),
        _ => String::new(),
    }
}
