//! The bytes of a PDB, for `pdb2`, within bounds.

use std::fmt;
use std::io::{Error, ErrorKind};

use pdb2::{Source, SourceSlice, SourceView};

/// The bytes of a file. Streams of a well-formed PDB share no pages, so what is read of it in all is bounded by a small
/// multiple of its size; a hostile one could repeat pages without end.
pub(super) struct BoundedSource<'a> {
    file: &'a [u8],
    budget: usize,
}

impl<'a> BoundedSource<'a> {
    /// `rounds` times the size of the file may be read.
    pub(super) fn new(file: &'a [u8], rounds: usize) -> BoundedSource<'a> {
        BoundedSource { file, budget: file.len().saturating_mul(rounds) }
    }
}

impl<'s> Source<'s> for BoundedSource<'s> {
    fn view(&mut self, slices: &[SourceSlice]) -> Result<Box<dyn SourceView<'s> + Send + Sync>, Error> {
        let size = slices.iter().fold(0usize, |sum, slice| sum.saturating_add(slice.size));
        self.budget = self.budget.checked_sub(size).ok_or(Error::new(ErrorKind::InvalidData, "streams share pages"))?;
        let mut bytes = Vec::with_capacity(size);
        for slice in slices {
            let from = usize::try_from(slice.offset).ok().and_then(|offset| self.file.get(offset..));
            bytes.extend(from.and_then(|from| from.get(..slice.size)).ok_or(ErrorKind::UnexpectedEof)?);
        }
        Ok(Box::new(View(bytes)))
    }
}

impl fmt::Debug for BoundedSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BoundedSource({} bytes)", self.file.len())
    }
}

#[derive(Debug)]
struct View(Vec<u8>);

impl SourceView<'_> for View {
    fn as_slice(&self) -> &[u8] {
        &self.0
    }
}
