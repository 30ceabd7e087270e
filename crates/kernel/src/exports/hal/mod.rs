//! The hardware abstraction layer: ports, buses, firmware.

mod bus;
mod port;

use super::Export;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[bus::EXPORTS, port::EXPORTS];
