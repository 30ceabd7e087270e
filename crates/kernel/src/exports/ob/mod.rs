//! The object manager: handles, references, the types that exported variables name.

mod callbacks;
mod directory;
mod handle;
mod open;
mod reference;
pub(crate) mod table;

use super::Export;
use crate::call::Trap;
use crate::machine::Machine;

pub(crate) use table::{Attributes, Object, ObjectType};

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] =
    &[callbacks::EXPORTS, directory::EXPORTS, handle::EXPORTS, open::EXPORTS, reference::EXPORTS];

/// What this family remembers.
#[derive(Clone, Default, Hash, Debug)]
pub struct State {
    pub(crate) handles: table::Handles,
    pub(crate) counted: table::Counted,
    /// Registrations of ObRegisterCallbacks and their altitudes.
    callbacks: Vec<(nt_types::Va, String)>,
    /// Directories of the name space: names in lower case, bodies.
    directories: Vec<(String, nt_types::Va)>,
    types: Vec<(ObjectType, nt_types::Va)>,
}

impl Machine {
    /// Gives the exported type variables their values, and the system process its object.
    pub(crate) fn make_system_objects(&mut self) -> Result<(), Trap> {
        const TYPE_BYTES: u64 = 0x100;
        for (kind, variable) in table::TYPE_VARIABLES {
            let Some(object) = self.kernel_object(TYPE_BYTES, *b"ObTy") else { return Err(self.no_pool()) };
            self.set_variable(variable, object)?;
            self.ob.types.push((*kind, object));
        }
        self.make_security_exports()?;
        self.make_system_process()
    }

    pub(crate) fn set_variable(&mut self, name: &str, value: nt_types::Va) -> Result<(), Trap> {
        match self.kernel_images.variable(name) {
            Some(variable) => Ok(self.memory.poke(variable, &value.0.to_le_bytes())?),
            None => Ok(()),
        }
    }
}
