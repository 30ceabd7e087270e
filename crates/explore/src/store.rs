//! What a search has found, in a folder: written as it comes, so that a search that was killed loses nothing and can go on.
//!
//! `failures.jsonl` has a line for each failure; later lines about the same one have fewer deeds. `progress.json` says what
//! was searched and how far; it is replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bound::Done;
use crate::failure::{Failure, Signature};
use crate::token::Token;

/// Version of the files.
const FORMAT: u32 = 2;
/// Bytes of a file that are read: far more than a search writes.
const MOST_BYTES: u64 = 1 << 28;
const FAILURES: &str = "failures.jsonl";
const PROGRESS: &str = "progress.json";

/// A failure as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Cause and place.
    #[serde(flatten)]
    pub signature: Signature,
    /// What replays it.
    pub token: String,
    /// Number of the schedule that showed it first.
    pub found_by: u64,
    /// How many schedules had shown it when this was written.
    pub times: u64,
}

/// What was searched and how far.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    /// Version of the format.
    format: u32,
    /// What is searched: arguments, driver, strategy and seed. A search goes on only where all of it is the same.
    search: String,
    /// Part and number of parts.
    shard: (u64, u64),
    /// What all sittings have done.
    #[serde(flatten)]
    done: Done,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The host says so: no such folder, no right, no room.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// The folder has results of something else.
    #[error("`{}` has results of another search; name another folder, or remove it", path.display())]
    OtherSearch {
        /// The folder.
        path: PathBuf,
    },
    /// It is a file.
    #[error("`{}` is a file, and results need a folder", path.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// There is no search in the folder.
    #[error("`{}` has no results of a search", path.display())]
    NoResults {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has the results of a part that another one has, too.
    #[error("`{}` has part {part} of {of}, and so has another folder", path.display())]
    SamePart {
        /// The folder.
        path: PathBuf,
        /// The part, from 1.
        part: u64,
        /// Number of parts.
        of: u64,
    },
    /// Another search writes to the folder.
    #[error("`{}` is in use by another search", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file of it cannot be read.
    #[error("`{}`, line {line}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

/// A folder with results.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    failures: File,
    state: State,
    /// What was read when it was opened.
    known: Vec<Record>,
}

impl Store {
    /// Opens the folder of a search, or makes it. `search` names what is searched.
    ///
    /// # Errors
    /// The folder cannot be made or read, or another search uses it or has used it.
    pub fn open(folder: &Path, search: &str, shard: (u64, u64)) -> Result<Store, StoreError> {
        make_folder(folder)?;
        let failures = open_failures(folder)?;
        let fresh = State { format: FORMAT, search: search.to_owned(), shard, done: Done::default() };
        let state = read_state(folder)?.unwrap_or_else(|| fresh.clone());
        if (state.format, &state.search, state.shard) != (FORMAT, &fresh.search, shard) {
            return Err(StoreError::OtherSearch { path: folder.to_owned() });
        }
        let known = read_failures(folder)?;
        Ok(Store { folder: folder.to_owned(), failures, state, known })
    }

    /// What earlier sittings have done.
    pub fn done(&self) -> &Done {
        &self.state.done
    }

    /// What earlier sittings have found, with the fewest deeds known.
    pub fn known(&self) -> Vec<Failure> {
        let failures = self.known.iter().filter_map(|record| {
            // A record is only read if its token can be.
            let schedule = Token::decode(&record.token).ok()?.schedule;
            let Record { signature, found_by, times, .. } = record.clone();
            Some(Failure { signature, schedule, found_by, times })
        });
        failures.collect()
    }

    /// Writes a failure, at once.
    ///
    /// # Errors
    /// What the host says.
    pub fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        let path = self.folder.join(FAILURES);
        let mut line = serde_json::to_vec(record).unwrap_or_default();
        line.push(b'\n');
        let written = self.failures.write_all(&line).and_then(|()| self.failures.sync_data());
        written.map_err(|source| error(&path, source))
    }

    /// Says how far the search is: the old file stays until the new one is whole.
    ///
    /// # Errors
    /// What the host says.
    pub fn progress(&mut self, done: &Done) -> Result<(), StoreError> {
        self.state.done.clone_from(done);
        write_state(&self.folder, &self.state)
    }
}

/// What several folders have together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Merged {
    /// The failures.
    pub records: Vec<Record>,
    /// Schedules that all have run; each part has run the one without deeds.
    pub schedules: u64,
    /// Number of parts of the search.
    pub parts: u64,
    /// Those that no folder is of, from 1.
    pub missing: Vec<u64>,
}

/// Puts the failures of several folders into one.
///
/// # Errors
/// A folder cannot be read or written, the folders are of different searches, or two are of the same part.
pub fn merge(into: &Path, from: &[PathBuf]) -> Result<Merged, StoreError> {
    let mut parts: BTreeMap<u64, State> = BTreeMap::new();
    let mut failures = BTreeMap::new();
    for folder in from {
        let state = read_state(folder)?.ok_or_else(|| StoreError::NoResults { path: folder.clone() })?;
        let first = parts.values().next().unwrap_or(&state);
        if (&first.search, first.shard.1) != (&state.search, state.shard.1) {
            return Err(StoreError::OtherSearch { path: folder.clone() });
        }
        let (part, of) = state.shard;
        if parts.insert(part, state).is_some() {
            return Err(StoreError::SamePart { path: folder.clone(), part, of });
        }
        for record in read_failures(folder)? {
            add(&mut failures, record, true);
        }
    }
    let schedules = parts.values().map(|state| state.done.schedules).sum();
    let count = parts.values().next().map_or(0, |state| state.shard.1);
    let missing = (1..=count).filter(|part| !parts.contains_key(part)).collect();
    let merged = Merged { records: failures.into_values().collect(), schedules, parts: count, missing };
    if let Some((_, state)) = parts.pop_first() {
        // The parts are done each for itself; the whole cannot go on from one number.
        let done = Done { schedules, ..Done::default() };
        write_merged(into, &merged.records, &State { shard: (1, 1), done, ..state })?;
    }
    Ok(merged)
}

fn write_merged(into: &Path, records: &[Record], state: &State) -> Result<(), StoreError> {
    make_folder(into)?;
    let mut text = Vec::new();
    for record in records {
        text.extend(serde_json::to_vec(record).unwrap_or_default());
        text.push(b'\n');
    }
    replace(&into.join(FAILURES), &text)?;
    write_state(into, state)
}

fn make_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.is_file() {
        return Err(StoreError::NoFolder { path: folder.to_owned() });
    }
    fs::create_dir_all(folder).map_err(|source| error(folder, source))
}

/// The file of failures, held against other searches for as long as it is open. Where the host has no such locks, nobody
/// is held off.
fn open_failures(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(FAILURES);
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(|source| error(&path, source))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(_)) | Ok(()) => Ok(file),
    }
}

/// The record with the shortest token stays.
fn add(failures: &mut BTreeMap<Signature, Record>, record: Record, sums: bool) {
    match failures.get_mut(&record.signature) {
        None => {
            failures.insert(record.signature.clone(), record);
        }
        Some(known) => {
            let times = if sums { known.times + record.times } else { record.times };
            if record.token.len() <= known.token.len() {
                *known = record;
            }
            known.times = times;
        }
    }
}

fn read_failures(folder: &Path) -> Result<Vec<Record>, StoreError> {
    let path = folder.join(FAILURES);
    let mut text = String::new();
    match File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text)) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => {}
        read => drop(read.map_err(|source| error(&path, source))?),
    }
    let mut failures = BTreeMap::new();
    // A line without an end was being written when the search was killed.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (line, number) in whole.lines().zip(1..) {
        let malformed = |problem| StoreError::Malformed { path: path.clone(), line: number, problem };
        let record: Record = serde_json::from_str(line).map_err(|problem| malformed(problem.to_string()))?;
        Token::decode(&record.token).map_err(|problem| malformed(problem.to_string()))?;
        add(&mut failures, record, false);
    }
    Ok(failures.into_values().collect())
}

fn read_state(folder: &Path) -> Result<Option<State>, StoreError> {
    let path = folder.join(PROGRESS);
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(error(&path, source)),
        Ok(_) => serde_json::from_slice(&bytes).map(Some).map_err(|problem| StoreError::Malformed {
            line: problem.line(),
            path,
            problem: problem.to_string(),
        }),
    }
}

fn write_state(folder: &Path, state: &State) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec_pretty(state).unwrap_or_default();
    replace(&folder.join(PROGRESS), &bytes)
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    fs::write(&new, bytes).and_then(|()| fs::rename(&new, path)).map_err(|source| error(path, source))
}

fn error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), source }
}
