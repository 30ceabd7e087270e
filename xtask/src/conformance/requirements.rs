//! `docs/requirements.toml`: a line for each number.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::number::{Family, Number};

const UNTESTABLE: &str = "untestable";

/// What is asked for.
pub(crate) struct Requirements {
    lines: BTreeMap<Number, String>,
    /// Why a number has no test.
    reasons: BTreeMap<Number, String>,
}

impl Requirements {
    pub(crate) fn parse(text: &str) -> Result<Requirements> {
        let mut tables: BTreeMap<String, BTreeMap<String, String>> = toml::from_str(text)?;
        let reasons = numbered(tables.remove(UNTESTABLE).unwrap_or_default())?;
        let mut lines = BTreeMap::new();
        for (name, table) in tables {
            let (family, ..) =
                Family::ALL.iter().find(|(.., own)| *own == name).with_context(|| format!("unknown table [{name}]"))?;
            let table = numbered(table)?;
            let stray = table.keys().find(|number| number.family != *family);
            ensure!(stray.is_none(), "[{name}] has {}", stray.map(Number::to_string).unwrap_or_default());
            lines.extend(table);
        }
        let stray = reasons.keys().find(|number| !lines.contains_key(number));
        ensure!(
            stray.is_none(),
            "[{UNTESTABLE}] has {}, which does not exist",
            stray.map(Number::to_string).unwrap_or_default()
        );
        Ok(Requirements { lines, reasons })
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = Number> {
        self.lines.keys().copied()
    }

    pub(crate) fn line(&self, number: Number) -> Option<&str> {
        self.lines.get(&number).map(String::as_str)
    }

    pub(crate) fn reason(&self, number: Number) -> Option<&str> {
        self.reasons.get(&number).map(String::as_str)
    }
}

fn numbered(table: BTreeMap<String, String>) -> Result<BTreeMap<Number, String>> {
    table.into_iter().map(|(number, line)| Ok((number.parse()?, line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_in_their_tables() {
        let error = |text: &str| Requirements::parse(text).err().map(|error| error.to_string());
        assert_eq!(error("[requirements]\nR1 = \"one\"\n"), None);
        assert_eq!(error("[requirements]\nD1 = \"one\"\n").as_deref(), Some("[requirements] has D1"));
        assert_eq!(error("[other]\nR1 = \"one\"\n").as_deref(), Some("unknown table [other]"));
        assert_eq!(error("[untestable]\nR1 = \"one\"\n").as_deref(), Some("[untestable] has R1, which does not exist"));
    }
}
