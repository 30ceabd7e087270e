//! The results of several parts in one folder.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::files::{self, Records};
use super::search::gaps;
use super::{Record, State};
use crate::bound::{Done, Proven};

/// What several folders have together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Merged {
    /// The failures, each with the file that has its token.
    pub records: Vec<(Record, PathBuf)>,
    /// Schedules that all have run; the one without deeds counts once, though each part has run it.
    pub schedules: u64,
    /// Number of parts of the search.
    pub parts: u64,
    /// Those that no folder is of, from 1.
    pub missing: Vec<RangeInclusive<u64>>,
    /// Those that were ended before they came to their end.
    pub unfinished: Vec<u64>,
    /// What was shown of the whole.
    pub proven: Proven,
}

/// Puts the results of several folders into a new one.
///
/// # Errors
/// A folder cannot be read or written, the folders are of different searches, two are of the same part, or the new one is
/// not new.
pub fn merge(into: &Path, from: &[PathBuf]) -> Result<Merged, StoreError> {
    refuse_old(into, from)?;
    let mut parts: BTreeMap<u64, State> = BTreeMap::new();
    let mut records = Records::default();
    for folder in from {
        add_part(&mut parts, folder)?;
        files::read_failures(folder)?.into_all().into_iter().for_each(|record| records.merge(record));
    }
    let Some((_, first)) = parts.first_key_value() else { return Err(StoreError::NoResults { path: into.to_owned() }) };
    let done = together(parts.values().map(|state| &state.done));
    let whole = State { shard: None, done, ..first.clone() };
    files::make_folder(into)?;
    let failures = records.iter().count();
    let written = files::write_failures(into, records).and_then(|records| {
        files::write_state(into, &whole)?;
        Ok(summary(&parts, &whole, records))
    });
    // Half of the results would be in the way of the next attempt.
    written.inspect_err(|_| files::remove(into, failures))
}

fn refuse_old(into: &Path, from: &[PathBuf]) -> Result<(), StoreError> {
    let place = fs::canonicalize(into).ok();
    if place.is_some() && from.iter().any(|folder| fs::canonicalize(folder).ok() == place) {
        return Err(StoreError::IntoItself { path: into.to_owned() });
    }
    match files::has_results(into) {
        true => Err(StoreError::NotNew { path: into.to_owned() }),
        false => Ok(()),
    }
}

fn add_part(parts: &mut BTreeMap<u64, State>, folder: &Path) -> Result<(), StoreError> {
    let path = folder.to_owned();
    let Some(state) = files::read_state(folder)? else { return Err(StoreError::NoResults { path }) };
    let Some((part, of)) = state.shard else { return Err(StoreError::IsMerged { path }) };
    let first = parts.values().next().unwrap_or(&state);
    let singles = |state: &State| state.done.singles;
    let is_same = (&first.search, singles(first)) == (&state.search, singles(&state));
    if !is_same || first.shard.is_none_or(|(_, count)| count != of) {
        return Err(StoreError::OtherSearch { path });
    }
    match parts.insert(part, state) {
        Some(_) => Err(StoreError::SamePart { path, part, of }),
        None => Ok(()),
    }
}

/// What all have done. The run without deeds is in each, and is one.
fn together<'a>(parts: impl Iterator<Item = &'a Done>) -> Done {
    let mut whole = Done::default();
    for part in parts {
        whole.singles = part.singles;
        let mut rounds = part.rounds.iter().copied().enumerate();
        let begun = rounds.next().map_or(0, |(_, round)| round.schedules);
        if whole.rounds.is_empty() {
            whole.rounds.extend(part.rounds.first());
            whole.schedules = begun;
        }
        rounds.for_each(|(number, round)| whole.round(number).add(round));
        whole.schedules = whole.schedules.saturating_add(part.schedules.saturating_sub(begun));
    }
    whole
}

fn summary(parts: &BTreeMap<u64, State>, whole: &State, records: Vec<(Record, PathBuf)>) -> Merged {
    let count = parts.values().find_map(|state| state.shard).map_or(0, |(_, count)| count);
    let is_unfinished =
        |(part, state): (&u64, &State)| whole.search.is_unfinished((*part, count), &state.done).then_some(*part);
    Merged {
        records,
        schedules: whole.done.schedules,
        parts: count,
        missing: gaps(parts.keys().copied(), count),
        unfinished: parts.iter().filter_map(is_unfinished).collect(),
        proven: whole.search.proven(&whole.done),
    }
}
