//! One driver of a fleet, from its file to what became of it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use devices::{FlowControl, SerialLine};
use kernel::{Stop, StopKind, Unsupported};
use nt_types::Va;
use report::table::fleet::{Driver, End};

use super::Settings;
use crate::driver;
use crate::scenario::{self, PlayError, SerialEnd};
use crate::session::{Session, SessionError};

/// Runs one driver. Whatever happens ends in a result.
pub(super) fn run(path: &Path, settings: &Settings) -> Driver {
    let began = Instant::now();
    let mut result = Driver::new(path);
    result.end = guarded(|| work(path, settings, &mut result));
    result.time = began.elapsed();
    result
}

/// A panic is a bug of this program, which the other drivers must not feel.
fn guarded(work: impl FnOnce() -> End) -> End {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| End::OwnBug(panic_message(panic.as_ref())))
}

/// What a panic says.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

fn work(path: &Path, settings: &Settings, result: &mut Driver) -> End {
    let driver = match driver::Driver::read(path) {
        Ok(driver) => driver,
        Err(error) => return End::NotLoadable(error.to_string()),
    };
    result.imports = driver.image.imports().iter().map(|module| module.name.to_lowercase()).collect();
    let cable = match settings.scenario.serial_line {
        SerialEnd::Loopback => SerialLine::loopback_plug(),
        SerialEnd::Peer => SerialLine::peer(FlowControl::None),
    };
    let mut session = match Session::new(settings.options.clone(), settings.memory.clone(), cable) {
        Ok(session) => session,
        Err(error) => return End::Limit(error.to_string()),
    };
    session.deadline = Instant::now().checked_add(settings.time_limit);
    let played = match session.load_file(&driver) {
        Ok(base) => play(&mut session, base, &driver, settings),
        Err(error) => Err(PlayError::Session(error)),
    };
    note(&session, result);
    match played {
        Ok(()) => End::Finished,
        Err(error) => ended(&mut session, settings, error),
    }
}

fn play(session: &mut Session, base: Va, driver: &driver::Driver, settings: &Settings) -> Result<(), PlayError> {
    scenario::play(session, base, driver, &settings.scenario, |session, _| session.forget_sent())
}

/// What the machine says of the driver, however the run ended.
fn note(session: &Session, result: &mut Driver) {
    let machine = &session.machine;
    let entry = machine.requests().find(|request| request.name == "DriverEntry");
    result.entry = entry.and_then(|request| request.answer.as_ref()).map(|(_, answer)| answer.status);
    let unresolved = machine.modules().unresolved().iter();
    result.missing = unresolved.map(|import| format!("{}!{}", import.module.to_lowercase(), import.name)).collect();
    result.steps = machine.steps();
    result.frames = machine.memory.counters().frames_peak;
    result.findings = session.chronicle.reports.len();
}

fn ended(session: &mut Session, settings: &Settings, error: PlayError) -> End {
    match error {
        PlayError::Session(SessionError::Stopped(stop)) => stopped(session, &stop),
        PlayError::Session(SessionError::TimeUp) => {
            End::TimeUp(format!("{} s of the host's time", settings.time_limit.as_secs_f32()))
        }
        PlayError::Session(SessionError::Load(error)) => End::NotLoadable(error.to_string()),
        PlayError::Session(error) => End::Limit(error.to_string()),
        PlayError::Expectation(expectation) => {
            End::Expectation(report::Diagnostic::from(report::cause::Cause::Expectation(expectation)).title())
        }
        PlayError::Refuted(refutation) | PlayError::NotDeterministic(refutation) => {
            End::Expectation(report::Diagnostic::from(refutation).title())
        }
        PlayError::Impossible { line, problem } => End::Expectation(format!("line {line}: {problem}")),
    }
}

fn stopped(session: &mut Session, stop: &Stop) -> End {
    let title = session.chronicle.stopped(&session.machine, stop).title();
    match &stop.kind {
        StopKind::BugCheck(check, _) => End::BugCheck(format!("{:#04X}", check.code.0), title),
        StopKind::Unsupported(what) => End::Unsupported(wanted(what), title),
        StopKind::Limit(_) | StopKind::PagingFile(_) => End::Limit(title),
        StopKind::Internal(what) => End::OwnBug(what.clone()),
    }
}

/// What would have to be modelled for the run to go on.
fn wanted(what: &Unsupported) -> String {
    match what {
        Unsupported::Import { module, name } | Unsupported::DataImport { module, name } => {
            format!("{}!{name}", module.to_lowercase())
        }
        Unsupported::Parameter { routine, what } => format!("{routine}: {what}"),
        Unsupported::Instruction(bytes) => {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("instruction {}", hex.join(" "))
        }
        Unsupported::Msr { register, .. } => format!("model-specific register {register:#x}"),
        Unsupported::Feature(feature) => feature.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{End, guarded};

    #[test]
    fn a_panic_ends_one_driver() {
        assert_eq!(guarded(|| panic!("count is {}", 7)), End::OwnBug("count is 7".into()));
        assert_eq!(guarded(|| End::Finished), End::Finished);
    }
}
