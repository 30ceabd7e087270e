//! The machine that the arguments ask for, and why there may be none.

use devices::SerialLine as Cable;
use kernel::{BootError, ChoicePoints, LoadError, Options, Verifier};
use memory::{InitialResidency, MemoryConfig, PagingFileConfig, SetupError, TrimPolicy};
use nonpaged::Driver;
use nonpaged::session::{PLENTY_OF_FRAMES, Session, SessionError};
use nt_types::Va;
use report::Diagnostic;
use report::cause::{Cause, Input, Limit};

use super::args::{Initial, Poison, SerialLine, Setup, Trim};
use super::input::{self, refuse};
use super::verifier::VerifierFlags;

/// Instructions of a run, unless the arguments say otherwise.
const STEPS: u64 = 1_000_000_000;

/// Arguments that exclude each other.
pub(crate) fn check(options: &Setup, json: bool) -> Result<(), Box<Diagnostic>> {
    if json && options.serial_line == Some(SerialLine::Stdio) {
        let problem = "`--json` and `--serial-line stdio` both need standard output".to_owned();
        return Err(refuse(Input::Arguments { problem }));
    }
    Ok(())
}

/// Boots the machine.
pub(crate) fn session(
    options: &Setup,
    stop_at: Option<u64>,
    choices: ChoicePoints,
    cable: Cable,
) -> Result<Session, Box<Diagnostic>> {
    let kernel = kernel_options(options)?;
    let step_limit = kernel.step_limit.min(stop_at.unwrap_or(u64::MAX));
    let kernel = Options { step_limit, choices, ..kernel };
    let memory = memory_config(options);
    Session::new(kernel, memory, cable).map_err(|error| failed(options, error))
}

pub(crate) fn kernel_options(options: &Setup) -> Result<Options, Box<Diagnostic>> {
    Ok(Options {
        processors: options.cpus as usize,
        step_limit: options.steps.unwrap_or(STEPS),
        seed: options.seed,
        verifier: options.verifier.map_or(Verifier::OFF, VerifierFlags::options),
        low_resources: match options.faults {
            Some(faults) => Some(faults.0),
            None => options.verifier.and_then(VerifierFlags::low_resources),
        },
        discard: options.discard.into(),
        poison: options.poison == Poison::On,
        registry: options.registry.as_deref().map(input::registry).transpose()?.unwrap_or_default(),
        ..Options::default()
    })
}

pub(crate) fn memory_config(options: &Setup) -> MemoryConfig {
    let default = MemoryConfig::default();
    MemoryConfig {
        frames: options.frames.unwrap_or(PLENTY_OF_FRAMES),
        trim: options.trim.into(),
        initial: options.initial.into(),
        paging_file: options.paging_file.clone().map_or(PagingFileConfig::Anonymous, PagingFileConfig::File),
        seed: options.seed,
        lock_limit: options.lock_limit.unwrap_or(default.lock_limit),
        ..default
    }
}

impl From<Trim> for TrimPolicy {
    fn from(trim: Trim) -> TrimPolicy {
        match trim {
            Trim::Never => TrimPolicy::Never,
            Trim::Pressure => TrimPolicy::Pressure,
            Trim::OnRaise => TrimPolicy::OnRaise,
            Trim::AtOnce => TrimPolicy::AtOnce,
            Trim::EachStep => TrimPolicy::EachStep,
        }
    }
}

impl From<Initial> for InitialResidency {
    fn from(initial: Initial) -> InitialResidency {
        match initial {
            Initial::Out => InitialResidency::Out,
            Initial::Resident => InitialResidency::Resident,
        }
    }
}

/// Maps the driver.
pub(crate) fn load(session: &mut Session, options: &Setup, driver: &Driver) -> Result<Va, Box<Diagnostic>> {
    session.load_file(driver).map_err(|error| failed(options, error))
}

/// Why there is no machine, or no driver in it. A run that stopped has a report of its own.
pub(crate) fn failed(options: &Setup, error: SessionError) -> Box<Diagnostic> {
    match error {
        SessionError::Boot(BootError::Setup(error)) => setup(error),
        SessionError::Boot(BootError::Map(_) | BootError::Frames) | SessionError::Load(LoadError::Map(_)) => {
            no_frames(options)
        }
        SessionError::Load(LoadError::NoPool) => no_frames(options),
        SessionError::Load(LoadError::Image(error)) => not_loadable(options, &error),
        SessionError::Load(error @ LoadError::NoEntryPoint { .. }) => not_loadable(options, &error),
        SessionError::Boot(BootError::Place(error)) | SessionError::Load(LoadError::Place(error)) => {
            place(options, &error)
        }
        SessionError::Names(error) => not_loadable(options, &error),
        SessionError::Boot(BootError::KernelImage(error)) => own_bug(&error),
        SessionError::Bus(error) => own_bug(&error),
        SessionError::TimeUp => limit(Limit::Resource { what: error.to_string() }),
        SessionError::Stopped(stop) => own_bug(&format_args!("a stop without a report: {stop:?}")),
    }
}

fn setup(error: SetupError) -> Box<Diagnostic> {
    let problem = match error {
        // The arguments allow no such number.
        SetupError::FrameBudget { .. } => return own_bug(&error),
        SetupError::PagingFile { path, source } => return input::uncreatable(&path, "paging file", &source),
        SetupError::NotAPagingFile { path } => {
            format!("paging file `{}` exists and is something else; it is left as it is", path.display())
        }
        SetupError::PagingFileInUse { path } => format!("paging file `{}` is in use", path.display()),
    };
    refuse(Input::Arguments { problem })
}

fn place(options: &Setup, error: &memory::ImageError) -> Box<Diagnostic> {
    match error {
        memory::ImageError::PagingFile(error) => {
            let path = options.paging_file.clone().unwrap_or_else(std::env::temp_dir).display().to_string();
            limit(Limit::PagingFile { path, error: error.to_string() })
        }
        memory::ImageError::Map(_) => no_frames(options),
        memory::ImageError::Layout(error) => not_loadable(options, error),
        memory::ImageError::Content { .. } => own_bug(error),
    }
}

fn no_frames(options: &Setup) -> Box<Diagnostic> {
    let frames = options.frames.unwrap_or(PLENTY_OF_FRAMES);
    limit(Limit::Resource { what: format!("frames: `--frames={frames}` does not hold the kernel and the driver") })
}

fn limit(limit: Limit) -> Box<Diagnostic> {
    Box::new(Diagnostic::from(Cause::Limit(limit)))
}

fn not_loadable(options: &Setup, reason: &dyn std::fmt::Display) -> Box<Diagnostic> {
    refuse(Input::NotLoadable { path: options.driver.display().to_string(), reason: reason.to_string() })
}

fn own_bug(invariant: &dyn std::fmt::Display) -> Box<Diagnostic> {
    Box::new(Diagnostic::from(Cause::OwnBug { invariant: invariant.to_string() }))
}
