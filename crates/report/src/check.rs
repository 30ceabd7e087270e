//! What an audit of files came to.

use crc32fast::Hasher;

use crate::cause::Cause;
use crate::code::{Code, Level};
use crate::diagnostic::Diagnostic;
use crate::exit_code::ExitCode;
use crate::plural;
use crate::span::Place;

/// One audited file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckedFile {
    /// Path as it was named.
    pub path: String,
    /// What was found and is shown; what was not looked at; or why nothing could be looked at.
    pub reports: Vec<Diagnostic>,
}

/// An audit of files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// The files, in the order in which they were named.
    pub files: Vec<CheckedFile>,
}

impl Check {
    /// Every report.
    pub fn reports(&self) -> impl Iterator<Item = &Diagnostic> {
        self.files.iter().flat_map(|file| &file.reports)
    }

    /// Reports that are findings about drivers.
    fn findings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.reports().filter(|report| is_finding(report))
    }

    /// How the program exits: 11 where there are findings, unless a file could not be looked at.
    pub fn exit_code(&self) -> ExitCode {
        let trouble = ExitCode::of(self.reports().filter(|report| !is_finding(report)));
        match (trouble, self.findings().next()) {
            (ExitCode::Clean, Some(_)) => ExitCode::AuditFindings,
            (trouble, _) => trouble,
        }
    }

    /// The last line: "2 findings in 3 files; 1 error, 1 warning (exit code 11)".
    pub fn sentence(&self) -> String {
        let count =
            |level| self.reports().filter(|report| report.level() == level && report.code() != Code::Note).count();
        let (errors, warnings) = (count(Level::Error) as u64, count(Level::Warning) as u64);
        format!(
            "{} in {}; {}, {} (exit code {})",
            plural(self.findings().count() as u64, "finding"),
            plural(self.files.len() as u64, "file"),
            plural(errors, "error"),
            plural(warnings, "warning"),
            self.exit_code().number()
        )
    }

    /// The code whose long form helps most.
    pub fn explained(&self) -> Option<Code> {
        let worst = self.findings().min_by_key(|report| (core::cmp::Reverse(report.level()), report.code()));
        worst.map(Diagnostic::code)
    }
}

pub(crate) fn is_finding(report: &Diagnostic) -> bool {
    matches!(report.code(), Code::Finding(_) | Code::BugCheck(_))
}

/// Tells a report from others over many builds: its code, title and function, but no addresses where a name is known.
pub fn fingerprint(report: &Diagnostic) -> String {
    // What is about a section says so in its title; where the section lies does not matter.
    let at = report.at.as_ref().filter(|_| !matches!(report.cause, Cause::Layout(_)));
    let place = at.map(|span| anchor(&span.place)).unwrap_or_default();
    let image = report.at.as_ref().map(|span| span.place.image.as_str()).unwrap_or_default();
    let mut hasher = Hasher::new();
    for part in [&report.code().to_string(), &report.title(), image, &place] {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    format!("{}-{:08x}", report.code(), hasher.finalize())
}

/// The function, or the offset where no name is known.
fn anchor(place: &Place) -> String {
    place.symbol.as_ref().map_or_else(|| place.rva.to_string(), |symbol| symbol.name.clone())
}

#[cfg(test)]
mod tests {
    use nt_types::Rva;

    use super::*;
    use crate::cause::{Audit, Input, Layout};
    use crate::span::Symbol;

    fn file(causes: Vec<Cause>) -> Check {
        let reports = causes.into_iter().map(Diagnostic::from).collect();
        Check { files: vec![CheckedFile { path: "x.sys".into(), reports }] }
    }

    #[test]
    fn findings_exit_with_11_and_trouble_outranks_them() {
        let warning = Cause::Layout(Layout::MixedSection { section: "PAGE".into() });
        let unloadable = Cause::Input(Input::NotLoadable { path: "y.sys".into(), reason: "z".into() });
        assert_eq!(file(vec![]).exit_code(), ExitCode::Clean);
        assert_eq!(file(vec![warning.clone()]).exit_code(), ExitCode::AuditFindings);
        assert_eq!(file(vec![warning.clone()]).sentence(), "1 finding in 1 file; 0 errors, 1 warning (exit code 11)");
        assert_eq!(file(vec![warning, unloadable]).exit_code(), ExitCode::NotLoadable);
    }

    /// A rebuild that only moves code changes no fingerprint, as long as functions have names.
    #[test]
    fn a_fingerprint_survives_code_that_moves() {
        let at = |cause: Cause, rva: u32, name: Option<&str>| {
            let symbol = name.map(|name| Symbol { name: name.into(), offset: rva & 0xf });
            let place = Place { image: "x.sys".into(), section: None, rva: Rva(rva), symbol, source: None };
            fingerprint(&Diagnostic { at: Some(place.into()), ..Diagnostic::from(cause) })
        };
        let code = || Cause::Audit(Audit::UnlockWithoutLock);
        let section = || Cause::Layout(Layout::MixedSection { section: "PAGE".into() });
        assert_eq!(at(code(), 0x1004, Some("Dpc")), at(code(), 0x2348, Some("Dpc")));
        assert_ne!(at(code(), 0x1004, Some("Dpc")), at(code(), 0x1004, Some("Isr")));
        assert_ne!(at(code(), 0x1004, None), at(code(), 0x2348, None), "the address is all there is");
        assert_eq!(at(section(), 0x5000, None), at(section(), 0x6000, None));
    }

    #[test]
    fn a_fingerprint_depends_on_what_is_said() {
        let [one, other] = ["PAGE", "PAGEX"]
            .map(|section| Diagnostic::from(Cause::Layout(Layout::MixedSection { section: section.into() })));
        assert_eq!(fingerprint(&one), fingerprint(&one));
        assert_ne!(fingerprint(&one), fingerprint(&other));
        assert!(fingerprint(&one).starts_with("K17-"));
    }
}
