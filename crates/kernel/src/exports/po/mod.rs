//! The power manager of a machine that stays in its working state.

mod power_request;
mod settings;
mod state;

use std::collections::BTreeMap;

use nt_types::Va;

use super::Export;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[power_request::EXPORTS, settings::EXPORTS, state::EXPORTS];

/// What this family remembers.
#[derive(Clone, Default, Hash, Debug)]
pub struct State {
    /// Power requests on their way.
    requests: BTreeMap<Va, power_request::PowerRequest>,
    /// The device power state that drivers told, by device.
    device_states: BTreeMap<Va, u32>,
    /// Registrations for power settings, by handle.
    settings: Vec<Va>,
}

/// Continuations of this family.
#[derive(Clone, Hash, Debug)]
pub enum Then {
    /// The completion routine of a power request returned.
    Completed(power_request::Completed),
}

impl Then {
    pub(crate) fn run(self, m: &mut crate::machine::Machine) -> crate::call::Outcome {
        match self {
            Then::Completed(then) => then.run(m),
        }
    }
}
