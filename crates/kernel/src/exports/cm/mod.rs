//! Registry services.

mod callback;
mod key;
mod query;
mod value;

use super::Export;
use crate::registry::Registry;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[callback::EXPORTS, key::EXPORTS, value::EXPORTS];

/// What this family remembers.
#[derive(Clone, Hash, Debug)]
pub struct State {
    pub(crate) registry: Registry,
    callbacks: callback::Callbacks,
}

impl State {
    pub(crate) fn new(registry: Registry) -> State {
        State { registry, callbacks: callback::Callbacks::default() }
    }
}
