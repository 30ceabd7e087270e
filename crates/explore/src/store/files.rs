//! The files of a folder of results.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::{StoreError, error, unreadable};
use super::{Record, State};
use crate::failure::Signature;
use crate::token::Token;

/// Version of the files.
pub(super) const FORMAT: u32 = 3;
/// Bytes of a file that are read: far more than a search writes.
const MOST_BYTES: u64 = 1 << 28;
pub(super) const FAILURES: &str = "failures.jsonl";
const PROGRESS: &str = "progress.json";

/// Failures in the order in which they were found, each once.
#[derive(Default, Debug)]
pub(super) struct Records {
    all: Vec<Record>,
    places: BTreeMap<Signature, usize>,
}

impl Records {
    /// Takes what the same search says later; the record with the shortest token stays.
    pub(super) fn update(&mut self, record: Record) {
        self.add(record, |_, record| record.times);
    }

    /// Takes what another part says: the run without deeds is in both, and is one.
    pub(super) fn merge(&mut self, record: Record) {
        self.add(record, |known, record| {
            let both = [known, record].iter().all(|record| record.is_without_deeds());
            known.times.saturating_add(record.times).saturating_sub(both.into())
        });
    }

    fn add(&mut self, record: Record, times: impl Fn(&Record, &Record) -> u64) {
        let Some(known) = self.place(&record.signature).map(|place| &mut self.all[place]) else {
            self.places.insert(record.signature.clone(), self.all.len());
            self.all.push(record);
            return;
        };
        let times = times(known, &record);
        if record.token.len() <= known.token.len() {
            *known = record;
        }
        known.times = times;
    }

    fn place(&self, signature: &Signature) -> Option<usize> {
        self.places.get(signature).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.all.iter()
    }

    pub(super) fn into_all(self) -> Vec<Record> {
        self.all
    }

    /// The record of this failure, and the file that has its token alone.
    pub(super) fn get(&self, folder: &Path, signature: &Signature) -> Option<(&Record, PathBuf)> {
        let place = self.place(signature)?;
        Some((&self.all[place], token_file(folder, place)))
    }
}

/// The file with the token of the failure at this place of the order.
fn token_file(folder: &Path, place: usize) -> PathBuf {
    folder.join(format!("failure-{}.token", place + 1))
}

pub(super) fn write_token(path: &Path, record: &Record) -> Result<(), StoreError> {
    replace(path, format!("{}\n", record.token).as_bytes())
}

/// True where a search or a merge has written there.
pub(super) fn has_results(folder: &Path) -> bool {
    [FAILURES, PROGRESS].iter().any(|file| folder.join(file).symlink_metadata().is_ok())
}

pub(super) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.is_file() {
        return Err(StoreError::NoFolder { path: folder.to_owned() });
    }
    fs::create_dir_all(folder).map_err(|source| error(folder, source))
}

/// The file of failures, held against other searches for as long as it is open. Where the host has no such locks, nobody
/// is held off.
pub(super) fn open_failures(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(FAILURES);
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(|source| error(&path, source))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(_)) | Ok(()) => Ok(file),
    }
}

pub(super) fn read_failures(folder: &Path) -> Result<Records, StoreError> {
    let path = folder.join(FAILURES);
    let mut text = String::new();
    match File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text)) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => {}
        read => drop(read.map_err(|source| unreadable(&path, source))?),
    }
    let mut failures = Records::default();
    // A line without an end was being written when the search was killed.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (line, number) in whole.lines().zip(1..) {
        let malformed = |problem| StoreError::Malformed { path: path.clone(), line: number, problem };
        let record: Record = serde_json::from_str(line).map_err(|problem| malformed(problem.to_string()))?;
        Token::decode(&record.token).map_err(|problem| malformed(problem.to_string()))?;
        failures.update(record);
    }
    Ok(failures)
}

pub(super) fn read_state(folder: &Path) -> Result<Option<State>, StoreError> {
    let path = folder.join(PROGRESS);
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => drop(read.map_err(|source| unreadable(&path, source))?),
    }
    let malformed = |line, problem| StoreError::Malformed { path: path.clone(), line, problem };
    let in_line = |problem: serde_json::Error| malformed(problem.line(), problem.to_string());
    let Version { format } = serde_json::from_slice(&bytes).map_err(in_line)?;
    if format != FORMAT {
        return Err(StoreError::OtherFormat { path: folder.to_owned(), format });
    }
    let state: State = serde_json::from_slice(&bytes).map_err(in_line)?;
    match state.shard {
        Some((part, of)) if !(1..=of).contains(&part) => Err(malformed(1, format!("there is no part {part} of {of}"))),
        _ => Ok(Some(state)),
    }
}

/// All that versions have in common.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// All failures as one file, and a file for the token of each: these files.
pub(super) fn write_failures(folder: &Path, records: Records) -> Result<Vec<(Record, PathBuf)>, StoreError> {
    let lines = records.all.iter().flat_map(line).collect::<Vec<u8>>();
    replace(&folder.join(FAILURES), &lines)?;
    let with_files = records.all.into_iter().enumerate().map(|(place, record)| {
        let file = token_file(folder, place);
        write_token(&file, &record).map(|()| (record, file))
    });
    with_files.collect()
}

/// Takes away what was written of so many failures, as far as it is there.
pub(super) fn remove(folder: &Path, failures: usize) {
    let tokens = (0..failures).map(|place| token_file(folder, place));
    for path in [folder.join(FAILURES), folder.join(PROGRESS)].into_iter().chain(tokens) {
        let _ = (fs::remove_file(path.with_extension("new")), fs::remove_file(path));
    }
}

/// A failure as a line.
pub(super) fn line(record: &Record) -> Vec<u8> {
    let mut line = serde_json::to_vec(record).unwrap_or_default();
    line.push(b'\n');
    line
}

pub(super) fn write_state(folder: &Path, state: &State) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec_pretty(state).unwrap_or_default();
    replace(&folder.join(PROGRESS), &bytes)
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    fs::write(&new, bytes).and_then(|()| fs::rename(&new, path)).map_err(|source| error(path, source))
}
