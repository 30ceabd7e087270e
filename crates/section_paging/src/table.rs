//! The images: by serial in O(1), by address in O(log n).

use alloc::boxed::Box;
use alloc::vec::Vec;

use nt_types::{PAGE_SHIFT, Va};

use crate::id::{ImageId, SectionId};
use crate::image::Image;
use crate::pages::PageRun;

/// An image that is gone: its name and range stay known for the whole run (D30).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UnloadedImage {
    /// Its load serial.
    pub image: ImageId,
    /// Its name.
    pub name: Box<str>,
    /// Where it was.
    pub base: Va,
    /// SizeOfImage in bytes.
    pub size_bytes: u32,
    /// Sections for which a handle was issued, ascending.
    pub(crate) issued: Box<[u16]>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Slot {
    Loaded(Box<Image>),
    Unloaded(Box<UnloadedImage>),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Place {
    base: Va,
    size_bytes: u32,
    image: ImageId,
}

impl Place {
    fn contains(&self, address: Va) -> bool {
        address >= self.base && address - self.base < u64::from(self.size_bytes)
    }
}

impl UnloadedImage {
    /// True if the address lay in the image.
    pub fn contains(&self, address: Va) -> bool {
        Place { base: self.base, size_bytes: self.size_bytes, image: self.image }.contains(address)
    }
}

#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Table {
    /// By serial.
    slots: Vec<Slot>,
    /// Loaded images, ascending by address.
    places: Vec<Place>,
}

impl Table {
    pub(crate) fn next_id(&self) -> Option<ImageId> {
        ImageId::from_slot(self.slots.len())
    }

    /// A loaded image that shares a page with the run, which is not empty.
    pub(crate) fn overlapping(&self, run: PageRun) -> Option<ImageId> {
        let last_page = run.start() + ((run.count - 1) << PAGE_SHIFT);
        let image = self.get(self.last_from(last_page)?.image)?;
        (!image.run().intersection(run).is_empty()).then_some(image.id)
    }

    /// Adds the image whose serial is [`Self::next_id`] and which overlaps no other.
    pub(crate) fn insert(&mut self, image: Image) {
        let place = Place { base: image.base, size_bytes: image.size_bytes, image: image.id };
        let position = self.places.partition_point(|other| other.base < place.base);
        self.places.insert(position, place);
        self.slots.push(Slot::Loaded(Box::new(image)));
    }

    /// Replaces the image by its memory.
    pub(crate) fn remove(&mut self, id: ImageId, memory: UnloadedImage) {
        self.places.retain(|place| place.image != id);
        if let Some(slot) = self.slots.get_mut(id.slot()) {
            *slot = Slot::Unloaded(Box::new(memory));
        }
    }

    /// The loaded image that holds the address.
    pub(crate) fn at(&self, address: Va) -> Option<&Image> {
        self.get(self.last_from(address).filter(|place| place.contains(address))?.image)
    }

    /// The loaded image that holds the page, if only with its first bytes.
    pub(crate) fn at_page(&self, page: u64) -> Option<&Image> {
        self.at(PageRun::new(page, 1).start())
    }

    /// The last image that starts at or below the address.
    fn last_from(&self, address: Va) -> Option<&Place> {
        let after = self.places.partition_point(|place| place.base <= address);
        self.places.get(after.checked_sub(1)?)
    }

    pub(crate) fn get(&self, id: ImageId) -> Option<&Image> {
        match self.slots.get(id.slot())? {
            Slot::Loaded(image) => Some(image),
            Slot::Unloaded(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: ImageId) -> Option<&mut Image> {
        match self.slots.get_mut(id.slot())? {
            Slot::Loaded(image) => Some(image),
            Slot::Unloaded(_) => None,
        }
    }

    /// Loaded images, ascending by address.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = &Image> {
        self.places.iter().filter_map(|place| self.get(place.image))
    }

    /// Unloaded images, the oldest load first.
    pub(crate) fn unloaded(&self) -> impl DoubleEndedIterator<Item = &UnloadedImage> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Loaded(_) => None,
            Slot::Unloaded(memory) => Some(&**memory),
        })
    }

    /// True if a handle for this section was issued and its image is gone since.
    pub(crate) fn was_issued(&self, section: SectionId) -> bool {
        match self.slots.get(section.image.slot()) {
            Some(Slot::Unloaded(memory)) => memory.issued.binary_search(&section.index).is_ok(),
            _ => false,
        }
    }
}
