//! What a person should know about a run, and nobody's fault.

use crate::code::{Class, Code, Level};
use crate::event::Step;
use crate::plural;
use crate::words::Words;

/// Something to know about a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Remark {
    /// Imports that nobody answers: the run stops only if one of them is used.
    UnresolvedImports {
        /// Each as `module!name`.
        names: Vec<String>,
    },
    /// The PDB beside the image cannot be used, so that reports have no names.
    SymbolsUnusable {
        /// Its path.
        path: String,
        /// Why not.
        problem: String,
    },
    /// There is no PDB for an image, so that reports have no names and no source lines.
    SymbolsMissing {
        /// File name of the image.
        image: String,
        /// Where one is looked for.
        path: String,
        /// The name that the image has for it, if it names one.
        named: Option<String>,
    },
    /// The run stopped at the step that was asked for.
    StoppedHere,
    /// The driver of a token has changed, and from here on its schedule did not fit any more.
    SchedulePartedAt {
        /// Number of the choice.
        choice: u32,
        /// Instructions retired before it.
        step: Step,
    },
    /// The run of a token was over before all of its schedule.
    ScheduleUnreached {
        /// Number of the first choice that there was not.
        choice: u32,
        /// Instructions retired at the end.
        step: Step,
    },
    /// What the baseline knows of an image is not found any more.
    BaselineGone {
        /// Its fingerprint.
        fingerprint: String,
        /// What the baseline says of it.
        text: String,
    },
    /// The driver is another one than that of the token.
    DriverChanged {
        /// Its path.
        path: String,
    },
    /// What is read beside the driver is not what it was when the token was made.
    FilesChanged {
        /// The paths of all that is read now.
        paths: Vec<String>,
    },
}

impl Remark {
    pub(super) fn words(&self) -> Words {
        let words = |title: String| Words::plain(Code::Note, Level::Info, Class::Remark, title);
        match self {
            Remark::UnresolvedImports { names } => {
                let title = format!("{} that the tool does not model", plural(names.len() as u64, "import"));
                words(title)
                    .note(names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
                    .note("the run stops only if one of them is used")
            }
            Remark::SymbolsUnusable { path, problem } => words(format!("symbols in `{path}` are not used: {problem}"))
                .help("put the PDB of this very build there: reports then have names and source lines"),
            Remark::SymbolsMissing { image, path, named } => {
                let title = format!("names of functions and source lines of `{image}` are missing: there is no PDB");
                let words = words(title).help(format!("put the PDB of the build at `{path}`"));
                match named {
                    Some(named) => words.note(format!("the linker wrote it as `{named}`")),
                    None => words,
                }
            }
            Remark::SchedulePartedAt { choice, step } => {
                words(format!("the schedule of the token fits no longer from step {step} on"))
                    .note(format!("what it has happen at choice {choice} cannot happen there"))
                    .note("from there on nothing unplanned happened")
            }
            Remark::ScheduleUnreached { choice, step } => {
                words(format!("the run ended at step {step}, before the schedule of the token"))
                    .note(format!("what it has happen at choice {choice} and later did not happen"))
            }
            Remark::BaselineGone { fingerprint, text } => words(format!("`{fingerprint}` of the baseline is gone"))
                .note(format!("it was: {text}"))
                .help("`--write-baseline` writes the baseline without it"),
            Remark::DriverChanged { path } => words(format!("`{path}` is not the driver that the token was made with"))
                .note("its schedule is followed for as long as it fits"),
            Remark::FilesChanged { paths } => {
                words(files_changed(paths)).note("its schedule is followed for as long as it fits")
            }
            Remark::StoppedHere => words("this is where the run stands".to_owned()).label("next instruction"),
        }
    }
}

/// The token has one checksum for all of them.
fn files_changed(paths: &[String]) -> String {
    let quoted: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
    match quoted.as_slice() {
        [] => "the token was made with files beside the driver that are not there".to_owned(),
        [one] => format!("{one} is not what the token was made with"),
        all => format!("{}: one of them is not what the token was made with", all.join(", ")),
    }
}
