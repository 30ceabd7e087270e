//! The rows of `docs/findings.toml`: `audited_samples` audits the samples, `cargo xtask findings` draws the table.

use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    finding: Vec<Row>,
}

/// A finding, and a sample that has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) code: String,
    pub(crate) sample: String,
    twin: Option<String>,
}

impl Row {
    /// The repaired twin of the sample.
    pub(crate) fn twin(&self) -> String {
        self.twin.clone().unwrap_or_else(|| format!("{}-fixed", self.sample))
    }
}

/// The rows of the file's text.
pub(crate) fn parse(text: &str) -> Result<Vec<Row>, toml::de::Error> {
    Ok(toml::from_str::<Table>(text)?.finding)
}
