//! A vector that is cheap to fork and cheap to change.

use std::array;
use std::sync::Arc;

const CHUNK: usize = 64;

type Items<T> = Box<[T; CHUNK]>;

/// 64 items: this machine's own, else those shared with forks, else all default. Only shared ones need reference counts,
/// so a change costs no atomic operation.
#[derive(Clone)]
struct Chunk<T> {
    own: Option<Items<T>>,
    shared: Option<Arc<Items<T>>>,
}

/// A growing array. A fork costs one reference count for 64 items, the first change after it copies one chunk. Items that
/// were never set have their default value.
#[derive(Clone)]
pub(crate) struct CowVec<T> {
    chunks: Vec<Chunk<T>>,
}

impl<T> Default for CowVec<T> {
    fn default() -> CowVec<T> {
        CowVec { chunks: Vec::new() }
    }
}

impl<T: Clone + Default> CowVec<T> {
    /// The item, or `None` where none was ever changed nearby.
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let chunk = self.chunks.get(index as usize / CHUNK)?;
        let items = chunk.own.as_ref().or(chunk.shared.as_deref())?;
        Some(&items[index as usize % CHUNK])
    }

    /// The item, to be changed.
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut T {
        let number = index as usize / CHUNK;
        if self.chunks.len() <= number {
            self.chunks.resize_with(number + 1, || Chunk { own: None, shared: None });
        }
        let chunk = &mut self.chunks[number];
        let fresh = || Box::new(array::from_fn(|_| T::default()));
        let own = chunk.own.get_or_insert_with(|| chunk.shared.take().map_or_else(fresh, Arc::unwrap_or_clone));
        &mut own[index as usize % CHUNK]
    }

    /// The items in whose neighbourhood anything was ever changed, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let chunks = self.chunks.iter().zip((0..).step_by(CHUNK));
        let known = chunks.filter_map(|(chunk, first)| Some((chunk.own.as_ref().or(chunk.shared.as_deref())?, first)));
        known.flat_map(|(items, first)| (first..).zip(items.iter()))
    }

    /// A second vector with the same items.
    pub(crate) fn fork(&mut self) -> CowVec<T> {
        for chunk in &mut self.chunks {
            if let Some(own) = chunk.own.take() {
                chunk.shared = Some(Arc::new(own));
            }
        }
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_are_independent() {
        let mut first = CowVec::<u32>::default();
        *first.get_mut(70) = 7;
        let mut second = first.fork();
        *second.get_mut(70) = 8;
        *second.get_mut(1) = 1;
        assert_eq!((first.get(70), first.get(1), first.get(200)), (Some(&7), None, None));
        assert_eq!((second.get(70), second.get(1), second.get(71)), (Some(&8), Some(&1), Some(&0)));
        drop(second);
        *first.get_mut(70) += 1;
        assert_eq!(first.get(70), Some(&8));
    }
}
