//! Routines of kernel streaming and of port class drivers.

use super::prelude::*;

#[rustfmt::skip]
pub(super) const ROUTINES: &[Routine] = &[
    r("BdaCreateFilterFactory", &[RegistersLayout(2, Layout::KsFilter)]),
    r("BdaCreateFilterFactoryEx", &[RegistersLayout(2, Layout::KsFilter)]),
    r("IInterruptSync::CallSynchronizedRoutine", &[Registers(2, SynchCritSection)]),
    r("IInterruptSync::RegisterServiceRoutine", &[Registers(2, Isr)]),
    r("KsCreateFilterFactory", &[RegistersLayout(2, Layout::KsFilter)]),
    r("KsInitializeDriver", &[RegistersLayout(3, Layout::KsDevice)]),
    r("PcAddAdapterDevice", &[Registers(3, Notification)]),
    r("PcInitializeAdapterDriver", &[Registers(3, AddDevice)]),
    r("PcNewInterruptSync", &[CreatesInterruptSync(1)]),
    r("PcRegisterIoTimeout", &[Registers(2, IoTimer), Context(3, 2)]),
];

/// Methods of the objects that `PcNewInterruptSync` makes, by their offsets in the table of methods (portcls.h).
pub(crate) const INTERRUPT_SYNC: &[(u32, &str)] =
    &[(0x18, "IInterruptSync::CallSynchronizedRoutine"), (0x38, "IInterruptSync::RegisterServiceRoutine")];
