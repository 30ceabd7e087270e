//! Routines of kernel streaming and of port class drivers.

use super::prelude::*;

#[rustfmt::skip]
pub(super) const ROUTINES: &[Routine] = &[
    r("KsCreateFilterFactory", &[RegistersLayout(2, Layout::KsFilter)]),
    r("KsInitializeDriver", &[RegistersLayout(3, Layout::KsDevice)]),
    r("PcAddAdapterDevice", &[Registers(3, Notification)]),
    r("PcInitializeAdapterDriver", &[Registers(3, AddDevice)]),
    r("PcRegisterIoTimeout", &[Registers(2, IoTimer), Context(3, 2)]),
];
