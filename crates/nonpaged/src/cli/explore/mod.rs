//! `nonpaged explore`, `nonpaged replay` and `nonpaged merge`.

pub(crate) mod args;
mod merge;
mod replay;
mod results;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use explore::{Campaign, Limits, StoreError, Watched};
use nonpaged::Driver;
use nonpaged::explore::{Folder, Inputs, Run, Searched, blank_token, player, search};
use report::Diagnostic;
use report::cause::Input;

use super::args::{SerialLine, Setup};
use super::input::{self, refuse};
use super::output::{Output, unwritable};
use super::progress::Logged;
use super::serial::FarEnd;
use super::{Outcome, machine};
use args::ExploreOptions;
use results::Kept;

pub(crate) use merge::merge;
pub(crate) use replay::replay;

/// Searches, and reports each failure.
pub(crate) fn explore(options: &ExploreOptions, output: &Output) -> Outcome {
    let setup = &options.setup;
    if let Some(SerialLine::Stdio | SerialLine::File(_) | SerialLine::Pty) = setup.serial_line {
        let problem =
            "a search runs many machines at once: `--serial-line` can be `loopback`, `peer` or `replay`".to_owned();
        return Err(refuse(Input::Arguments { problem }));
    }
    let mut progress = Logged::new(&setup.driver.display().to_string(), options.json);
    progress.phase("reading the image".to_owned());
    let driver = Arc::new(input::driver(&setup.driver)?);
    let token = blank_token(words(setup), &driver, &inputs(setup, &driver), options.points());
    let mut campaign = campaign(options);
    let open = |path: &PathBuf| Folder::open(path, &token, &mut campaign, options.bound).map_err(unusable);
    let mut folder = options.out.as_ref().map(open).transpose()?;
    progress.phase("running the schedule without deeds".to_owned());
    let found = search(
        &campaign,
        || subject(options, &driver),
        folder.as_mut(),
        |watched| {
            if let Watched::Progress(now) = watched {
                progress.phase(results::progress_line(now, options.time));
            }
            true
        },
    );
    drop(progress);
    let Searched { found, lost } = found?;
    // What was found is told all the same.
    let kept = Kept { token: &token, folder: folder.as_ref(), is_lost: lost.is_some() };
    let conclusion = results::conclude(options, output, &kept, &found)?;
    output.after(conclusion, lost.map_or(Ok(()), |error| Err(unwritten(error))))
}

fn subject(options: &ExploreOptions, driver: &Arc<Driver>) -> Result<Run, Box<Diagnostic>> {
    let setup = &options.setup;
    let scenario = setup.scenario.as_deref().map(input::scenario).transpose()?.unwrap_or_default();
    let cable = FarEnd::open(setup, scenario.serial_line)?.cable();
    let mut session = machine::session(setup, None, options.points(), cable)?;
    session.machine.options.bound = options.bound;
    let base = machine::load(&mut session, setup, driver)?;
    let player = player(base, Arc::clone(driver), session.devices(), &scenario);
    Ok(Run::new(session, player))
}

fn campaign(options: &ExploreOptions) -> Campaign {
    let ExploreOptions { strategy, shard, until_first, schedules, time, .. } = *options;
    let (seed, depth, limits) =
        (options.setup.seed, options.depth(), Limits { time: Some(time), schedules, until_first });
    let mut campaign = Campaign { strategy, seed, depth, limits, shard, ..Campaign::default() };
    campaign.threads = options.threads.unwrap_or(campaign.threads);
    campaign
}

/// What the arguments have read beside the driver.
fn inputs(setup: &Setup, driver: &Driver) -> Inputs {
    let recording = match &setup.serial_line {
        Some(SerialLine::Replay(path)) => Some(path.as_path()),
        _ => None,
    };
    let further: [Option<&Path>; 2] = [setup.registry.as_deref(), recording];
    Inputs::new(driver, setup.scenario.as_deref(), further.into_iter().flatten())
}

/// What decides everything that happens, as words of a command line.
fn words(setup: &Setup) -> Vec<String> {
    let mut words = vec![setup.driver.display().to_string()];
    words.extend(setup.scenario.as_ref().map(|path| format!("--scenario={}", path.display())));
    words.extend(super::command_line::arguments(setup));
    if setup.seed != 0 {
        words.push(format!("--seed={}", setup.seed));
    }
    words
}

/// A folder that cannot be opened. A disk that takes no more is no wrong argument.
fn unusable(error: StoreError) -> Box<Diagnostic> {
    match error {
        StoreError::Io { path, source } => input::uncreatable(&path, "result", &source),
        StoreError::Unreadable { path, source } => input::unreadable(&path, "result", &source),
        StoreError::Malformed { path, line, problem } => {
            let (path, line) = (path.display().to_string(), Some(line));
            refuse(Input::Malformed { role: "result", path, line, column: None, text: None, problem })
        }
        other => refuse(Input::Arguments { problem: other.to_string() }),
    }
}

/// What was found and could not be kept.
fn unwritten(error: StoreError) -> Box<Diagnostic> {
    match error {
        StoreError::Io { path, source } => unwritable(&path.display().to_string(), &source),
        other => unusable(other),
    }
}
