//! JUnit XML, the form in which CI systems take test results: one suite a file, one failed case a finding.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::check::{Check, CheckedFile, is_finding};
use crate::code::Level;
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
    let failures = file.findings().map(|(report, fingerprint)| (report, fingerprint, NonSuccessKind::Failure));
    let trouble = file.reports.iter().filter(|report| !is_finding(report) && report.level() > Level::Info);
    let trouble = trouble.map(|report| (report, report.title(), NonSuccessKind::Error));
    for (report, name, kind) in failures.chain(trouble) {
        suite.add_test_case(case(&name, file, status(report, TestCaseStatus::non_success(kind))));
    }
    if suite.test_cases.is_empty() {
        suite.add_test_case(case("audit", file, TestCaseStatus::success()));
    }
    // What was not looked at, and the like: no failure, but not to be passed over either.
    for remark in file.reports.iter().filter(|report| report.level() == Level::Info && !is_finding(report)) {
        suite.add_test_case(case(&remark.title(), file, status(remark, TestCaseStatus::skipped())));
    }
    suite
}

fn status(report: &Diagnostic, mut status: TestCaseStatus) -> TestCaseStatus {
    status.set_type(report.code().to_string()).set_message(report.title());
    status.set_description(draw::diagnostic(report, false));
    status
}

fn case(name: &str, file: &CheckedFile, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(file.path.as_str());
    case
}
