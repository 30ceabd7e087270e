//! The command line that shows a report again, in words.

use std::path::Path;

use clap::ValueEnum;
use report::Replay;

use super::args::{Discard, Initial, Poison, SerialLine, Setup, Trim};
use super::verifier::DEFAULT_FLAGS;

/// The arguments of a run, as far as they matter for what happens in it.
pub(crate) fn of(options: &Setup) -> Replay {
    let path = |path: &Path| path.display().to_string();
    Replay {
        driver: path(&options.driver),
        scenario: options.scenario.as_deref().map(path),
        seed: options.seed,
        arguments: arguments(options),
        token: None,
        stop_at: 0,
    }
}

/// What differs from the defaults.
pub(crate) fn arguments(options: &Setup) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut add = |differs: bool, argument: String| arguments.extend(differs.then_some(argument));
    add(options.trim != Trim::OnRaise, format!("--trim={}", name(&options.trim)));
    add(options.frames.is_some(), format!("--frames={}", options.frames.unwrap_or_default()));
    add(options.initial != Initial::Out, format!("--initial={}", name(&options.initial)));
    add(options.discard != Discard::Documented, format!("--discard={}", name(&options.discard)));
    add(options.poison != Poison::On, format!("--poison={}", name(&options.poison)));
    if let Some(limit) = options.lock_limit {
        add(true, format!("--lock-limit={limit}"));
    }
    add(options.cpus != 1, format!("--cpus={}", options.cpus));
    if let Some(flags) = options.verifier {
        let flags = flags.text();
        add(true, if flags == DEFAULT_FLAGS { "--verifier".to_owned() } else { format!("--verifier={flags}") });
    }
    if let Some(faults) = options.faults {
        add(true, format!("--faults={}", faults.text()));
    }
    if let Some(registry) = &options.registry {
        add(true, format!("--registry={}", registry.display()));
    }
    match &options.serial_line {
        None => {}
        Some(SerialLine::Loopback) => add(true, "--serial-line=loopback".to_owned()),
        Some(SerialLine::Peer) => add(true, "--serial-line=peer".to_owned()),
        Some(SerialLine::Stdio) => add(true, "--serial-line=stdio".to_owned()),
        Some(SerialLine::Replay(path)) => add(true, format!("--serial-line=replay:{}", path.display())),
        // What a person typed comes again from where it was recorded.
        Some(SerialLine::Pty) => match &options.record {
            Some(path) => add(true, format!("--serial-line=replay:{}", path.display())),
            None => add(true, "--serial-line=pty".to_owned()),
        },
        Some(SerialLine::File(path)) => add(true, format!("--serial-line=file:{}", path.display())),
    }
    arguments
}

/// The value as it is written on the command line.
fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
