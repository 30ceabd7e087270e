//! The fast path: one word for each section, found without a lock.
//!
//! While a section is locked often, its exact count lives in its word and the machine behind the monitor holds one lock
//! for all of them: the word is *published*. A published word at zero still keeps the pages in memory, so that the next
//! lock costs one exchange; the pin is taken back as soon as somebody asks whether a page may be evicted.

use alloc::boxed::Box;

use spin::Once;

use crate::id::{ImageId, SectionId};
use crate::sync::platform::Word;

/// The word is published: its low half is the count.
const PUBLISHED: u64 = 1 << 32;
/// How many images a chunk holds, and how many chunks serials need.
const CHUNK: usize = 512;
const CHUNKS: usize = (ImageId::LIMIT as usize + 1) / CHUNK;

/// Two words to a cache line: 32 bytes a section.
#[repr(align(64))]
struct Line<W>([W; 2]);

type ImageWords<W> = Box<[Line<W>]>;
type Chunk<W> = Box<[Once<ImageWords<W>>; CHUNK]>;

/// The words of all images by load serial. Serials are never reused, so the table only grows.
///
/// Where a word lies follows from the handle by shifts and masks alone, so that two dependent loads lead to it; chunks that
/// double in size, or a look at the number of sections, would cost as much again.
pub(super) struct Words<W> {
    chunks: Box<[Once<Chunk<W>>; CHUNKS]>,
}

impl<W: Word> Words<W> {
    pub(super) fn new() -> Self {
        Words { chunks: empty() }
    }

    /// Makes the words of a new image, all unpublished.
    pub(super) fn add(&self, image: ImageId, sections: usize) {
        let (chunk, place) = position(image);
        let images = self.chunks[chunk].call_once(empty);
        let line = |_| Line([W::new(0), W::new(0)]);
        images[place].call_once(|| (0..lines(sections)).map(line).collect());
    }

    /// The word of a section; `None` if no image has or had it.
    #[inline]
    pub(super) fn get(&self, id: SectionId) -> Option<&W> {
        let (chunk, place) = position(id.image);
        let lines = self.chunks[chunk].get()?[place].get()?;
        let (line, half) = place_in_lines(usize::from(id.index));
        lines.get(line).map(|line| &line.0[half])
    }
}

/// Made where it stays: the stacks of kernels are small.
fn empty<T, const COUNT: usize>() -> Box<[Once<T>; COUNT]> {
    let slots: Box<[Once<T>]> = (0..COUNT).map(|_| Once::new()).collect();
    slots.try_into().unwrap_or_else(|_| unreachable!("there are as many"))
}

#[inline]
const fn position(image: ImageId) -> (usize, usize) {
    let serial = image.serial() as usize;
    (serial / CHUNK, serial % CHUNK)
}

/// Of four sections the first and the third share a line, and the second and the fourth: neighbours in the section headers
/// never do.
#[inline]
const fn place_in_lines(index: usize) -> (usize, usize) {
    ((index / 4) * 2 + index % 2, index / 2 % 2)
}

/// The lines for so many sections. The last group of four needs its second line from its second section on.
fn lines(sections: usize) -> usize {
    sections / 4 * 2 + (sections % 4).min(2)
}

/// Adds a lock to a published count below the limit. False: ask the machine.
#[inline]
pub(super) fn lock(word: &impl Word, limit: u32) -> bool {
    update(word, |count| (count < limit).then(|| count + 1))
}

/// Takes a lock from a published count above zero. False: ask the machine.
#[inline]
pub(super) fn unlock(word: &impl Word) -> bool {
    update(word, |count| count.checked_sub(1))
}

#[inline]
fn update(word: &impl Word, change: impl Fn(u32) -> Option<u32>) -> bool {
    loop {
        let old = word.load();
        let Some(count) = published(old).and_then(&change) else { return false };
        if word.exchange(old, PUBLISHED | u64::from(count)) {
            return true;
        }
    }
}

/// Hands the count over to the word. Only under the monitor.
pub(super) fn publish(word: &impl Word, count: u32) {
    word.swap(PUBLISHED | u64::from(count));
}

/// Takes the count back from the word. Only under the monitor.
pub(super) fn withdraw(word: &impl Word) -> Option<u32> {
    published(word.swap(0))
}

/// Takes the pin back from a published word whose count is zero. Only under the monitor.
pub(super) fn withdraw_idle(word: &impl Word) -> bool {
    loop {
        if word.load() != PUBLISHED {
            return false;
        }
        if word.exchange(PUBLISHED, 0) {
            return true;
        }
    }
}

fn published(value: u64) -> Option<u32> {
    (value & PUBLISHED != 0).then_some(value as u32)
}
