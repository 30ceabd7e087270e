//! What this program does not model. Never silent success.

/// Something not modelled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unsupported {
    /// An import nobody answers.
    Export {
        /// The module it is imported from.
        module: String,
        /// Its name, or `#n` for an ordinal.
        export: String,
    },
    /// A parameter value that a modelled routine does not handle.
    Parameter {
        /// The routine.
        routine: String,
        /// The parameter's documented name.
        parameter: &'static str,
        /// Its value.
        value: u64,
    },
    /// A documented behaviour of a modelled routine that is missing.
    Behaviour {
        /// The routine.
        routine: String,
        /// The behaviour, as a phrase that reads after the routine's name.
        behaviour: &'static str,
    },
    /// An instruction without an implementation.
    Instruction {
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// An access to a machine register or device that does not exist here.
    Hardware {
        /// What it is.
        place: Hardware,
        /// The value written, or `None` for a read.
        write: Option<u64>,
    },
    /// A kind of image or a feature of one.
    Image {
        /// The feature, as a noun phrase.
        feature: String,
    },
}

/// A place in the hardware.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hardware {
    /// An I/O port.
    Port(u16),
    /// Device memory, by physical address.
    Memory(u64),
    /// A model-specific register.
    Msr(u32),
    /// A control register.
    ControlRegister(u8),
}
