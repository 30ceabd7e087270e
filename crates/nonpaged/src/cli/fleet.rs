//! `nonpaged run` on many drivers.

use std::path::PathBuf;
use std::time::Duration;

use nonpaged::fleet::{self, Settings};
use report::cause::Input;
use report::json;

use super::args::{RunOptions, SerialLine};
use super::input::{self, refuse};
use super::output::Output;
use super::progress::Progress;
use super::{Outcome, machine};

/// Instructions of a driver, unless the arguments say otherwise.
const STEPS: u64 = 20_000_000;
/// Frames of a driver, unless the arguments say otherwise: 256 MiB.
const FRAMES: u32 = 1 << 16;

/// Do the arguments name more than one driver, or a folder?
pub(crate) fn is_wanted(options: &RunOptions) -> bool {
    !options.more.is_empty() || options.setup.driver.is_dir()
}

/// Runs all of them and prints what became of each.
pub(crate) fn run(options: &RunOptions, output: &Output) -> Outcome {
    check(options)?;
    let paths: Vec<PathBuf> = [&options.setup.driver].into_iter().chain(&options.more).cloned().collect();
    let images = fleet::images(&paths).map_err(|(path, error)| input::unreadable(&path, "folder", &error))?;
    let settings = settings(options)?;
    let progress = Progress::of_many(images.len() as u64, options.show.json || options.csv);
    let fleet = fleet::run(&images, &settings, &|driver| progress.done(driver.name()));
    drop(progress);
    let mut text = match (options.show.json, options.csv) {
        (true, _) => json::fleet(&fleet),
        (_, true) => fleet.csv(),
        _ => fleet.text(),
    };
    if options.summary && !options.show.json && !options.csv {
        text = format!("{text}\n{}", fleet.summary());
    }
    output.after(fleet.exit_code(), output.result(&text))
}

/// What only makes sense for one driver.
fn check(options: &RunOptions) -> Result<(), Box<report::Diagnostic>> {
    let single = [
        ("--log", options.show.log.is_some()),
        ("--stop-at", options.show.stop_at.is_some()),
        ("--paging-file", options.setup.paging_file.is_some()),
        ("--serial-line", !matches!(options.setup.serial_line, None | Some(SerialLine::Loopback))),
    ];
    match single.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(refuse(Input::Arguments { problem: format!("`{name}` is for a single driver") })),
        None => Ok(()),
    }
}

fn settings(options: &RunOptions) -> Result<Settings, Box<report::Diagnostic>> {
    let mut kernel = machine::kernel_options(&options.setup)?;
    kernel.step_limit = options.setup.steps.unwrap_or(STEPS);
    let mut memory = machine::memory_config(&options.setup);
    if options.setup.frames.is_none() {
        memory.frames = FRAMES;
    }
    let scenario = options.setup.scenario.as_deref().map(input::scenario).transpose()?.unwrap_or_default();
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let time_limit = Duration::from_secs(options.time_limit);
    Ok(Settings { options: kernel, memory, scenario, time_limit, jobs })
}
