//! Running a case, and comparing what it prints.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::case::Case;

/// What a run of the program gave.
pub(crate) struct Printed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// What stands for the log of a run of the case's scenario among the arguments of another command.
const LOG: &str = "$LOG";

/// Runs a case from the root of the repository, so that paths in its output are relative.
pub(crate) fn run(root: &Path, case: &Case, further: &[&str]) -> Printed {
    let program = |command: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
        program.current_dir(root).arg(command);
        program
    };
    let scenario = case.path.strip_prefix(root).expect("cases lie in the repository");
    let mut command = program(&case.test.command);
    match case.test.command.as_str() {
        "run" => command.arg(&case.test.driver).arg("--scenario").arg(scenario),
        // The token among the arguments names the scenario.
        "replay" => command.arg("--driver").arg(&case.test.driver),
        _ => command.arg(&case.test.driver),
    };
    let folder = TempDir::new().expect("a temporary folder");
    let log = folder.path().join("log");
    if case.test.arguments.iter().any(|argument| argument == LOG) {
        let mut logged = program("run");
        logged.arg(&case.test.driver).arg("--scenario").arg(scenario).arg("--log").arg(&log);
        assert!(logged.output().expect("the program starts").status.success(), "{}", case.path.display());
    }
    for argument in &case.test.arguments {
        if argument == LOG {
            command.arg(&log)
        } else {
            command.arg(argument)
        };
    }
    let output = command.args(further).output().expect("the program starts");
    let text = |bytes: &[u8]| normal(root, &String::from_utf8_lossy(bytes));
    Printed { stdout: text(&output.stdout), stderr: text(&output.stderr), code: output.status.code() }
}

/// Everything is deterministic but two things: where the repository lies, and the version.
fn normal(root: &Path, text: &str) -> String {
    let root = root.display().to_string();
    text.replace(&root, "$ROOT").replace(concat!("nonpaged ", env!("CARGO_PKG_VERSION")), "nonpaged $VERSION")
}

/// Compares with the file beside the case, or writes it; says what differs.
pub(crate) fn compare(case: &Case, extension: &str, actual: &str) -> Option<String> {
    let path = case.path.with_extension(extension);
    if std::env::var_os("UPDATE").is_some() {
        write(&path, actual);
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    (actual != expected).then(|| format!("{}: {}", path.display(), first_difference(&expected, actual)))
}

fn write(path: &Path, text: &str) {
    if text.is_empty() {
        // Most cases print nothing there, so that there is nothing to remove.
        let _ = std::fs::remove_file(path);
    } else {
        std::fs::write(path, text).expect("the file can be written");
    }
}

fn first_difference(expected: &str, actual: &str) -> String {
    let mut lines = expected.lines().zip(actual.lines()).enumerate();
    match lines.find(|(_, (expected, actual))| expected != actual) {
        Some((index, (expected, actual))) => {
            format!("line {}\n  expected: {expected}\n  printed:  {actual}", index + 1)
        }
        None => format!("{} lines expected, {} printed:\n{actual}", expected.lines().count(), actual.lines().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::{first_difference, normal};
    use std::path::Path;

    #[test]
    fn only_root_and_version_are_normalised() {
        let version = env!("CARGO_PKG_VERSION");
        let text = format!("/r/drivers/a.sys nonpaged {version} 0xfffff80010007140 step 48201");
        assert_eq!(
            normal(Path::new("/r"), &text),
            "$ROOT/drivers/a.sys nonpaged $VERSION 0xfffff80010007140 step 48201"
        );
    }

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), "line 2\n  expected: b\n  printed:  c");
        assert!(first_difference("a\n", "a\nb\n").starts_with("1 lines expected, 2 printed"));
    }
}
