//! What is wrong with a folder of results.

use std::io;
use std::path::{Path, PathBuf};

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The host does not let it be written: no right, no room.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// The host does not let it be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// The folder has results of something else.
    #[error("`{}` has results of another search, or a file that it read has changed; name another folder, or remove it", path.display())]
    OtherSearch {
        /// The folder.
        path: PathBuf,
    },
    /// Another version of this program has made it.
    #[error("`{}` was written in version {format} of the format of results, and this program has another one; name another folder, or remove it", path.display())]
    OtherFormat {
        /// The folder.
        path: PathBuf,
        /// Its version.
        format: u32,
    },
    /// The folder that is to be made has results.
    #[error("`{}` has results already, and a merge makes a new folder: the first one that is named", path.display())]
    NotNew {
        /// The folder.
        path: PathBuf,
    },
    /// The folder that is to be made is one of those that are merged.
    #[error("`{}` is to be made, the first folder that is named, and is one of those that are merged, too", path.display())]
    IntoItself {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has what several searches found, each of which is done for itself.
    #[error("`{}` has the results of several parts, merged; search on in the folders of the parts, and merge these", path.display())]
    IsMerged {
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

/// What the host says of a file that is written.
pub(super) fn error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), source }
}

/// What it says of one that is read.
pub(super) fn unreadable(path: &Path, source: io::Error) -> StoreError {
    StoreError::Unreadable { path: path.to_owned(), source }
}
