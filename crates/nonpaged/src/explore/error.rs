//! Why a search did not begin, or did not end.

use std::io;
use std::path::PathBuf;

use explore::{Outcome, StoreError};

use super::WordError;
use crate::driver::DriverError;
use crate::scenario::{PlayError, ScenarioError};
use crate::session::SessionError;

/// Why a search or a replay was not done.
#[derive(Debug, thiserror::Error)]
pub enum ExploreError {
    /// The driver cannot be read.
    #[error("driver `{}`: {source}", path.display())]
    Driver {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: DriverError,
    },
    /// The scenario cannot be read.
    #[error("scenario `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// The scenario is not right.
    #[error("scenario `{}`, {source}", path.display())]
    Scenario {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ScenarioError,
    },
    /// The machine does not start, or the driver cannot be loaded.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The folder for results cannot be used.
    #[error(transparent)]
    Folder(#[from] StoreError),
    /// The folder could not be written any more, which ended the search.
    #[error("the search ended early: {source}; {}", found.proven)]
    Lost {
        /// What was found until then.
        found: Box<Outcome>,
        /// The first write that failed: what is in the folder is from before it.
        source: StoreError,
    },
    /// The word names no token.
    #[error(transparent)]
    Word(#[from] WordError),
    /// What the driver was to be put through cannot be done.
    #[error(transparent)]
    Play(#[from] PlayError),
}
