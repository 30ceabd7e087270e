//! `wmilib.sys`: what drivers use to answer WMI requests.

mod completion;
mod registration;
mod system_control;

use super::Export;
use crate::call::Outcome;
use crate::machine::Machine;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[completion::EXPORTS, system_control::EXPORTS];

/// Continuations of this family.
#[derive(Clone, Hash, Debug)]
pub enum Then {
    /// QueryWmiRegInfo returned.
    Registered(registration::Registration),
}

impl Then {
    pub(crate) fn run(self, m: &mut Machine) -> Outcome {
        match self {
            Then::Registered(registration) => registration.run(m),
        }
    }
}
