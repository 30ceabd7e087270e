//! Reports that are known already: a file with one fingerprint a line, and what it stands for behind it.
//!
//! Of version 1, which says nothing of its version, images of one file name share what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use report::cause::{Cause, Remark};
use report::{Diagnostic, Place, Span, fingerprint, fingerprint_v1};

/// Fingerprints of reports that are known, and what the file says of each.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Baseline {
    known: BTreeMap<String, String>,
    /// It is of version 2: images are told apart by their paths below the folder that was named.
    by_path: bool,
}

/// How a baseline of version 2 begins.
const HEADER: &str = "# known findings of `nonpaged check`, version 2";

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
        let mut known = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (first, text) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let digits = first.rsplit_once('-').map_or("", |(_, digits)| digits);
            if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(BaselineError { line: index + 1, text: first.to_owned() });
            }
            known.insert(first.to_owned(), text.trim().to_owned());
        }
        Ok(Baseline { known, by_path: text.lines().any(|line| line.trim() == HEADER) })
    }

    /// The text of a baseline, of version 2, that knows these reports, each with its fingerprint and the image that it is about.
    pub fn text<'a>(reports: impl IntoIterator<Item = (&'a str, &'a Diagnostic)>) -> String {
        let lines: BTreeSet<String> = reports
            .into_iter()
            .map(|(image, report)| {
                let place = |span: &Span| Place { image: image.to_owned(), ..span.place.clone() }.to_string();
                let place = report.at.as_ref().map_or_else(|| image.to_owned(), place);
                format!("{}  {place}: {}", fingerprint(image, report), report.title())
            })
            .collect();
        lines.into_iter().fold(format!("{HEADER}\n"), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    }

    /// Does it know this report on an image?
    pub fn knows(&self, image: &str, report: &Diagnostic) -> bool {
        !self.known.is_empty() && self.known.contains_key(&self.fingerprint(image, report))
    }

    fn fingerprint(&self, image: &str, report: &Diagnostic) -> String {
        if self.by_path { fingerprint(image, report) } else { fingerprint_v1(image, report) }
    }

    /// What it knows of an image and what is not among the reports on it.
    pub fn gone<'a>(&self, image: &str, reports: impl IntoIterator<Item = &'a Diagnostic>) -> Vec<Diagnostic> {
        let image = if self.by_path { image } else { image.rsplit('/').next().unwrap_or_default() };
        let of_image = |text: &str| text.strip_prefix(image).is_some_and(|rest| rest.starts_with(['!', '+', ':']));
        let there: BTreeSet<String> = reports.into_iter().map(|report| self.fingerprint(image, report)).collect();
        let gone = self.known.iter().filter(|(fingerprint, text)| of_image(text) && !there.contains(*fingerprint));
        let remark = |(fingerprint, text): (&String, &String)| {
            let (fingerprint, text) = (fingerprint.clone(), text.clone());
            Diagnostic::from(Cause::Remark(Remark::BaselineGone { fingerprint, text }))
        };
        gone.map(remark).collect()
    }
}

#[cfg(test)]
mod tests {
    use report::cause::Layout;

    use super::*;

    #[test]
    fn what_is_written_is_known_again() {
        let report = Diagnostic::from(Cause::Layout(Layout::MixedSection { section: "PAGE".into() }));
        let other = Diagnostic::from(Cause::Layout(Layout::MixedSection { section: "PAGEX".into() }));
        let text = Baseline::text([("x.sys", &report)]);
        let baseline = Baseline::parse(&text).expect("it was just written");
        assert!(baseline.knows("x.sys", &report) && !baseline.knows("x.sys", &other), "{text}");
        assert!(!baseline.knows("y.sys", &report), "the same in another image is another");
        assert_eq!(baseline.gone("x.sys", &[report]), []);
        assert_eq!(baseline.gone("y.sys", &[]), [], "that image is not in it");
        let gone = baseline.gone("x.sys", &[other]).pop().expect("it is gone");
        assert!(gone.title().ends_with("of the baseline is gone"), "{}", gone.title());
    }

    /// Images of one name in two folders have nothing in common; a baseline of version 1 knows what it knew.
    #[test]
    fn images_of_one_name_are_told_apart_from_version_2_on() {
        let report = Diagnostic::from(Cause::Layout(Layout::MixedSection { section: "PAGE".into() }));
        let baseline = Baseline::parse(&Baseline::text([("a/x.sys", &report)])).expect("it was just written");
        assert!(baseline.knows("a/x.sys", &report) && !baseline.knows("b/x.sys", &report));
        assert_eq!(baseline.gone("b/x.sys", []), []);
        assert_eq!(baseline.gone("a/x.sys", []).len(), 1);
        let old = Baseline::text([("x.sys", &report)]).replace(", version 2", "");
        let old = Baseline::parse(&old).expect("it is one");
        assert!(old.knows("a/x.sys", &report) && old.knows("b/x.sys", &report) && old.knows("x.sys", &report));
        assert_eq!(old.gone("a/x.sys", []).len(), 1);
    }

    #[test]
    fn a_line_that_is_no_fingerprint_is_refused() {
        let error = Baseline::parse("# comment\n\nnonsense\n").expect_err("it is refused");
        assert_eq!(error, BaselineError { line: 3, text: "nonsense".into() });
    }
}
