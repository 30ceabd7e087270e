//! What this program does not model. Never silent success.

use crate::code::{Class, Code, Level};
use crate::words::Words;

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
    /// An imported variable nobody keeps.
    Variable {
        /// The module it is imported from.
        module: String,
        /// Its name.
        name: String,
    },
    /// A parameter value that a modelled routine does not handle.
    Parameter {
        /// The routine.
        routine: String,
        /// The parameter's documented name.
        parameter: String,
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
    /// Anything else.
    Feature {
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

impl Unsupported {
    pub(super) fn words(&self) -> Words {
        let words = |title: String| Words::plain(Code::Unsupported, Level::Error, Class::Unsupported, title);
        match self {
            Unsupported::Export { module, export } => words(format!("call of `{module}!{export}`")),
            Unsupported::Variable { module, name } => words(format!("use of the variable `{module}!{name}`")),
            Unsupported::Parameter { routine, parameter, value } => {
                words(format!("`{routine}` with {value:#x} for `{parameter}`"))
            }
            Unsupported::Behaviour { routine, behaviour } => words(format!("`{routine}` {behaviour}")),
            Unsupported::Instruction { bytes } => {
                let bytes = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
                words(format!("instruction `{bytes}`"))
            }
            Unsupported::Hardware { place, write: None } => words(format!("read of {}", place.noun())),
            Unsupported::Hardware { place, write: Some(value) } => {
                words(format!("write of {value:#x} to {}", place.noun()))
            }
            Unsupported::Image { feature } => words(format!("image with {feature}")),
            Unsupported::Feature { feature } => words(feature.clone()),
        }
    }
}

impl Hardware {
    fn noun(self) -> String {
        match self {
            Hardware::Port(port) => format!("I/O port {port:#x}"),
            Hardware::Memory(address) => format!("device memory at physical address {address:#x}"),
            Hardware::Msr(register) => format!("model-specific register {register:#x}"),
            Hardware::ControlRegister(number) => format!("control register CR{number}"),
        }
    }
}
