//! Processors and model-specific registers.

use std::collections::BTreeMap;

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeGetCurrentProcessorNumber(), HIGH),
];

/// Model-specific registers that keep what is written to them.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Msrs {
    values: BTreeMap<u32, u64>,
}

/// Registers that drivers read and that have a value in every machine: name, index, value at start.
const KNOWN: &[(u32, u64)] = &[
    (0x1b, 0xFEE0_0900),  // IA32_APIC_BASE: enabled, bootstrap processor
    (0x3a, 1),            // IA32_FEATURE_CONTROL: locked, no VMX
    (0xC000_0080, 0xD01), // IA32_EFER: SCE, LME, LMA, NXE
];

impl super::State {
    /// The value of a register, if this machine has it.
    pub(crate) fn read_msr(&self, index: u32) -> Option<u64> {
        let known = KNOWN.iter().find(|(known, _)| *known == index).map(|(_, value)| *value);
        self.msrs.values.get(&index).copied().or(known)
    }

    /// Stores into a register; false where this machine does not have it.
    pub(crate) fn write_msr(&mut self, index: u32, value: u64) -> bool {
        let known = KNOWN.iter().any(|(known, _)| *known == index);
        if known {
            self.msrs.values.insert(index, value);
        }
        known
    }
}

fn KeGetCurrentProcessorNumber(m: &mut Machine) -> Outcome {
    let number = m.active as u64;
    Ok(Next::Return(number))
}
