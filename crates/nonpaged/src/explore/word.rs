//! The word that names a schedule: its token, or a file that has the token.

use std::io;
use std::path::{Path, PathBuf};

use explore::{Token, TokenError};

use crate::driver::read_up_to;

/// Largest file with a token, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Characters of a token that is pasted; a longer one is named by its file.
const MAX_PASTED: usize = 200;

/// Why a word names no schedule.
#[derive(Debug, thiserror::Error)]
pub enum WordError {
    /// It is no token, and no file has that name.
    #[error("no token, and no file of that name: {0}")]
    Word(TokenError),
    /// It is a folder, such as that of a search.
    #[error("`{}` is a folder; name the file in it that has the token, such as `failure-1.token`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("token `{}` cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// What the file has is no token.
    #[error("token `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TokenError,
    },
}

/// The token that is written out, or the one in the file of this name.
///
/// # Errors
/// It is neither.
pub fn named(word: &str) -> Result<(Token, Option<PathBuf>), WordError> {
    let problem = match Token::decode(word) {
        Ok(token) => return Ok((token, None)),
        Err(problem) => problem,
    };
    let path = PathBuf::from(word);
    if path.is_dir() {
        return Err(WordError::Folder { path });
    }
    if !path.is_file() {
        return Err(WordError::Word(problem));
    }
    let text = read_up_to(&path, MAX_FILE).map_err(|source| WordError::Read { path: path.clone(), source })?;
    match Token::decode(&String::from_utf8_lossy(&text)) {
        Ok(token) => Ok((token, Some(path))),
        Err(source) => Err(WordError::File { path, source }),
    }
}

/// What names a schedule on a command line: its token, or the file that has it where the token is long.
pub fn pasted(token: &str, file: Option<&Path>) -> String {
    match file {
        Some(file) if token.len() >= MAX_PASTED => file.display().to_string(),
        _ => token.to_owned(),
    }
}
