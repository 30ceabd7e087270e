//! Where a run came to: steps from one moment to the next, and the state of locks and residency in which places were met.

use section_paging::SectionId;

use crate::event::EventKind;
use crate::machine::Machine;

const WORDS: usize = 1024;

/// A set of places and states, by their hashes: 65,536 bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coverage(Box<[u64; WORDS]>);

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage(Box::new([0; WORDS]))
    }
}

impl Coverage {
    /// Adds the other set; true where something is new.
    pub fn add(&mut self, other: &Coverage) -> bool {
        let pairs = self.0.iter_mut().zip(other.0.iter());
        pairs.fold(false, |new, (mine, others)| {
            let is_new = others & !*mine != 0;
            *mine |= others;
            new | is_new
        })
    }

    /// How many bits are set.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    fn insert(&mut self, hash: u64) {
        let bit = hash as usize % (WORDS * 64);
        self.0[bit / 64] |= 1 << (bit % 64);
    }
}

/// What a machine keeps for its coverage.
#[derive(Clone, Default, Debug)]
pub(crate) struct Recorder {
    set: Option<Coverage>,
    before: u64,
    /// Hash of lock counts and residency.
    state: u64,
    state_is_old: bool,
}

impl Recorder {
    /// True where the event changes locks or residency.
    pub(crate) fn note(&mut self, kind: &EventKind) {
        self.state_is_old |= matches!(
            kind,
            EventKind::SectionLocked { .. }
                | EventKind::SectionUnlocked { .. }
                | EventKind::Trimmed { .. }
                | EventKind::PagedIn { .. }
                | EventKind::DriverPaged { .. }
                | EventKind::DriverPagingReset { .. }
        );
    }
}

/// Mixes a number into a hash (the finaliser of splitmix64).
fn mix(hash: u64, value: u64) -> u64 {
    let mut mixed = (hash.rotate_left(23) ^ value).wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Machine {
    /// Takes note of coverage from now on.
    pub fn count_coverage(&mut self) {
        self.coverage.set = Some(Coverage::default());
        self.coverage.state_is_old = true;
    }

    /// Where the run came to; `None` where nobody asked.
    pub fn coverage(&self) -> Option<&Coverage> {
        self.coverage.set.as_ref()
    }

    /// The processor is at a moment of the run.
    pub(crate) fn cover(&mut self) {
        if self.coverage.set.is_none() {
            return;
        }
        if std::mem::take(&mut self.coverage.state_is_old) {
            self.coverage.state = self.hash_of_paging();
        }
        let (place, before) = (self.cpu().rip, self.coverage.before);
        let (edge, met) = (mix(before, place), mix(self.coverage.state, place));
        self.coverage.before = mix(0, place);
        if let Some(set) = &mut self.coverage.set {
            set.insert(edge);
            set.insert(met);
        }
    }

    /// Lock counts of all sections, and how many of their pages are in memory.
    fn hash_of_paging(&self) -> u64 {
        let paging = self.memory.paging();
        let mut hash = 0;
        for driver in self.modules.drivers() {
            for index in 0..driver.image.sections().len() {
                let id = SectionId { image: driver.id, index: index as u16 };
                let Some(section) = paging.section(id) else { continue };
                hash = mix(hash, u64::from(section.count));
                if section.pageable {
                    let resident = section.pages.pages().filter(|page| self.memory.is_resident(*page)).count();
                    hash = mix(hash, resident as u64);
                }
            }
        }
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_knows_what_is_new() {
        let (mut all, mut one) = (Coverage::default(), Coverage::default());
        one.insert(mix(1, 2));
        assert!(all.add(&one) && !all.add(&one));
        one.insert(mix(2, 1));
        assert!(all.add(&one));
        assert_eq!(all.count(), 2);
    }
}
