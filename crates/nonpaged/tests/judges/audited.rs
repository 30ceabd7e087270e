//! What the audit finds, and when a report of a run bears witness to it.

use nonpaged::Driver;
use nonpaged::check::{Certainty, Policy, check};
use report::{Diagnostic, Span, WaypointKind};

use crate::run::{Instruction, Report, root};

/// Codes of a run that bear witness to a code of the audit; the code itself always does. A bug check is what a mistake leads
/// to, and K13 the same where the page was still there.
const WITNESSES: &[(&str, &[&str])] = &[
    ("K01", &["0xD1", "K13"]),
    ("K02", &["0xC4", "0xD3"]),
    ("K03", &["0xD1", "0xD3", "K13", "K11"]),
    ("K04", &["0xD1", "K13"]),
    ("K07", &["0x50"]),
    ("K09", &["0xD1", "K13"]),
    ("K10", &["0xD1", "K13"]),
    ("K11", &["0xC4", "0xD3", "K13"]),
    ("K12", &["0x1A", "0x1E", "0x50", "0x7E", "0xD1", "0xD3"]),
    ("K13", &["0x0A", "0xD1", "0xD3"]),
    ("K14", &["0xD1", "K13"]),
    ("K19", &["0xD1"]),
    ("K22", &["0xC4"]),
    ("K21", &["0xC9"]),
    ("K26", &["0xD1", "K13"]),
    ("A01", &["0x1A", "0xD1", "K13", "K08"]),
    ("A02", &["0x1E"]),
];

/// How close a witness is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Closeness {
    /// In the function.
    Function,
    /// At the instruction.
    Instruction,
}

/// One finding of the audit that counts.
pub(crate) struct Finding {
    pub(crate) code: String,
    pub(crate) title: String,
    /// Instructions at which a run would show it, that of the finding first; none for what headers show.
    at: Vec<Instruction>,
}

/// The findings that count.
pub(crate) fn findings(path: &str, certainty: Certainty) -> Vec<Finding> {
    let driver = Driver::read(&root().join(path)).expect("a driver");
    let reports = check(&driver, certainty).expect("it can be audited").reports;
    reports.iter().filter(|report| Policy::default().counts(report)).map(Finding::of).collect()
}

impl Finding {
    fn of(report: &Diagnostic) -> Finding {
        let way = || report.path.iter().rev();
        // A jump to another function leaves nothing on the stack: a run shows the call before it.
        let mut spans: Vec<&Span> = report.at.iter().chain(way().map(|waypoint| &waypoint.at)).collect();
        spans.truncate(1 + spans.iter().take_while(|span| is_jump(span)).count());
        // A lock that stays is told by a run with where it was taken.
        spans.extend(way().filter(|waypoint| waypoint.kind == WaypointKind::Locked).map(|waypoint| &waypoint.at));
        let at = spans.iter().filter_map(|span| span.place.symbol.as_ref());
        Finding {
            code: report.code().to_string(),
            title: report.title().to_owned(),
            at: at.map(|symbol| (symbol.name.clone(), u64::from(symbol.offset))).collect(),
        }
    }

    /// The function it is in.
    pub(crate) fn function(&self) -> &str {
        self.at.first().map_or("", |(function, _)| function)
    }

    /// How close the report is, if it bears witness to this.
    pub(crate) fn witness(&self, report: &Report) -> Option<Closeness> {
        let others = WITNESSES.iter().find(|(code, _)| *code == self.code).map_or(&[][..], |(_, codes)| codes);
        let bears = report.codes.iter().any(|code| *code == self.code || others.contains(&code.as_str()));
        bears.then(|| self.closeness(report)).flatten()
    }

    fn closeness(&self, report: &Report) -> Option<Closeness> {
        let at_section = self.at.is_empty() && report.title == self.title;
        if at_section || self.at.iter().any(|at| report.is_at(at)) {
            return Some(Closeness::Instruction);
        }
        report.functions().any(|function| function == self.function()).then_some(Closeness::Function)
    }
}

/// `jmp`, near or through memory or a register, and the conditional jumps.
fn is_jump(span: &Span) -> bool {
    let code = span.code.as_ref().map(|window| &window.bytes[..]).unwrap_or_default();
    match code {
        [0x40..=0x4f, 0xff, modrm, ..] | [0xff, modrm, ..] => modrm & 0x38 == 0x20,
        [0xe9 | 0xeb | 0x70..=0x7f, ..] | [0x0f, 0x80..=0x8f, ..] => true,
        _ => false,
    }
}
