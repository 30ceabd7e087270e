//! Routines of `DMA_OPERATIONS`, the table of a DMA adapter.

use super::prelude::*;

#[rustfmt::skip]
pub(super) const ROUTINES: &[Routine] = &[
    r("DMA_OPERATIONS::AllocateAdapterChannel", &[Registers(4, AtDispatch), Context(5, 4)]),
    r("DMA_OPERATIONS::BuildScatterGatherList", &[Registers(6, AtDispatch), Context(7, 4)]),
    r("DMA_OPERATIONS::GetScatterGatherList", &[Registers(6, AtDispatch), Context(7, 4)]),
];

/// Those that take callbacks, by their offsets in the table (wdm.h).
pub(crate) const DMA_OPERATIONS: &[(u32, &str)] = &[
    (0x20, "DMA_OPERATIONS::AllocateAdapterChannel"),
    (0x58, "DMA_OPERATIONS::GetScatterGatherList"),
    (0x70, "DMA_OPERATIONS::BuildScatterGatherList"),
];
