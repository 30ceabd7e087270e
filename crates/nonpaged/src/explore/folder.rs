//! A search whose results are kept in a folder.

use std::path::{Path, PathBuf};

use explore::{Campaign, Failure, Outcome, Record, Search, Signature, Store, StoreError, Token, Watched};
use kernel::Bound;

use super::{Run, engine};

/// A folder with the results of a search.
pub struct Folder {
    store: Store,
    /// The token of the run without deeds.
    token: Token,
    /// The first write that failed.
    lost: Option<StoreError>,
}

impl Folder {
    /// Opens or makes the folder of a search, which then goes on from what is there.
    ///
    /// # Errors
    /// The folder cannot be used, or has results of another search.
    pub fn open(path: &Path, token: &Token, campaign: &mut Campaign, bound: Bound) -> Result<Folder, StoreError> {
        let store = Store::open(path, Search::new(token, campaign, bound), campaign.shard)?;
        (campaign.done, campaign.known) = (store.done().clone(), store.known());
        Ok(Folder { store, token: token.clone(), lost: None })
    }

    /// The file with the token of this failure, where it was written.
    pub fn token_file(&self, signature: &Signature) -> Option<PathBuf> {
        self.store.token_file(signature)
    }

    /// Keeps what a search tells, until a write fails: progress after it would count as kept what is not there. False from
    /// then on.
    fn keep(&mut self, watched: Watched<'_>) -> bool {
        if self.lost.is_none() {
            let written = match watched {
                Watched::Failure(failure) => self.store.write(record(&self.token, failure)),
                Watched::Progress(now) => self.store.progress(&now.done),
            };
            self.lost = written.err();
        }
        self.lost.is_none()
    }

    /// Writes the last word on everything; the first write of all that failed.
    fn finish(&mut self, found: &Outcome) -> Option<StoreError> {
        let mut last = found.failures.iter().map(Watched::Failure).chain([Watched::Progress(&found.progress)]);
        if last.all(|watched| self.keep(watched)) { None } else { self.lost.take() }
    }
}

/// A failure as it is kept.
pub fn record(token: &Token, failure: &Failure) -> Record {
    let Failure { signature, found_by, times, schedule } = failure.clone();
    Record { signature, token: Token { schedule, ..token.clone() }.encode(), found_by, times }
}

/// What a search came to.
pub struct Searched {
    /// What was found.
    pub found: Outcome,
    /// The first write to the folder that failed, which ended the search.
    pub lost: Option<StoreError>,
}

/// Searches; `run` makes what is searched, the same each time, and `watch` hears of each new failure and now and then of
/// progress, and ends the search by returning false.
///
/// # Errors
/// Why there is nothing to search.
pub fn search<E: Send>(
    campaign: &Campaign,
    run: impl Fn() -> Result<Run, E> + Sync,
    mut folder: Option<&mut Folder>,
    mut watch: impl FnMut(Watched<'_>) -> bool + Send,
) -> Result<Searched, E> {
    let found = campaign.run(run, engine, |watched| {
        let goes_on = watch(watched);
        folder.as_mut().is_none_or(|folder| folder.keep(watched)) && goes_on
    })?;
    let lost = folder.and_then(|folder| folder.finish(&found));
    Ok(Searched { found, lost })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use explore::{Kind, Progress};
    use kernel::ChoicePoints;

    use super::*;

    /// Threads tell progress while another one tells a failure: what comes after a failure that could not be written must
    /// not say that its schedules are done.
    #[test]
    fn no_progress_is_kept_after_a_failure_that_was_lost() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        std::os::unix::fs::symlink("/dev/full", folder.path().join("failures.jsonl")).expect("a link");
        let points = ChoicePoints::USUAL;
        let token =
            Token { arguments: vec!["x.sys".into()], driver: (0, 0), files: None, points, schedule: Vec::new() };
        let mut kept =
            Folder::open(folder.path(), &token, &mut Campaign::default(), Bound::default()).expect("it opens");
        let signature = Signature { kind: Kind::Finding, code: "K01".into(), place: 0 };
        let failure = Failure { signature, schedule: Vec::new(), found_by: 1, times: 1 };
        assert!(!kept.keep(Watched::Failure(&failure)));
        assert!(!kept.keep(Watched::Progress(&Progress::default())));
        assert!(!folder.path().join("progress.json").exists());
        assert!(matches!(kept.finish(&Outcome::default()), Some(StoreError::Io { .. })));
    }
}
