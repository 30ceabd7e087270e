//! Reports that are known already: a file with one fingerprint a line, and what it stands for behind it.

use std::collections::BTreeSet;
use std::fmt::Write;

use report::{Diagnostic, fingerprint};

/// Fingerprints of reports that are known.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Baseline(BTreeSet<String>);

/// Why a file is no baseline.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is no fingerprint")]
pub struct BaselineError {
    /// Line number from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

impl Baseline {
    /// Reads the text of a baseline. Empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// The first line that is no fingerprint.
    pub fn parse(text: &str) -> Result<Baseline, BaselineError> {
        let mut known = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let first = line.split_whitespace().next().unwrap_or_default();
            let digits = first.rsplit_once('-').map_or("", |(_, digits)| digits);
            if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(BaselineError { line: index + 1, text: first.to_owned() });
            }
            known.insert(first.to_owned());
        }
        Ok(Baseline(known))
    }

    /// The text of a baseline that knows these reports.
    pub fn text<'a>(reports: impl IntoIterator<Item = &'a Diagnostic>) -> String {
        let lines: BTreeSet<String> = reports
            .into_iter()
            .map(|report| {
                let place = report.at.as_ref().map(|span| format!("{}: ", span.place)).unwrap_or_default();
                format!("{}  {place}{}", fingerprint(report), report.title())
            })
            .collect();
        lines.into_iter().fold(String::from("# known findings of `nonpaged check`\n"), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    }

    pub(super) fn knows(&self, report: &Diagnostic) -> bool {
        !self.0.is_empty() && self.0.contains(&fingerprint(report))
    }
}

#[cfg(test)]
mod tests {
    use report::cause::{Cause, Layout};

    use super::*;

    #[test]
    fn what_is_written_is_known_again() {
        let report = Diagnostic::from(Cause::Layout(Layout::MixedSection { section: "PAGE".into() }));
        let other = Diagnostic::from(Cause::Layout(Layout::MixedSection { section: "PAGEX".into() }));
        let text = Baseline::text([&report]);
        let baseline = Baseline::parse(&text).expect("it was just written");
        assert!(baseline.knows(&report) && !baseline.knows(&other), "{text}");
    }

    #[test]
    fn a_line_that_is_no_fingerprint_is_refused() {
        let error = Baseline::parse("# comment\n\nnonsense\n").expect_err("it is refused");
        assert_eq!(error, BaselineError { line: 3, text: "nonsense".into() });
    }
}
