//! The file of `--log`: whole at the end, or not there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use report::Diagnostic;

use super::input::uncreatable;
use super::output::unwritable;

/// A log that is being written.
pub(crate) struct LogFile {
    path: PathBuf,
    /// Where it is written until it is whole; `None` for what is no ordinary file, such as a pipe.
    draft: Option<PathBuf>,
}

impl LogFile {
    /// Begins a log, and says where to write it.
    pub(crate) fn create(path: &Path) -> Result<(LogFile, Box<dyn Write>), Box<Diagnostic>> {
        let special = fs::metadata(path).is_ok_and(|data| !data.is_file());
        let draft = (!special).then(|| draft_of(path));
        let file = match &draft {
            Some(draft) => File::create(draft),
            None => File::options().write(true).open(path),
        };
        let file = file.map_err(|error| uncreatable(path, "log", &error))?;
        Ok((LogFile { path: path.to_owned(), draft }, Box::new(BufWriter::new(file))))
    }

    /// Gives the log its name; one that could not be written whole is removed.
    pub(crate) fn finish(self, written: io::Result<()>) -> Result<(), Box<Diagnostic>> {
        let named = written.and_then(|()| match &self.draft {
            Some(draft) => fs::rename(draft, &self.path),
            None => Ok(()),
        });
        named.map_err(|error| {
            self.draft.iter().for_each(remove);
            unwritable(&self.path.display().to_string(), &error)
        })
    }
}

/// A name beside the log, on the same disk.
fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

fn remove(draft: &PathBuf) {
    // What matters has been reported: the log could not be written.
    let _ = fs::remove_file(draft);
}

#[cfg(test)]
mod tests {
    use super::LogFile;
    use std::io;

    #[test]
    fn a_log_is_there_whole_or_not_at_all() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let path = folder.path().join("run.jsonl");
        let names = || std::fs::read_dir(folder.path()).expect("it is there").count();
        let (log, mut out) = LogFile::create(&path).expect("it can be made");
        out.write_all(b"{}\n").expect("it can be written");
        drop(out);
        assert!(!path.exists());
        log.finish(Err(io::Error::from(io::ErrorKind::StorageFull))).expect_err("it is not whole");
        assert_eq!(names(), 0);
        let (log, mut out) = LogFile::create(&path).expect("it can be made");
        out.write_all(b"{}\n").expect("it can be written");
        drop(out);
        log.finish(Ok(())).expect("it is whole");
        assert_eq!((std::fs::read(&path).expect("it is there"), names()), (b"{}\n".to_vec(), 1));
    }
}
