//! The routines by area, each sorted by name. Facts are those of each routine's reference page.

mod dma;
mod framework;
mod kernel;
mod media;
mod network;
mod storage;

use super::Routine;

pub(crate) use dma::DMA_OPERATIONS;
pub(crate) use framework::FRAMEWORK;
pub(crate) use media::INTERRUPT_SYNC;

/// The tables.
pub(super) const TABLES: [&[Routine]; 6] =
    [kernel::ROUTINES, storage::ROUTINES, network::ROUTINES, framework::ROUTINES, media::ROUTINES, dma::ROUTINES];

/// What the tables are written with.
mod prelude {
    pub(super) use super::super::Does::*;
    pub(super) use super::super::Level::*;
    pub(super) use super::super::Role::{self, *};
    pub(super) use super::super::{Does, Holds, Kind, Layout, Level, Parameter, Parent, Routine, Unless};

    /// IRQL of DISPATCH_LEVEL and APC_LEVEL, as levels to raise to.
    pub(super) const DISPATCH: Level = To(2);
    pub(super) const APC: Level = To(1);

    pub(super) const fn r(name: &'static str, does: &'static [Does]) -> Routine {
        Routine { name, does }
    }
}
