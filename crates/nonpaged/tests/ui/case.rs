//! The cases, and what each must have.

use std::path::{Path, PathBuf};

use nonpaged::ExitCode;
use nonpaged::scenario::{Scenario, TestCase};

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) path: PathBuf,
    pub(crate) test: TestCase,
    /// Code and part of the title of the error that a failing case shows.
    pub(crate) expected: Option<(String, String)>,
}

/// All cases below a folder with `pass` and `fail`, in the order of their paths; each a case, or what is wrong with it.
pub(crate) fn collect(folder: &Path) -> Vec<Result<Case, String>> {
    let pass = scenarios(&folder.join("pass")).into_iter().map(|path| read(path, None));
    let fail = scenarios(&folder.join("fail")).into_iter().map(|path| {
        let twin = folder.join("pass").join(path.strip_prefix(folder.join("fail")).expect("it lies there"));
        read(path, Some(&twin))
    });
    pass.chain(fail).collect()
}

/// Files `<area>/<name>.toml`, sorted.
fn scenarios(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.expect("the folder can be read").path()).collect()
    };
    let mut files: Vec<PathBuf> = entries(folder).iter().flat_map(|area| entries(area)).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

/// Reads a case; a failing one comes with the path of its twin.
fn read(path: PathBuf, twin: Option<&Path>) -> Result<Case, String> {
    let problem = |text: String| format!("{}: {text}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| problem(error.to_string()))?;
    let scenario = Scenario::parse(&text).map_err(|error| problem(error.to_string()))?;
    let test = scenario.test.ok_or_else(|| problem("it has no [test] table".into()))?;
    let expected = match (&test.expect_error, twin) {
        (None, None) => None,
        (Some(_), None) => return Err(problem("a case in pass/ has no `expect_error`".into())),
        (None, Some(_)) => return Err(problem("a case in fail/ has an `expect_error`".into())),
        (Some(_), Some(twin)) if !twin.exists() => return Err(problem(format!("it has no twin {}", twin.display()))),
        (Some(error), Some(_)) => {
            Some(error_parts(error).ok_or_else(|| problem("`expect_error` is a code, a blank and a title".into()))?)
        }
    };
    Ok(Case { path, test, expected })
}

fn error_parts(error: &str) -> Option<(String, String)> {
    let (code, title) = error.split_once(' ')?;
    (!title.is_empty()).then(|| (code.to_owned(), title.to_owned()))
}

impl Case {
    /// A wrong exit code.
    pub(crate) fn exit_problem(&self, code: Option<i32>) -> Option<String> {
        let in_area = |area: &str| self.path.parent().is_some_and(|folder| folder.ends_with(area));
        let wanted = match self.expected {
            None => ExitCode::Clean,
            Some(_) if in_area("fail/limit") => ExitCode::Limit,
            Some(_) => ExitCode::DriverBug,
        };
        let right = code == Some(i32::from(wanted.number()));
        (!right).then(|| format!("{}: exit code {code:?}, expected {}", self.path.display(), wanted.number()))
    }

    /// No error line that shows what the case is there for.
    pub(crate) fn title_problem(&self, stderr: &str) -> Option<String> {
        let (code, title) = self.expected.as_ref()?;
        let shown =
            |line: &str| line.strip_prefix(&format!("error[{code}]: ")).is_some_and(|rest| rest.contains(title));
        (!stderr.lines().any(shown)).then(|| format!("{}: no line `error[{code}]: .. {title} ..`", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// The only result of a folder with these files.
    fn collected(files: &[(&str, &str)]) -> Result<Case, String> {
        let folder = TempDir::new().expect("a temporary folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
            std::fs::write(path, text).expect("it can be written");
        }
        collect(folder.path()).pop().expect("there is a case")
    }

    #[test]
    fn a_failing_case_is_annotated_and_has_a_twin() {
        let bare = "[test]\ndriver = \"a.sys\"\n";
        let annotated = "[test]\ndriver = \"a.sys\"\nexpect_error = \"0xD1 while paged out\"\n";
        let error = |files: &[(&str, &str)]| collected(files).expect_err("it is refused");
        assert!(error(&[("fail/irql/a.toml", bare)]).ends_with("a case in fail/ has an `expect_error`"));
        assert!(error(&[("fail/irql/a.toml", annotated)]).contains("it has no twin"));
        assert!(error(&[("pass/irql/a.toml", annotated)]).ends_with("a case in pass/ has no `expect_error`"));
        assert!(error(&[("pass/irql/a.toml", "")]).ends_with("it has no [test] table"));
        let case = collected(&[("pass/irql/a.toml", bare), ("fail/irql/a.toml", annotated)]).expect("it is right");
        assert_eq!(case.expected, Some(("0xD1".into(), "while paged out".into())));
    }

    #[test]
    fn exit_code_and_title_are_compared() {
        let annotated = "[test]\ndriver = \"a.sys\"\nexpect_error = \"0xD1 while paged out\"\n";
        let bare = "[test]\ndriver = \"a.sys\"\n";
        let case = collected(&[("pass/x/a.toml", bare), ("fail/x/a.toml", annotated)]).expect("it is right");
        assert_eq!(case.exit_problem(Some(10)), None);
        assert!(case.exit_problem(Some(0)).is_some());
        assert!(case.exit_problem(None).is_some(), "a signal is no exit");
        let limit = collected(&[("pass/limit/a.toml", bare), ("fail/limit/a.toml", annotated)]).expect("it is right");
        assert_eq!(limit.exit_problem(Some(30)), None);
        assert!(limit.exit_problem(Some(10)).is_some());
        assert_eq!(case.title_problem("x\nerror[0xD1]: code while paged out\n"), None);
        assert!(case.title_problem("error[0xD3]: code while paged out\n").is_some());
        assert!(case.title_problem("error[0xD1]: something else\n").is_some());
    }
}
