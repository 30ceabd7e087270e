//! Exceptions, unwinding and stack walks as drivers call them.

mod debug;
mod probe;
mod raise;
mod unwind;
mod walk;

use super::Export;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] =
    &[debug::EXPORTS, probe::EXPORTS, raise::EXPORTS, unwind::EXPORTS, walk::EXPORTS];
