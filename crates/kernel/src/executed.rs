//! Which code ran: how often, when, and how high IRQL was then.

use std::collections::BTreeMap;

use nt_types::{Irql, Va};

use crate::machine::Machine;

/// What is known of an instruction that ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Executed {
    /// How often.
    pub times: u64,
    /// Instructions retired before it ran for the first time.
    pub first_step: u64,
    /// The same for the last time.
    pub last_step: u64,
    /// Highest IRQL at which it ran.
    pub highest_irql: Irql,
}

/// What a machine keeps of the code that ran.
#[derive(Clone, Default, Debug)]
pub(crate) struct Recorder {
    /// By address; `None` where nobody asked.
    instructions: Option<BTreeMap<Va, Executed>>,
    /// Base of each image whose initialisation is over, and the step at which it was.
    initialized: BTreeMap<Va, u64>,
}

impl Recorder {
    /// While it records, the machine executes instruction by instruction.
    pub(crate) fn records(&self) -> bool {
        self.instructions.is_some()
    }

    /// An instruction ran.
    pub(crate) fn note(&mut self, address: Va, step: u64, irql: Irql) {
        let Some(instructions) = &mut self.instructions else { return };
        let new = Executed { times: 0, first_step: step, last_step: step, highest_irql: irql };
        let executed = instructions.entry(address).or_insert(new);
        executed.times += 1;
        executed.last_step = step;
        executed.highest_irql = executed.highest_irql.max(irql);
    }

    /// Initialisation of an image is over.
    pub(crate) fn initialized(&mut self, base: Va, step: u64) {
        self.initialized.insert(base, step);
    }
}

impl Machine {
    /// Takes note of every instruction of a driver from now on. What happens stays the same, and takes longer.
    pub fn record_executed(&mut self) {
        self.executed.instructions = Some(BTreeMap::new());
    }

    /// The instructions that ran in an image of `size` bytes at `base`, by address: addresses of images are given out
    /// once only (D28).
    pub fn executed(&self, base: Va, size: u64) -> impl Iterator<Item = (Va, Executed)> {
        let all = self.executed.instructions.iter();
        all.flat_map(move |all| all.range(base..base + size)).map(|(address, executed)| (*address, *executed))
    }

    /// The step at which DriverEntry and the Reinitialize routines of an image had returned.
    pub fn initialized_at(&self, base: Va) -> Option<u64> {
        self.executed.initialized.get(&base).copied()
    }
}
