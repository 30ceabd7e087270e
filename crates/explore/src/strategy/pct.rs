//! Probabilistic concurrency testing: each thread has a random priority, the one with the highest runs, and at a few random
//! moments the one that runs falls below all others (Burckhardt et al., "A randomized scheduler with probabilistic
//! guarantees of finding bugs", 2010). Trims, interrupts and the like happen at some of these moments instead.

use std::collections::BTreeMap;

use fastrand::Rng;
use kernel::{Choice, Deed, Machine, ThreadId};

use super::random_points;
use crate::spine::Survey;
use crate::walk::Decider;

/// Priorities of threads, and the moments of change.
pub(crate) struct Pct {
    rng: Rng,
    priorities: BTreeMap<ThreadId, i64>,
    /// The last one first.
    changes: Vec<u32>,
    /// Below every priority given so far.
    lowest: i64,
}

impl Pct {
    pub(super) fn new(mut rng: Rng, survey: &Survey, depth: u32) -> Pct {
        let mut changes = random_points(&mut rng, survey, depth.max(1) as usize);
        changes.reverse();
        Pct { rng, priorities: BTreeMap::new(), changes, lowest: 0 }
    }

    fn priority(&mut self, thread: ThreadId) -> i64 {
        let rng = &mut self.rng;
        *self.priorities.entry(thread).or_insert_with(|| rng.i64(1..1 << 32))
    }

    /// The ready thread that should run instead of this one.
    fn better(&mut self, current: ThreadId, deeds: &[Deed]) -> Option<Deed> {
        let mut best = (self.priority(current), None);
        for deed in deeds {
            let Deed::Switch(thread) = deed else { continue };
            let priority = self.priority(*thread);
            if priority > best.0 {
                best = (priority, Some(*deed));
            }
        }
        best.1
    }
}

impl Decider for Pct {
    fn from(&self) -> Option<u32> {
        Some(0)
    }

    fn decide(&mut self, machine: &Machine, choice: &Choice) -> Option<Deed> {
        let current = machine.current_thread();
        if self.changes.pop_if(|change| *change <= choice.index).is_some() {
            self.lowest -= 1;
            self.priorities.insert(current, self.lowest);
            let others: Vec<Deed> =
                choice.deeds.iter().copied().filter(|deed| !matches!(deed, Deed::Switch(_))).collect();
            if let Some(deed) = self.rng.choice(&others).filter(|_| self.rng.clone().bool()) {
                return Some(*deed);
            }
        }
        self.better(current, &choice.deeds)
    }
}
