//! Pages that are read one by one in the order in which they lie in the paging file. A call of the host costs about as much
//! as to copy a page, so from the second page on a call reads more than was asked for, twice as much each time.

use std::sync::Arc;

use nt_types::PAGE_SIZE;

use crate::frames::Page;
use crate::paging_file::{Block, PagingFile};

/// Most blocks that one call reads. More would hardly be faster, and every fork may have so much.
const MOST: usize = 8;

/// What was read ahead, and what would go on with it. Forks begin with nothing.
#[derive(Default)]
pub(crate) struct ReadAhead {
    /// The slot behind the one that was asked for last.
    next: u32,
    /// How many blocks the last call read.
    depth: usize,
    /// Neighbours in the file. Held, so that nobody can use their numbers again while this is known of them.
    blocks: Vec<Arc<Block>>,
    content: Vec<u8>,
}

impl ReadAhead {
    /// The content of a block that was read ahead.
    pub(crate) fn get(&self, block: &Arc<Block>) -> Option<&Page> {
        let index = block.number().checked_sub(self.blocks.first()?.number())? as usize;
        self.blocks.get(index).filter(|known| Arc::ptr_eq(known, block))?;
        self.content.as_chunks().0.get(index)
    }

    /// Notes that this slot is asked for; says how many blocks to read if it is not known.
    pub(crate) fn ask(&mut self, slot: u32, known: bool) -> usize {
        let goes_on = slot == self.next;
        self.next = slot.wrapping_add(1);
        if !known {
            self.depth = if goes_on { (self.depth * 2).clamp(1, MOST) } else { 1 };
        }
        self.depth
    }

    /// Reads these blocks. If that fails nothing is known: whoever needs one of them reads it alone, and learns why.
    pub(crate) fn fill(&mut self, blocks: Vec<Arc<Block>>, file: &PagingFile) {
        self.content.resize(blocks.len() * PAGE_SIZE as usize, 0);
        let first = blocks.first().map_or(0, |block| block.number());
        let read = file.read(first, &mut self.content);
        self.blocks = if read.is_ok() { blocks } else { Vec::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PagingFileConfig;

    fn page(value: u8) -> Page {
        [value; PAGE_SIZE as usize]
    }

    #[test]
    fn one_call_reads_twice_as_much_as_the_last_for_as_long_as_slots_follow_one_another() {
        let mut ahead = ReadAhead::default();
        let asked = [7, 8, 9, 10, 11, 20, 21, 4].map(|slot| ahead.ask(slot, false));
        assert_eq!(asked, [1, 2, 4, 8, 8, 1, 2, 1]);
        assert_eq!((ahead.ask(5, true), ahead.ask(6, false)), (1, 2));
    }

    #[test]
    fn a_block_that_took_the_number_of_another_is_not_mistaken_for_it() {
        let file = PagingFile::create(&PagingFileConfig::Anonymous).unwrap();
        let blocks = file.write(&[page(1), page(2)].concat()).unwrap();
        let mut ahead = ReadAhead::default();
        ahead.fill(blocks.clone(), &file);
        assert_eq!([ahead.get(&blocks[0]), ahead.get(&blocks[1])], [Some(&page(1)), Some(&page(2))]);
        drop(blocks);
        let others = file.write(&[page(3), page(4)].concat()).unwrap();
        assert_eq!(others[0].number(), 3, "the numbers are still held");
        assert_eq!(ahead.get(&others[0]), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pages");
        let file = PagingFile::create(&PagingFileConfig::File(path.clone())).unwrap();
        let blocks = file.write(&page(1)).unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        let mut ahead = ReadAhead::default();
        ahead.fill(blocks.clone(), &file);
        assert_eq!(ahead.get(&blocks[0]), None);
    }
}
