//! `nonpaged explore`, `nonpaged replay` and `nonpaged merge`.

pub(crate) mod args;
mod replay;
mod results;

use std::path::Path;
use std::sync::Arc;

use explore::{Campaign, Failure, Limits, Outcome as Found, Record, Store, StoreError, Token, Watched};
use nonpaged::Driver;
use nonpaged::explore::{Run, blank_token, engine, player};
use report::cause::{Cause, Input, Limit};
use report::{Diagnostic, ExitCode};

use super::args::{MergeOptions, SerialLine, Setup};
use super::input::{self, refuse};
use super::output::Output;
use super::progress::Progress;
use super::serial::FarEnd;
use super::{Outcome, machine};
use args::ExploreOptions;

pub(crate) use replay::replay;

/// Searches, and reports each failure.
pub(crate) fn explore(options: &ExploreOptions, output: &Output) -> Outcome {
    let setup = &options.setup;
    if let Some(SerialLine::Stdio | SerialLine::File(_) | SerialLine::Pty) = setup.serial_line {
        let problem =
            "a search runs many machines at once: `--serial-line` can be `loopback`, `peer` or `replay`".to_owned();
        return Err(refuse(Input::Arguments { problem }));
    }
    let progress = Progress::new(&setup.driver.display().to_string(), options.json);
    progress.phase("reading the image");
    let driver = Arc::new(input::driver(&setup.driver)?);
    let token = blank_token(words(setup), &driver, options.points());
    let mut store = options.out.as_deref().map(|folder| open(folder, options, &token)).transpose()?;
    let campaign = campaign(options, store.as_ref())?;
    let run = subject(options, &driver)?;
    let mut lost = None;
    let found = campaign.run(run, engine, |watched| {
        let kept = match watched {
            Watched::Failure(failure) => keep(store.as_mut(), &token, failure),
            Watched::Progress(now) => {
                progress.phase(results::progress_line(now));
                store.as_mut().map_or(Ok(()), |store| store.progress(&now.done))
            }
        };
        lost = lost.take().or(kept.err());
        lost.is_none()
    });
    drop(progress);
    finish(store.as_mut(), &token, &found, lost)?;
    results::conclude(options, output, &token, &found)
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

fn campaign(options: &ExploreOptions, store: Option<&Store>) -> Result<Campaign, Box<Diagnostic>> {
    let ExploreOptions { strategy, shard, until_first, schedules, time, .. } = *options;
    let known = store.map_or(Ok(Vec::new()), Store::known);
    let known = known.map_err(|error| refuse(Input::Arguments { problem: format!("`--out`: {error}") }))?;
    let mut campaign = Campaign {
        strategy,
        seed: options.setup.seed,
        depth: options.depth(),
        limits: Limits { time: Some(time), schedules, until_first },
        shard,
        done: store.map(Store::done).cloned().unwrap_or_default(),
        known,
        ..Campaign::default()
    };
    campaign.threads = options.threads.unwrap_or(campaign.threads);
    Ok(campaign)
}

/// What decides everything that happens, as words of a command line.
fn words(setup: &Setup) -> Vec<String> {
    let mut words = vec![setup.driver.display().to_string()];
    words.extend(setup.scenario.as_ref().map(|path| format!("--scenario={}", path.display())));
    words.extend(super::replay::arguments(setup));
    if setup.seed != 0 {
        words.push(format!("--seed={}", setup.seed));
    }
    words
}

fn open(folder: &Path, options: &ExploreOptions, token: &Token) -> Result<Store, Box<Diagnostic>> {
    let search =
        format!("{} --strategy={} --depth={} {:?}", token.encode(), options.strategy, options.depth(), options.bound);
    Store::open(folder, &search, options.shard).map_err(unusable)
}

fn keep(store: Option<&mut Store>, token: &Token, failure: &Failure) -> Result<(), StoreError> {
    store.map_or(Ok(()), |store| store.write(&record(token, failure)))
}

fn record(token: &Token, failure: &Failure) -> Record {
    let Failure { signature, found_by, times, schedule } = failure.clone();
    Record { signature, token: Token { schedule, ..token.clone() }.encode(), found_by, times }
}

/// Writes the last word on everything, unless a write has failed before.
fn finish(
    store: Option<&mut Store>,
    token: &Token,
    found: &Found,
    lost: Option<StoreError>,
) -> Result<(), Box<Diagnostic>> {
    let Some(store) = store else { return Ok(()) };
    if let Some(error) = lost {
        return Err(unusable(error));
    }
    found.failures.iter().try_for_each(|failure| store.write(&record(token, failure))).map_err(unusable)?;
    store.progress(&found.progress.done).map_err(unusable)
}

fn unusable(error: StoreError) -> Box<Diagnostic> {
    match error {
        StoreError::Io { path, source } => Box::new(Diagnostic::from(Cause::Limit(Limit::Output {
            path: path.display().to_string(),
            error: source.to_string(),
        }))),
        other => refuse(Input::Arguments { problem: other.to_string() }),
    }
}

/// Puts the results of several searches into one folder.
pub(crate) fn merge(options: &MergeOptions, output: &Output) -> Outcome {
    let records = explore::merge(&options.into, &options.from).map_err(unusable)?;
    let lines: String = records.iter().map(results::line).collect();
    output.result(&lines)?;
    Ok(if records.is_empty() { ExitCode::Clean } else { ExitCode::DriverBug })
}
