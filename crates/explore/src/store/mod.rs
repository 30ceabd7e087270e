//! What a search has found, in a folder: written as it comes, so that a search that was killed loses nothing and can go on.
//!
//! `failures.jsonl` has a line for each failure; later lines about the same one have fewer deeds. `failure-1.token` and so on
//! have the token of each alone. `progress.json` says what was searched and how far; it is replaced as a whole.

mod error;
mod files;
mod merge;
mod search;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bound::Done;
use crate::failure::{Failure, Signature};
use crate::token::Token;
use error::error;
use files::{FAILURES, FORMAT, Records};

pub use error::StoreError;
pub use merge::{Merged, merge};
pub use search::Search;

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

impl Record {
    /// True where it takes no deed.
    fn is_without_deeds(&self) -> bool {
        Token::decode(&self.token).is_ok_and(|token| token.schedule.is_empty())
    }
}

/// What was searched and how far.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    /// Version of the format.
    format: u32,
    search: Search,
    /// Part and number of parts; `None` for several parts that were merged.
    shard: Option<(u64, u64)>,
    /// What all sittings have done.
    #[serde(flatten)]
    done: Done,
}

/// A folder with results.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    failures: File,
    state: State,
    /// What was read when it was opened, and what was written since.
    known: Records,
}

impl Store {
    /// Opens the folder of a search, or makes it.
    ///
    /// # Errors
    /// The folder cannot be made or read, or another search uses it or has used it.
    pub fn open(folder: &Path, search: Search, shard: (u64, u64)) -> Result<Store, StoreError> {
        files::make_folder(folder)?;
        let failures = files::open_failures(folder)?;
        let fresh = State { format: FORMAT, search, shard: Some(shard), done: Done::default() };
        let state = files::read_state(folder)?.unwrap_or_else(|| fresh.clone());
        if state.shard.is_none() {
            return Err(StoreError::IsMerged { path: folder.to_owned() });
        }
        if (&state.search, state.shard) != (&fresh.search, fresh.shard) {
            return Err(StoreError::OtherSearch { path: folder.to_owned() });
        }
        let known = files::read_failures(folder)?;
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

    /// The file with the token of this failure, where it was written.
    pub fn token_file(&self, signature: &Signature) -> Option<PathBuf> {
        self.known.get(&self.folder, signature).map(|(_, file)| file)
    }

    /// Writes a failure, at once.
    ///
    /// # Errors
    /// What the host says.
    pub fn write(&mut self, record: Record) -> Result<(), StoreError> {
        let written = self.failures.write_all(&files::line(&record)).and_then(|()| self.failures.sync_data());
        written.map_err(|source| error(&self.folder.join(FAILURES), source))?;
        let signature = record.signature.clone();
        self.known.update(record);
        let known = self.known.get(&self.folder, &signature);
        known.map_or(Ok(()), |(record, file)| files::write_token(&file, record))
    }

    /// Says how far the search is: the old file stays until the new one is whole.
    ///
    /// # Errors
    /// What the host says.
    pub fn progress(&mut self, done: &Done) -> Result<(), StoreError> {
        self.state.done.clone_from(done);
        files::write_state(&self.folder, &self.state)
    }
}
