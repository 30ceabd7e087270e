//! Every interleaving of up to 3 callers and 6 operations, against the reference model (section 12, I1 to I5, I9).
//!
//! A state that was met before is not continued again: what follows from it is the same. Callers are alike, so states
//! that differ only in who does what are one state. After each step every eligible page is evicted, which is the hardest
//! case for every promise about residency; each read may fail.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use crate::play::{Caller, Operation, Play};
use crate::world::{INIT, Layout, PAGEA, PAGEB, TEXT, dense};

const OPERATIONS: u32 = 6;
const CALLERS: usize = 3;

const ALL: [Operation; 13] = [
    Operation::LockAddress(TEXT),
    Operation::LockAddress(PAGEA),
    Operation::LockAddress(PAGEB),
    Operation::LockAddress(INIT),
    Operation::LockHandle(PAGEA),
    Operation::Unlock(TEXT),
    Operation::Unlock(PAGEA),
    Operation::Unlock(PAGEB),
    Operation::Unlock(INIT),
    Operation::PageEntire,
    Operation::Reset,
    Operation::Discard,
    Operation::Unload,
];

#[derive(Default)]
struct Search {
    /// Fingerprints of the states met, with the operations that were left.
    seen: HashSet<u64>,
    todo: Vec<(Play, u32)>,
}

impl Search {
    fn reach(&mut self, mut play: Play, left: u32) {
        play.callers.sort_by_key(|caller| BuildHasherDefault::<DefaultHasher>::default().hash_one(caller));
        let state = (&play.paging, &play.resident, &play.callers, left);
        if self.seen.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(state)) {
            self.todo.push((play, left));
        }
    }

    fn expand(&mut self, play: &Play, left: u32) {
        for caller in (0..play.callers.len()).filter(|caller| play.can_advance(*caller)) {
            let mut next = play.clone();
            if next.advance(caller) {
                self.reach(next, left);
            }
        }
        for caller in (0..play.callers.len()).filter(|caller| play.can_fail(*caller)) {
            let mut next = play.clone();
            next.fail_read(caller);
            self.reach(next, left);
        }
        let Some(idle) = play.callers.iter().position(|caller| *caller == Caller::Idle) else { return };
        for operation in ALL.into_iter().filter(|_| left > 0) {
            let mut next = play.clone();
            if next.begin(idle, operation) {
                self.reach(next, left - 1);
            }
        }
    }
}

/// R97, R104, D6, D12, D13, D16, D21, D22, D23, D25, D26, D27, D28, D29, D31, D32, D33, D36, D38: whatever callers do, in
/// whatever order, answers, counts, pins and findings are those of the model.
#[test]
fn every_interleaving_agrees_with_the_model() {
    let mut search = Search::default();
    // A page shared by PAGEB and INIT is freed too: harder than anything that D9 computes.
    let layout = Layout { init_pages: vec![(5, 2)], ..dense() };
    search.reach(Play::new(&layout, CALLERS, 2), OPERATIONS);
    while let Some((play, left)) = search.todo.pop() {
        search.expand(&play, left);
    }
    assert!(search.seen.len() > 80_000, "only {} states: the search has become shallow", search.seen.len());
}
