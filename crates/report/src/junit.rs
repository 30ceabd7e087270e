//! JUnit XML, the form in which CI systems take test results: one suite a file, one failed case a finding.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::check::{Check, CheckedFile, fingerprint};
use crate::code::{Code, Level};
use crate::diagnostic::Diagnostic;
use crate::draw;

/// An audit as JUnit XML.
pub fn junit(check: &Check) -> String {
    let mut report = Report::new("nonpaged check");
    report.add_test_suites(check.files.iter().map(suite));
    // Only a writer that fails could fail, and this one is a vector.
    report.to_string().unwrap_or_default()
}

fn suite(file: &CheckedFile) -> TestSuite {
    let mut suite = TestSuite::new(file.path.as_str());
    let failures = file.reports.iter().filter(|report| report.code() != Code::Note);
    suite.add_test_cases(failures.map(|report| failure(file, report)));
    if suite.test_cases.is_empty() {
        suite.add_test_case(case("audit", file, TestCaseStatus::success()));
    }
    suite
}

fn failure(file: &CheckedFile, report: &Diagnostic) -> TestCase {
    let kind = if report.level() == Level::Error { NonSuccessKind::Error } else { NonSuccessKind::Failure };
    let kind = if crate::check::is_finding(report) { NonSuccessKind::Failure } else { kind };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(report.code().to_string()).set_message(report.title());
    status.set_description(draw::diagnostic(report, false));
    case(&fingerprint(report), file, status)
}

fn case(name: &str, file: &CheckedFile, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(file.path.as_str());
    case
}
