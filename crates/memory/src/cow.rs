//! A vector that is cheap to clone and cheap to change afterwards.

use std::array;
use std::sync::Arc;

const CHUNK: usize = 64;

/// A growing array in shared chunks: a clone costs one reference count for 64 items, the first change after it copies one
/// chunk. Items that were never set have their default value.
#[derive(Clone, Default)]
pub(crate) struct CowVec<T> {
    chunks: Vec<Arc<[T; CHUNK]>>,
}

impl<T: Clone + Default> CowVec<T> {
    /// The item, or `None` beyond the highest that was ever changed.
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let index = index as usize;
        Some(&self.chunks.get(index / CHUNK)?[index % CHUNK])
    }

    /// The item, to be changed.
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut T {
        let index = index as usize;
        while self.chunks.len() <= index / CHUNK {
            self.chunks.push(Arc::new(array::from_fn(|_| T::default())));
        }
        &mut Arc::make_mut(&mut self.chunks[index / CHUNK])[index % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_independent() {
        let mut first = CowVec::<u32>::default();
        *first.get_mut(70) = 7;
        let mut second = first.clone();
        *second.get_mut(70) = 8;
        *second.get_mut(1) = 1;
        assert_eq!((first.get(70), first.get(1), first.get(200)), (Some(&7), Some(&0), None));
        assert_eq!((second.get(70), second.get(1)), (Some(&8), Some(&1)));
    }
}
