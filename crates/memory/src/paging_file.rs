//! The paging file: blocks of one page in a real file, shared by all forks of a machine.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nt_types::PAGE_SIZE;

use crate::config::PagingFileConfig;
use crate::error::SetupError;
use crate::extents::Extents;

const PAGE: usize = PAGE_SIZE as usize;

/// The first bytes of a paging file, in block 0. The rest of the block is zero.
const MAGIC: &[u8; 16] = b"nonpaged pages 1";

/// The file, and which of its blocks are free.
#[derive(Debug)]
pub(crate) struct PagingFile {
    file: File,
    free: Mutex<Extents>,
}

/// A block that holds a page. Blocks are never overwritten: new content gets a new block, and this one is free when the
/// last machine drops it.
#[derive(Debug)]
pub(crate) struct Block {
    number: u64,
    file: Arc<PagingFile>,
}

impl Block {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.file.give(self.number, 1);
    }
}

impl PagingFile {
    /// Creates the file that the configuration names.
    pub(crate) fn create(config: &PagingFileConfig) -> Result<Arc<PagingFile>, SetupError> {
        let fail = |path: PathBuf| move |source| SetupError::PagingFile { path, source };
        let file = match config {
            PagingFileConfig::Anonymous => tempfile::tempfile().map_err(fail(std::env::temp_dir()))?,
            PagingFileConfig::Directory(path) => tempfile::tempfile_in(path).map_err(fail(path.clone()))?,
            PagingFileConfig::File(path) => open(path)?,
        };
        let free = Mutex::new(Extents::new(1, i64::MAX as u64 / PAGE_SIZE));
        Ok(Arc::new(PagingFile { file, free }))
    }

    /// Writes whole pages to new blocks that lie together.
    pub(crate) fn write(self: &Arc<PagingFile>, pages: &[u8]) -> io::Result<Vec<Arc<Block>>> {
        let count = (pages.len() / PAGE) as u64;
        let first = self.take(count).ok_or(io::ErrorKind::StorageFull)?;
        if let Err(error) = write_at(&self.file, pages, first * PAGE_SIZE) {
            self.give(first, count);
            return Err(error);
        }
        Ok((first..first + count).map(|number| Arc::new(Block { number, file: Arc::clone(self) })).collect())
    }

    /// Fills `pages` from the blocks from `first` on.
    pub(crate) fn read(&self, first: u64, pages: &mut [u8]) -> io::Result<()> {
        read_at(&self.file, pages, first * PAGE_SIZE)
    }

    fn take(&self, count: u64) -> Option<u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).take(count)
    }

    fn give(&self, first: u64, count: u64) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).give(first, count);
    }
}

/// Opens a new file, or one that an earlier run left.
fn open(path: &Path) -> Result<File, SetupError> {
    let fail = |source| SetupError::PagingFile { path: path.to_path_buf(), source };
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(fail)?;
    if file.try_lock().is_err() {
        return Err(SetupError::PagingFileInUse { path: path.to_path_buf() });
    }
    if file.metadata().map_err(fail)?.len() > 0 {
        let mut magic = [0; MAGIC.len()];
        match read_at(&file, &mut magic, 0) {
            Ok(()) if &magic == MAGIC => {}
            _ => return Err(SetupError::NotAPagingFile { path: path.to_path_buf() }),
        }
    }
    file.set_len(0).map_err(fail)?;
    write_at(&file, MAGIC, 0).map_err(fail)?;
    Ok(file)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(unix)]
fn write_at(file: &File, buffer: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => (buffer, offset) = (&mut buffer[count..], offset + count as u64),
        }
    }
    Ok(())
}

#[cfg(windows)]
fn write_at(file: &File, mut buffer: &[u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => (buffer, offset) = (&buffer[count..], offset + count as u64),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn blocks_are_free_when_the_last_user_drops_them() {
        let file = PagingFile::create(&PagingFileConfig::Anonymous).unwrap();
        let blocks = file.write(&[7; 3 * PAGE]).unwrap();
        let kept = Arc::clone(&blocks[1]);
        drop(blocks);
        let again = file.write(&[8; PAGE]).unwrap();
        assert_eq!((kept.number(), again[0].number()), (2, 1));
        let mut page = [0; PAGE];
        file.read(2, &mut page).unwrap();
        assert_eq!(page, [7; PAGE]);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let path = PathBuf::from("/nonexistent/paging");
        for config in [PagingFileConfig::Directory(path.clone()), PagingFileConfig::File(path.join("file"))] {
            let error = PagingFile::create(&config).unwrap_err();
            assert!(error.to_string().contains("/nonexistent/paging"), "{error}");
        }
    }

    #[test]
    fn a_foreign_file_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letter.txt");
        fs::write(&path, "dear reader, this is no paging file").unwrap();
        let error = PagingFile::create(&PagingFileConfig::File(path.clone())).unwrap_err();
        assert!(matches!(error, SetupError::NotAPagingFile { .. }));
        assert_eq!(fs::read_to_string(&path).unwrap(), "dear reader, this is no paging file");
    }

    #[test]
    fn a_file_of_an_earlier_run_is_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let config = PagingFileConfig::File(directory.path().join("pages"));
        let first = PagingFile::create(&config).unwrap();
        let blocks = first.write(&[1; PAGE]).unwrap();
        assert!(matches!(PagingFile::create(&config).unwrap_err(), SetupError::PagingFileInUse { .. }));
        drop((first, blocks));
        let second = PagingFile::create(&config).unwrap();
        let mut page = [0; PAGE];
        assert_eq!(second.read(1, &mut page).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
