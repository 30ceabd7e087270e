//! What an audit of files came to.

use std::collections::BTreeMap;

use crc32fast::Hasher;

use crate::cause::Cause;
use crate::code::{Code, Level};
use crate::diagnostic::Diagnostic;
use crate::exit_code::ExitCode;
use crate::plural;
use crate::span::Place;

/// One audited file.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct CheckedFile {
    /// Path as it was named.
    pub path: String,
    /// What tells the image from the others, with `/` between the folders: its path below the folder that was named. Its file
    /// name comes last.
    pub image: String,
    /// SHA-256 of the file, if it could be read.
    pub sha256: Option<String>,
    /// What was found and is shown; what was not looked at; or why nothing could be looked at.
    pub reports: Vec<Diagnostic>,
    /// What was found and is known by the baseline.
    pub known: Vec<Diagnostic>,
}

/// An audit of files.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Check {
    /// The files, in the order in which they were named.
    pub files: Vec<CheckedFile>,
    /// There was a baseline.
    pub has_baseline: bool,
}

impl CheckedFile {
    /// The reports that are findings, with their fingerprints.
    pub fn findings(&self) -> impl Iterator<Item = (&Diagnostic, String)> {
        self.fingerprinted(&self.reports)
    }

    /// What counts or is known, each with the image.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Diagnostic)> {
        self.findings().chain(self.known()).map(|(report, _)| (self.image.as_str(), report))
    }

    /// What the baseline knows, with the fingerprints.
    pub fn known(&self) -> impl Iterator<Item = (&Diagnostic, String)> {
        self.fingerprinted(&self.known)
    }

    fn fingerprinted<'r>(&'r self, reports: &'r [Diagnostic]) -> impl Iterator<Item = (&'r Diagnostic, String)> {
        let findings = reports.iter().filter(|report| is_finding(report));
        findings.map(|report| (report, fingerprint(&self.image, report)))
    }
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
        let known = self.files.iter().map(|file| file.known.len()).sum::<usize>();
        let known = if known == 0 { String::new() } else { format!(", {known} known by the baseline") };
        format!(
            "{} in {}{known}; {}, {} (exit code {})",
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

/// Numbers the reports on an image that are alike, in their order, so that each has a fingerprint of its own.
pub fn number(image: &str, reports: &mut [Diagnostic]) {
    let mut alike: BTreeMap<String, u32> = BTreeMap::new();
    for report in reports {
        let count = alike.entry(fingerprint(image, report)).or_default();
        report.ordinal = *count;
        *count += 1;
    }
}

/// Tells a report on an image from others over many builds: its code, its title without numbers, what tells the image from
/// others, and its function, but no addresses where a name is known; of several alike also which it is.
pub fn fingerprint(image: &str, report: &Diagnostic) -> String {
    // What is about a section says so in its title; where the section lies does not matter.
    let at = report.at.as_ref().filter(|_| !matches!(report.cause, Cause::Layout(_)));
    let place = at.map(|span| anchor(&span.place)).unwrap_or_default();
    let mut parts = vec![report.code().to_string(), without_numbers(&report.title()), image.to_owned(), place];
    if report.ordinal > 0 {
        parts.push(report.ordinal.to_string());
    }
    let mut hasher = Hasher::new();
    for part in &parts {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    format!("{}-{:08x}", report.code(), hasher.finalize())
}

/// The fingerprint as version 1 had it, where images of one file name are the same.
pub fn fingerprint_v1(image: &str, report: &Diagnostic) -> String {
    fingerprint(image.rsplit('/').next().unwrap_or_default(), report)
}

/// A title with `#` for each word that is a number: how many bytes there are may change from build to build.
fn without_numbers(title: &str) -> String {
    let number = |word: &str| word.starts_with("0x") || word.bytes().all(|byte| byte.is_ascii_digit());
    title.split(' ').map(|word| if number(word) { "#" } else { word }).collect::<Vec<_>>().join(" ")
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
        let file = CheckedFile { path: "x.sys".into(), reports, ..CheckedFile::default() };
        Check { files: vec![file], has_baseline: false }
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
            fingerprint("x.sys", &Diagnostic { at: Some(place.into()), ..Diagnostic::from(cause) })
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
        let print = |report| fingerprint("x.sys", report);
        assert_eq!(print(&one), print(&one));
        assert_ne!(print(&one), print(&other));
        assert_ne!(print(&one), fingerprint("y.sys", &one));
        assert!(print(&one).starts_with("K17-"));
        let small = |bytes| Diagnostic::from(Cause::Layout(Layout::SmallPageable { code: true, bytes }));
        assert_eq!(print(&small(410)), print(&small(1719)), "a few bytes more are no other finding");
    }

    /// Two alike in one function have fingerprints of their own, which stay when the code moves.
    #[test]
    fn reports_that_are_alike_are_numbered() {
        let at = |rva: u32, name: &str| {
            let symbol = Some(Symbol { name: name.into(), offset: rva & 0xff });
            let place = Place { image: "x.sys".into(), section: None, rva: Rva(rva), symbol, source: None };
            Diagnostic { at: Some(place.into()), ..Diagnostic::from(Cause::Audit(Audit::UnlockWithoutLock)) }
        };
        let prints = |base: u32| {
            let mut reports = [at(base, "Dpc"), at(base + 9, "Dpc"), at(base + 0x99, "Isr")];
            number("x.sys", &mut reports);
            reports.map(|report| fingerprint("x.sys", &report))
        };
        let [one, other, isr] = prints(0x1000);
        assert!(one != other && one != isr && other != isr);
        assert_eq!(prints(0x5010), [one, other, isr]);
    }
}
