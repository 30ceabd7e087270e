//! Routines of Storport, ScsiPort and the filter manager. Both have one import for many routines of their headers; the numbers
//! are what miniports pass: 4 CallDisableInterrupts and 6 RequestTimerCall (srb.h), 1000h passive initialisation, 1001h DPC,
//! 1003h and 1004h spin locks.

use super::prelude::*;

#[rustfmt::skip]
pub(super) const ROUTINES: &[Routine] = &[
    r("FltRegisterFilter", &[RegistersLayout(2, Layout::Filter)]),
    r("ScsiPortInitialize", &[RegistersIn(3, &[(0x08, Unknown), (0x10, HwStartIo), (0x18, Isr), (0x20, Unknown), (0x28, HwStartIo)])]),
    r("ScsiPortNotification", &[When(1, 4, &Registers(3, SynchCritSection)), When(1, 6, &Registers(3, HwTimer))]),
    r("StorPortInitialize", &[RegistersUnless(3, &[(0x10, HwStartIo), (0x28, AtDispatch)], &[Unless { parameter: 3, offset: 0x88, holds: Holds::Code, role: UpToDispatch }]), RegistersIn(3, &[(0x08, Unknown), (0x18, Isr), (0x20, Unknown), (0x78, Unknown), (0x80, AtDispatch), (0x88, FreeResources), (0x90, Passive), (0x98, UpToDispatch)])]),
    r("StorPortNotification", &[When(1, 6, &Registers(3, HwTimer)), When(1, 0x1000, &Registers(3, Notification)), When(1, 0x1001, &Registers(4, Dpc)), When(1, 0x1003, &Raise(OfLock(3))), When(1, 0x1003, &StoresOld(5)), When(1, 0x1004, &LowerToSaved(3))]),
    r("StorPortSynchronizeAccess", &[Registers(2, SynchCritSection)]),
];
