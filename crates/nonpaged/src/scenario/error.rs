//! What is wrong with a scenario file, and where.

/// An error in a scenario file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct ScenarioError {
    /// Line from 1.
    pub line: usize,
    /// Column from 1, in characters.
    pub column: usize,
    /// The line as it stands in the file.
    pub text: String,
    /// What is wrong.
    pub problem: String,
}

impl ScenarioError {
    /// An error at a byte offset of the file.
    pub(super) fn at(file: &str, offset: usize, problem: impl Into<String>) -> ScenarioError {
        let before = file.get(..offset).unwrap_or(file);
        let start = before.rfind('\n').map_or(0, |index| index + 1);
        ScenarioError {
            line: line_of(file, offset),
            column: before[start..].chars().count() + 1,
            text: file[start..].lines().next().unwrap_or_default().to_owned(),
            problem: problem.into(),
        }
    }
}

/// The line of a byte offset, from 1.
pub(super) fn line_of(file: &str, offset: usize) -> usize {
    file.get(..offset).unwrap_or(file).matches('\n').count() + 1
}
