//! The modem status register: four inputs and what has changed since it was last read.

use crate::serial_line::ModemInputs;

#[derive(Clone, PartialEq, Eq, Default, Hash, Debug)]
pub(super) struct ModemStatus {
    inputs: ModemInputs,
    /// Bits 0 to 3.
    changes: u8,
}

impl ModemStatus {
    /// The inputs are now these. RI counts only when it ends ("trailing edge").
    pub(super) fn set(&mut self, inputs: ModemInputs) {
        let old = self.inputs;
        self.changes |= u8::from(old.clear_to_send != inputs.clear_to_send);
        self.changes |= u8::from(old.data_set_ready != inputs.data_set_ready) << 1;
        self.changes |= u8::from(old.ring && !inputs.ring) << 2;
        self.changes |= u8::from(old.carrier != inputs.carrier) << 3;
        self.inputs = inputs;
    }

    /// The state of the inputs at reset, which is no change.
    pub(super) fn reset(inputs: ModemInputs) -> ModemStatus {
        ModemStatus { inputs, changes: 0 }
    }

    /// Does a change ask for service?
    pub(super) fn changed(&self) -> bool {
        self.changes != 0
    }

    /// Reads the register, which clears the changes.
    pub(super) fn read(&mut self) -> u8 {
        let inputs = [self.inputs.clear_to_send, self.inputs.data_set_ready, self.inputs.ring, self.inputs.carrier];
        let levels = inputs.into_iter().enumerate().map(|(bit, active)| u8::from(active) << (4 + bit));
        levels.sum::<u8>() | std::mem::take(&mut self.changes)
    }
}
