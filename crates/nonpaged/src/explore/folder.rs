//! A search whose results are kept in a folder.

use std::path::Path;

use explore::{Campaign, Failure, Outcome, Record, Store, StoreError, Token, Watched};
use kernel::Bound;

use super::{Run, engine};

/// A folder with the results of a search.
pub struct Folder {
    store: Store,
    /// The token of the run without deeds.
    token: Token,
}

impl Folder {
    /// Opens or makes the folder of a search, which then goes on from what is there.
    ///
    /// # Errors
    /// The folder cannot be used, or has results of another search.
    pub fn open(path: &Path, token: &Token, campaign: &mut Campaign, bound: Bound) -> Result<Folder, StoreError> {
        let Campaign { strategy, depth, .. } = campaign;
        let search = format!("{} --strategy={strategy} --depth={depth} {bound:?}", token.encode());
        let store = Store::open(path, &search, campaign.shard)?;
        (campaign.done, campaign.known) = (store.done().clone(), store.known());
        Ok(Folder { store, token: token.clone() })
    }

    /// Keeps what a search tells.
    fn keep(&mut self, watched: Watched<'_>) -> Result<(), StoreError> {
        match watched {
            Watched::Failure(failure) => self.store.write(&record(&self.token, failure)),
            Watched::Progress(now) => self.store.progress(&now.done),
        }
    }

    /// Writes the last word on everything.
    fn finish(&mut self, found: &Outcome) -> Result<(), StoreError> {
        found.failures.iter().try_for_each(|failure| self.keep(Watched::Failure(failure)))?;
        self.keep(Watched::Progress(&found.progress))
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
/// progress.
///
/// # Errors
/// Why there is nothing to search.
pub fn search<E: Send>(
    campaign: &Campaign,
    run: impl Fn() -> Result<Run, E> + Sync,
    mut folder: Option<&mut Folder>,
    mut watch: impl FnMut(Watched<'_>) + Send,
) -> Result<Searched, E> {
    let mut lost = None;
    let found = campaign.run(run, engine, |watched| {
        watch(watched);
        let kept = folder.as_mut().map_or(Ok(()), |folder| folder.keep(watched));
        lost = lost.take().or(kept.err());
        lost.is_none()
    })?;
    if lost.is_none() {
        lost = folder.and_then(|folder| folder.finish(&found).err());
    }
    Ok(Searched { found, lost })
}
