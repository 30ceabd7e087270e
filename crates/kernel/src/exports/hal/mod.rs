//! The hardware abstraction layer: ports, buses, firmware.

mod bus;
mod dma;
mod port;

use super::Export;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[bus::EXPORTS, dma::EXPORTS, port::EXPORTS];
