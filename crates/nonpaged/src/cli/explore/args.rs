//! The arguments of the commands that search and replay.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use explore::{Campaign, Strategy};
use kernel::{Bound, ChoicePoints, DeedKind};

use super::super::args::{Setup, Show};

/// Arguments of `nonpaged explore`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExploreOptions {
    #[command(flatten)]
    pub(crate) setup: Setup,

    /// How schedules are chosen: mixed, exhaustive, random, pct or coverage
    #[arg(long, value_name = "HOW", default_value_t = Strategy::Mixed, help_heading = "Search")]
    pub(crate) strategy: Strategy,

    /// Unplanned happenings in one schedule, at most; without it, as many as `--bound` allows, or 3
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64), help_heading = "Search")]
    pub(crate) depth: Option<u32>,

    /// How many of each kind one schedule may have, at most: switch=2,trim=1
    #[arg(long, value_name = "KIND=N", default_value = "", hide_default_value = true, value_parser = bound, help_heading = "Search")]
    pub(crate) bound: Bound,

    /// What may happen: trim, trim:section, trim:page, interrupt, switch, delay, time, cancel, fail, order, order:completion,
    /// device, separated by commas
    #[arg(long, value_name = "WHAT", default_value = "trim,interrupt,switch,time,cancel,fail,order,order:completion", value_parser = points, help_heading = "Search")]
    pub(crate) choices: ChoicePoints,

    /// Let it happen between any two instructions, not only after calls, faults and changes of IRQL
    #[arg(long, help_heading = "Search")]
    pub(crate) every_instruction: bool,

    /// End after this time: 10s, 5m, 2h
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = "Limits")]
    pub(crate) time: Duration,

    /// End after this many schedules
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) schedules: Option<u64>,

    /// End at the first failure
    #[arg(long, help_heading = "Limits")]
    pub(crate) until_first: bool,

    /// Search this part of several, as in 1/4; the parts together are the whole
    #[arg(long, value_name = "I/N", default_value = "1/1", value_parser = shard, help_heading = "Limits")]
    pub(crate) shard: (u64, u64),

    /// Threads; without it, as many as there are processors
    #[arg(long, value_name = "N", value_parser = threads, help_heading = "Limits")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Write what is found to this folder as it comes, and go on from what is there
    #[arg(long, value_name = "FOLDER", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,

    /// Print one JSON object instead of text
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

impl ExploreOptions {
    /// Deeds of a schedule at most.
    pub(super) fn depth(&self) -> u32 {
        self.depth.or(self.bound.total(self.points())).unwrap_or(Campaign::default().depth).max(1)
    }

    /// Where the machine asks.
    pub(super) fn points(&self) -> ChoicePoints {
        match self.every_instruction {
            true => self.choices.and(ChoicePoints::EVERY_INSTRUCTION),
            false => self.choices,
        }
    }
}

/// Arguments of `nonpaged replay`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReplayOptions {
    /// The token of a report, or a file that has it
    pub(crate) token: String,

    /// The driver image; without it, the file that the token names
    #[arg(long, value_name = "FILE")]
    pub(crate) driver: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) show: Show,

    /// Print the last events of the run, as lines of JSON
    #[arg(long, conflicts_with_all = ["json", "log"], help_heading = "Output")]
    pub(crate) trace: bool,
}

/// Arguments of `nonpaged merge`.
#[derive(Args, Clone, Debug)]
pub(crate) struct MergeOptions {
    /// The folder that is made
    pub(crate) into: PathBuf,

    /// Folders of searches with the same arguments, but for `--shard`
    #[arg(required = true)]
    pub(crate) from: Vec<PathBuf>,

    /// Print one JSON object instead of text
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// Names of choice points.
const POINTS: [(&str, ChoicePoints); 12] = [
    ("trim", ChoicePoints::TRIM),
    ("trim:section", ChoicePoints::TRIM_SECTION),
    ("trim:page", ChoicePoints::TRIM_PAGE),
    ("interrupt", ChoicePoints::INTERRUPT),
    ("switch", ChoicePoints::SWITCH),
    ("delay", ChoicePoints::DELAY),
    ("time", ChoicePoints::TIME),
    ("cancel", ChoicePoints::CANCEL),
    ("fail", ChoicePoints::FAIL),
    ("order", ChoicePoints::ORDER),
    ("order:completion", ChoicePoints::COMPLETION),
    ("device", ChoicePoints::DEVICE),
];

fn points(text: &str) -> Result<ChoicePoints, String> {
    text.split(',').try_fold(ChoicePoints::NONE, |points, name| {
        let found = POINTS.iter().find(|(known, _)| *known == name.trim());
        let names = || POINTS.map(|(name, _)| name).join(", ");
        found.map(|(_, point)| points.and(*point)).ok_or_else(|| format!("`{name}` is none of {}", names()))
    })
}

fn bound(text: &str) -> Result<Bound, String> {
    let words = text.split(',').filter(|word| !word.is_empty());
    words.into_iter().try_fold(Bound::default(), |bound, word| {
        let (name, most) =
            word.split_once('=').ok_or_else(|| format!("`{word}`: expected a bound such as switch=2"))?;
        let found = DeedKind::ALL.iter().find(|(_, _, known, _)| *known == name.trim());
        let names = || DeedKind::ALL.map(|(_, _, name, _)| name).join(", ");
        let (kind, ..) = found.ok_or_else(|| format!("`{name}` is none of {}", names()))?;
        let most = most.trim().parse().map_err(|_| format!("`{most}` is no number"))?;
        Ok(bound.with(*kind, most))
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected a time such as 10s, 5m or 2h".to_owned()),
    };
    let seconds = digits.parse::<f64>().ok().map(|number| number * unit);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| "expected a time such as 10s, 5m or 2h".to_owned())
}

/// Threads at most: each has a machine of its own.
const MOST_THREADS: usize = 1024;

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MOST_THREADS);
    number.ok_or_else(|| format!("expected a number of threads, 1 to {MOST_THREADS}"))
}

fn shard(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    match parts {
        Some((index, count)) if (1..=count).contains(&index) => Ok((index, count)),
        Some((index, count)) => Err(format!("there is no part {index} of {count}; the first one is 1/{count}")),
        None => Err("expected a part such as 1/4".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_parts_are_read() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert!(duration("soon").is_err() && duration("-1s").is_err() && duration("1d").is_err());
        assert_eq!(shard("2/4"), Ok((2, 4)));
        assert!(threads("0").is_err() && threads("2000").is_err() && threads("2").is_ok());
        assert!(shard("5/4").is_err() && shard("0/4").is_err() && shard("1").is_err());
    }

    #[test]
    fn bounds_are_read() {
        let expected = Bound::default().with(DeedKind::Switch, 2).with(DeedKind::Trim, 1);
        assert_eq!(bound("switch=2,trim=1"), Ok(expected));
        assert!(bound("luck=1").is_err() && bound("trim").is_err() && bound("trim=x").is_err());
    }

    #[test]
    fn choice_points_are_named() {
        assert_eq!(points("trim,fail"), Ok(ChoicePoints::TRIM.and(ChoicePoints::FAIL)));
        assert!(points("trim,luck").is_err_and(|error| error.contains("`luck`")));
    }
}
