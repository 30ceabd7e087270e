//! The audit of a driver as reports: what `nonpaged check` shows.

mod baseline;
mod policy;
mod words;

use audit::{Finding, Incomplete, Step};
use driver_image::ImageError;
use report::cause::{self, Cause};
use report::{Diagnostic, Waypoint, plural};

use crate::driver::Driver;
use crate::layout;
use crate::locate::{LocateError, Locator};

pub use baseline::{Baseline, BaselineError};
pub use policy::{Policy, Rule};

/// What the audit of one driver came to.
pub struct Checked {
    /// What the layout of the sections shows, then what the code shows in the order of addresses, then what was not
    /// looked at.
    pub reports: Vec<Diagnostic>,
    /// Findings that are not certain enough.
    pub withheld: Vec<Diagnostic>,
    /// Why there are no names and lines, although there is a PDB.
    pub symbols: Option<LocateError>,
}

/// Bytes of code shown at a place.
const WINDOW: usize = 32;

/// Which findings an audit reports.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Certainty {
    /// Those for which the image shows all that matters.
    #[default]
    High,
    /// Those that take one thing for granted as well; each says which.
    Possible,
}

/// Audits a driver. Nothing of it is executed.
///
/// # Errors
/// If the image cannot be laid out in memory, or its exports cannot be read.
pub fn check(driver: &Driver, certainty: Certainty) -> Result<Checked, ImageError> {
    let (locator, symbols) = locator(driver)?;
    let audit = audit::audit(&driver.image, &locator.code_starts())?;
    let mut reports = layout::findings(&driver.name, &driver.image);
    reports.extend(audit.findings.iter().map(|finding| diagnostic(&locator, finding)));
    report::number(&driver.name, &mut reports);
    let wanted = |report: &Diagnostic| certainty == Certainty::Possible || report.assumes.is_none();
    let (mut reports, withheld): (Vec<_>, Vec<_>) = reports.into_iter().partition(wanted);
    reports.extend(incomplete(audit.incomplete));
    Ok(Checked { reports, withheld, symbols })
}

/// Names from the PDB if it can be used, else those of the exports.
pub(crate) fn locator(driver: &Driver) -> Result<(Locator, Option<LocateError>), ImageError> {
    let pdb = driver.pdb.as_ref().map(|(_, bytes)| bytes.as_slice());
    let unusable = match Locator::new(&driver.name, &driver.image, pdb) {
        Ok(locator) => return Ok((locator, None)),
        Err(error) => error,
    };
    match Locator::new(&driver.name, &driver.image, None) {
        Ok(locator) => Ok((locator, Some(unusable))),
        Err(LocateError::Image(error)) => Err(error),
        Err(LocateError::Pdb(_)) => unreachable!("no PDB was given"),
    }
}

fn diagnostic(locator: &Locator, finding: &Finding) -> Diagnostic {
    let span = |rva| locator.span(rva, locator.bytes(rva, WINDOW));
    let waypoint = |step: &Step| Waypoint { kind: words::waypoint(&step.kind), at: span(step.at) };
    Diagnostic {
        at: Some(span(finding.at)),
        path: finding.path.iter().map(waypoint).collect(),
        assumes: finding.assumes.as_ref().map(words::assumption),
        ..Diagnostic::from(words::cause(&finding.kind, locator))
    }
}

/// What was not looked at, if there is anything.
pub(crate) fn incomplete(incomplete: Incomplete) -> Option<Diagnostic> {
    let Incomplete {
        undecoded_functions,
        long_functions,
        doubtful_addresses,
        doubtful,
        unresolved_jumps,
        given_up_functions,
        unfollowed_functions,
        left_out_contexts,
        too_many_ways,
        too_many_functions,
        too_many_findings,
        unreadable_function_table,
        empty_code_sections,
    } = incomplete;
    let named: Vec<String> = doubtful.iter().flatten().map(|rva| format!("rva {rva}")).collect();
    let others = u64::from(doubtful_addresses).saturating_sub(named.len() as u64);
    let others = if others > 0 { format!(" and {}", plural(others, "other")) } else { String::new() };
    let to_doubtful = format!("to what may be code or data: {}{others}", named.join(", "));
    let counted = [
        (undecoded_functions, "function", "with bytes that are no instructions, or with too many"),
        (long_functions, "function", "longer than 1 MiB"),
        (doubtful_addresses, "pointer", &to_doubtful),
        (unresolved_jumps, "jump", "through tables that are not understood"),
        (given_up_functions, "function", "too involved to follow every value"),
        (unfollowed_functions, "function", "too involved to follow at all"),
        (left_out_contexts, "way", "into functions that have too many"),
        (empty_code_sections, "executable section", "without bytes in the file: the code is made at run time"),
    ];
    let stated = [
        (too_many_functions, "there are more functions, or more of them overlap, than are looked at"),
        (too_many_ways, "there are more ways from function to function than are followed"),
        (too_many_findings, "there are more findings than are told"),
        (unreadable_function_table, "the function table cannot be read: functions that it lists are missing"),
    ];
    let counted = counted.into_iter().filter(|(count, ..)| *count > 0);
    let counted = counted.map(|(count, what, which)| format!("{} {which}", plural(count.into(), what)));
    let stated = stated.into_iter().filter(|(is_so, _)| *is_so).map(|(_, what)| what.to_owned());
    let reasons: Vec<String> = counted.chain(stated).collect();
    (!reasons.is_empty()).then(|| Diagnostic::from(Cause::Audit(cause::Audit::Incomplete { reasons })))
}
