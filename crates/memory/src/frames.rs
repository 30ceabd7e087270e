//! Guest RAM: numbered frames whose pages are copied on write between forks.

use std::mem;
use std::sync::Arc;

use crate::extents::Extents;
use crate::page_pool::Pages;
use crate::ram;

/// The bytes of one page.
pub(crate) type Page = [u8; 4096];

/// What frames read as that are not in use.
static ZERO: Page = [0; 4096];

/// Layers that one machine may hold. Beyond it, a fork first takes the emptiest layer apart.
const LAYERS: usize = 32;
/// The layer with one page, of zeros: that of all frames which are to be zero and were not written yet.
const ZEROS: u8 = 0;

/// Where the page of a frame lies: layer in the upper eight bits, index in that layer below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place(u32);

impl Place {
    pub(crate) const NONE: Place = Place(u32::MAX);
    const ZERO: Place = Place::new(ZEROS, 0);

    const fn new(layer: u8, index: u32) -> Place {
        Place((layer as u32) << 24 | index)
    }

    fn layer(self) -> u8 {
        (self.0 >> 24) as u8
    }

    fn index(self) -> usize {
        (self.0 & 0xff_ffff) as usize
    }
}

/// Pages that no machine may change any more.
#[derive(Clone)]
struct Layer {
    pages: Arc<Pages>,
    /// How many of them are the page of a frame of this machine.
    live: u32,
}

/// All frames of one machine.
pub(crate) struct Frames {
    layers: [Option<Layer>; LAYERS],
    /// The layer that only this machine sees and writes.
    own: Pages,
    /// The number that `own` has, and keeps when it is frozen: so freezing moves no page.
    own_layer: u8,
    /// Indices in `own` that no frame uses.
    spare: Vec<u32>,
    place: Vec<Place>,
    free: Extents,
    limit: u32,
    used: u32,
    peak: u32,
}

impl Frames {
    /// So many frames, with the numbers that RAM has.
    pub(crate) fn new(limit: u32) -> Frames {
        let (mut layers, mut zeros) = ([const { None }; LAYERS], Pages::new());
        let (own, zero) = (zeros.empty(), zeros.add());
        zeros.pages[zero as usize].fill(0);
        layers[usize::from(ZEROS)] = Some(Layer { pages: Arc::new(zeros), live: 1 });
        Frames {
            layers,
            own,
            own_layer: ZEROS + 1,
            spare: Vec::new(),
            place: Vec::new(),
            free: Extents::of(ram::ranges(limit)),
            limit,
            used: 0,
            peak: 0,
        }
    }

    /// The most frames that may be in use.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// More than every frame number in use.
    pub(crate) fn high_water(&self) -> u32 {
        self.place.len() as u32
    }

    /// Frames in use.
    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    /// The most frames ever in use.
    pub(crate) fn peak(&self) -> u32 {
        self.peak
    }

    /// A frame. Its page holds zeros.
    pub(crate) fn allocate(&mut self) -> Option<u32> {
        self.allocate_run(1, u64::MAX)
    }

    /// This frame, if it is free. Its page holds zeros.
    pub(crate) fn allocate_at(&mut self, frame: u32) -> bool {
        let free = self.free.take_at(frame.into());
        if free {
            self.give_zeros(frame);
            self.count(1);
        }
        free
    }

    /// The first of `count` consecutive frames, all with numbers less than `below`. Their pages hold zeros.
    pub(crate) fn allocate_run(&mut self, count: u32, below: u64) -> Option<u32> {
        let first = self.free.take_below(count.into(), below)? as u32;
        (first..first + count).for_each(|frame| self.give_zeros(frame));
        self.count(count);
        Some(first)
    }

    fn count(&mut self, more: u32) {
        self.used += more;
        self.peak = self.peak.max(self.used);
    }

    /// Frees a frame that is in use.
    pub(crate) fn release(&mut self, frame: u32) {
        self.abandon(frame);
        self.place[frame as usize] = Place::NONE;
        self.free.give(frame.into(), 1);
        self.used -= 1;
    }

    /// Where the page of a frame is now; [`Place::NONE`] if the frame is not in use. It stays there until the frame is
    /// written for the first time after a fork.
    pub(crate) fn place(&self, frame: u32) -> Place {
        self.place.get(frame as usize).copied().unwrap_or(Place::NONE)
    }

    /// The page at a place.
    #[inline]
    pub(crate) fn at(&self, place: Place) -> &Page {
        if place.layer() == self.own_layer {
            return &self.own.pages[place.index()];
        }
        match &self.layers[usize::from(place.layer()) % LAYERS] {
            Some(layer) => &layer.pages.pages[place.index()],
            None => &ZERO,
        }
    }

    /// Hash of the page of a frame. Whoever holds places to write to must ask for them again afterwards.
    pub(crate) fn hash(&self, frame: u32) -> u128 {
        let place = self.place(frame);
        let layer = &self.layers[usize::from(place.layer()) % LAYERS];
        match layer {
            _ if place == Place::NONE => 0,
            _ if place.layer() == self.own_layer => self.own.hash(place.index()),
            Some(layer) => layer.pages.hash(place.index()),
            None => 0,
        }
    }

    /// Which frames are free.
    pub(crate) fn free_frames(&self) -> &Extents {
        &self.free
    }

    /// The page at a place in this machine's own layer: one that [`Frames::unshare`] made.
    #[inline]
    pub(crate) fn at_mut(&mut self, place: Place) -> &mut Page {
        debug_assert_eq!(place.layer(), self.own_layer);
        &mut self.own.pages[place.index()]
    }

    /// The page of a frame; zeros where there is none.
    pub(crate) fn read(&self, frame: u32) -> &Page {
        match self.place(frame) {
            Place::NONE => &ZERO,
            place => self.at(place),
        }
    }

    /// The page of a frame in use, to be written. Places of the frame that were handed out before are stale if it was
    /// frozen; [`Frames::unshare`] tells.
    pub(crate) fn write(&mut self, frame: u32) -> &mut Page {
        self.unshare(frame);
        self.at_mut(self.place[frame as usize])
    }

    /// The same for whoever writes all of it, and so does not need what it holds.
    pub(crate) fn overwrite(&mut self, frame: u32) -> &mut Page {
        let place = self.place[frame as usize];
        if place.layer() == self.own_layer {
            self.own.forget_hash(place.index());
        } else {
            self.give_page(frame);
            self.lose(place.layer());
        }
        self.at_mut(self.place[frame as usize])
    }

    /// Makes the page of a frame in use this machine's own, to be written. True if it moved for that.
    pub(crate) fn unshare(&mut self, frame: u32) -> bool {
        let place = self.place[frame as usize];
        if place.layer() == self.own_layer {
            self.own.forget_hash(place.index());
            return false;
        }
        if let Some(layer) = self.layers[usize::from(place.layer())].clone() {
            let own = self.give_page(frame);
            *self.at_mut(own) = *layer.pages.pages[place.index()];
            self.lose(place.layer());
        }
        true
    }

    /// Copies upwards within and between pages; overlap behaves as byte-by-byte copying does. Both ranges must lie within
    /// their page.
    pub(crate) fn copy(&mut self, to: (Place, usize), from: (Place, usize), length: usize) {
        let (target, source) = (to.1..to.1 + length, from.1..from.1 + length);
        if from.0 == to.0 {
            let page = self.at_mut(to.0);
            if source.contains(&to.1) {
                (0..length).for_each(|i| page[to.1 + i] = page[from.1 + i]);
            } else {
                page.copy_within(source, to.1);
            }
        } else if from.0.layer() != self.own_layer {
            let layer = self.layers[usize::from(from.0.layer())].as_ref();
            let bytes = layer.map_or(&ZERO, |layer| &layer.pages.pages[from.0.index()]);
            self.own.pages[to.0.index()][target].copy_from_slice(&bytes[source]);
        } else if let Ok([to_page, from_page]) = self.own.pages.get_disjoint_mut([to.0.index(), from.0.index()]) {
            to_page[target].copy_from_slice(&from_page[source]);
        }
    }

    /// A second machine with the same pages. Both write to layers of their own from now on.
    pub(crate) fn fork(&mut self) -> Frames {
        self.freeze();
        Frames {
            layers: self.layers.clone(),
            own: self.own.empty(),
            own_layer: self.own_layer,
            spare: Vec::new(),
            place: self.place.clone(),
            free: self.free.clone(),
            limit: self.limit,
            used: self.used,
            peak: self.peak,
        }
    }

    fn freeze(&mut self) {
        if self.own.pages.len() == self.spare.len() {
            return;
        }
        let next = match self.vacant() {
            Some(next) => next,
            None => self.take_apart_emptiest(),
        };
        let live = (self.own.pages.len() - self.spare.len()) as u32;
        self.spare.clear();
        let empty = self.own.empty();
        let pages = Arc::new(mem::replace(&mut self.own, empty));
        self.layers[usize::from(self.own_layer)] = Some(Layer { pages, live });
        self.own_layer = next;
    }

    /// The number of a layer that does not exist.
    fn vacant(&self) -> Option<u8> {
        (0..LAYERS as u8).find(|&n| n != self.own_layer && self.layers[usize::from(n)].is_none())
    }

    /// Takes the pages of the layer with the fewest into `own` and returns its number.
    fn take_apart_emptiest(&mut self) -> u8 {
        let live = |n: &u8| self.layers[usize::from(*n)].as_ref().map_or(u32::MAX, |layer| layer.live);
        let emptiest = (ZEROS + 1..LAYERS as u8).min_by_key(live).unwrap_or(ZEROS + 1);
        for frame in 0..self.place.len() as u32 {
            let place = self.place[frame as usize];
            if place != Place::NONE && place.layer() == emptiest {
                self.unshare(frame);
            }
        }
        emptiest
    }

    /// Gives `frame` the page of zeros. Does not look at the page it had.
    fn give_zeros(&mut self, frame: u32) {
        if self.place.len() <= frame as usize {
            self.place.resize(frame as usize + 1, Place::NONE);
        }
        self.place[frame as usize] = Place::ZERO;
        if let Some(zeros) = &mut self.layers[usize::from(ZEROS)] {
            zeros.live += 1;
        }
    }

    /// Gives `frame`, which has another page, one in `own` that holds anything.
    fn give_page(&mut self, frame: u32) -> Place {
        let index = self.spare.pop().unwrap_or_else(|| self.own.add());
        self.own.forget_hash(index as usize);
        let place = Place::new(self.own_layer, index);
        self.place[frame as usize] = place;
        place
    }

    /// The page of `frame` is nobody's any more, as far as this machine is concerned.
    fn abandon(&mut self, frame: u32) {
        let place = self.place[frame as usize];
        if place.layer() == self.own_layer {
            self.spare.push(place.index() as u32);
        } else {
            self.lose(place.layer());
        }
    }

    /// One page of a layer is not used any more; without any, the layer goes.
    fn lose(&mut self, number: u8) {
        let layer = &mut self.layers[usize::from(number)];
        if let Some(some) = layer {
            some.live -= 1;
            if some.live == 0 {
                *layer = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(frames: &mut Frames, value: u8) -> u32 {
        let frame = frames.allocate().unwrap();
        frames.write(frame).fill(value);
        frame
    }

    #[test]
    fn a_fork_shares_until_one_side_writes() {
        let mut parent = Frames::new(8);
        let (a, b) = (filled(&mut parent, 1), filled(&mut parent, 2));
        let mut child = parent.fork();
        assert!(!std::ptr::eq(parent.read(a), &ZERO) && std::ptr::eq(parent.read(a), child.read(a)));
        child.write(a)[0] = 9;
        parent.write(b)[0] = 8;
        assert_eq!((parent.read(a)[0], parent.read(b)[0]), (1, 8));
        assert_eq!((child.read(a)[0], child.read(b)[0]), (9, 2));
    }

    #[test]
    fn the_limit_holds_and_lower_frames_come_first() {
        let mut frames = Frames::new(3);
        assert_eq!((frames.allocate(), frames.allocate(), frames.allocate()), (Some(1), Some(2), Some(3)));
        assert_eq!(frames.allocate(), None);
        frames.release(1);
        frames.release(2);
        assert_eq!(frames.allocate_run(2, 2), None);
        assert_eq!(frames.allocate_run(2, 3), Some(1));
        assert_eq!((frames.used(), frames.peak()), (3, 3));
    }

    /// A long chain of forks keeps a bounded number of layers and loses nothing.
    #[test]
    fn many_forks_in_a_chain() {
        let mut frames = Frames::new(200);
        let all: Vec<u32> = (0..200).map(|i| filled(&mut frames, i as u8)).collect();
        for round in 0..300usize {
            let child = frames.fork();
            frames = child;
            frames.write(all[round % 200])[0] = round as u8;
        }
        for (i, &frame) in all.iter().enumerate() {
            let last = if i < 100 { 200 + i } else { i };
            assert_eq!((frames.read(frame)[0], frames.read(frame)[1]), (last as u8, i as u8));
        }
    }

    proptest! {
        /// Any number of machines, forked and dropped in any order, behave like deep copies.
        #[test]
        fn forks_behave_like_deep_copies(steps in prop::collection::vec((0u8..5, any::<u8>(), any::<u8>()), 1..300)) {
            let mut machines = vec![(Frames::new(12), vec![None::<u8>; 13])];
            for (what, which, value) in steps {
                let count = machines.len();
                let (frames, model) = &mut machines[usize::from(which) % count];
                let frame = u32::from(value % 12) + 1;
                match (what, model[frame as usize]) {
                    (0, _) => {
                        if let Some(frame) = frames.allocate() {
                            frames.write(frame).fill(0);
                            model[frame as usize] = Some(0);
                        }
                    }
                    (1, Some(_)) => {
                        frames.release(frame);
                        model[frame as usize] = None;
                    }
                    (2, Some(_)) => {
                        frames.write(frame)[9] = value;
                        model[frame as usize] = Some(value);
                    }
                    (3, _) if count < 50 => {
                        let child = (frames.fork(), model.clone());
                        machines.push(child);
                    }
                    (4, _) if count > 1 => {
                        machines.swap_remove(usize::from(which) % count);
                    }
                    _ => {}
                }
                for (frames, model) in &machines {
                    for (frame, content) in model.iter().enumerate() {
                        prop_assert_eq!(frames.place(frame as u32) != Place::NONE, content.is_some());
                        prop_assert_eq!(frames.read(frame as u32)[9], content.unwrap_or(0));
                    }
                }
            }
        }
    }
}
