//! Routines of NDIS. Structures are those of ndis.h: NDIS_MINIPORT_CHARACTERISTICS of NDIS 5, and those that begin with an
//! NDIS_OBJECT_HEADER of NDIS 6.

use super::prelude::*;

/// A table of dispatch routines, by major function.
const MAJORS: &[(i32, Role)] = &majors();

const fn majors() -> [(i32, Role); 0x1c] {
    let mut table = [(0, Unknown); 0x1c];
    let mut major = 0;
    while major < table.len() {
        table[major] = (8 * major as i32, Dispatch(Some(major as u8)));
        major += 1;
    }
    table
}

/// `NDIS_MINIPORT_CHARACTERISTICS` of NDIS 5, which intermediate drivers fill in, too.
#[rustfmt::skip]
const MINIPORT: &[(i32, Role)] = &[
    (0x08, UpToDispatch), (0x10, Unknown), (0x18, Unknown), (0x20, Notification), (0x28, Dpc), (0x30, Notification),
    (0x38, Isr), (0x40, UpToDispatch), (0x50, UpToDispatch), (0x58, UpToDispatch), (0x60, UpToDispatch),
    (0x68, UpToDispatch), (0x70, UpToDispatch), (0x78, UpToDispatch), (0x80, UpToDispatch), (0x88, UpToDispatch),
    (0x90, UpToDispatch), (0x98, UpToDispatch), (0xa0, UpToDispatch), (0xa8, UpToDispatch), (0xb0, UpToDispatch),
    (0xb8, UpToDispatch), (0xc0, Notification), (0xc8, Unknown),
];

/// `NDIS_PROTOCOL_CHARACTERISTICS` of NDIS 5: what completes and receives. Of those that bind and unbind, no level is in the
/// documentation any more.
#[rustfmt::skip]
const PROTOCOL: &[(i32, Role)] = &[
    (0x08, Unknown), (0x10, Unknown), (0x18, UpToDispatch), (0x20, UpToDispatch), (0x28, UpToDispatch),
    (0x30, UpToDispatch), (0x38, UpToDispatch), (0x40, UpToDispatch), (0x48, UpToDispatch), (0x50, UpToDispatch),
    (0x68, UpToDispatch), (0x70, Unknown), (0x78, Unknown), (0x80, Unknown), (0x88, Unknown),
];

#[rustfmt::skip]
pub(super) const ROUTINES: &[Routine] = &[
    r("NdisAcquireRWLockRead", &[RaiseUnless(DISPATCH, 3), StoresOld(2)]),
    r("NdisAcquireRWLockWrite", &[RaiseUnless(DISPATCH, 3), StoresOld(2)]),
    r("NdisAcquireReadWriteLock", &[Raise(DISPATCH), StoresOld(3)]),
    r("NdisAcquireSpinLock", &[Object(1, Kind::SpinLock), Raise(DISPATCH)]),
    r("NdisAllocateTimerObject", &[RegistersIn(2, &[(0x08, Dpc)])]),
    r("NdisDprAcquireReadWriteLock", &[AcquireRaised]),
    r("NdisDprAcquireSpinLock", &[Object(1, Kind::SpinLock), AcquireRaised]),
    r("NdisDprReleaseReadWriteLock", &[]),
    r("NdisDprReleaseSpinLock", &[Object(1, Kind::SpinLock)]),
    r("NdisFRegisterFilterDriver", &[RegistersIn(3, &[(0x40, Notification), (0x48, Notification), (0x50, Notification), (0x58, Notification), (0x60, Notification), (0x68, Notification), (0x70, UpToDispatch), (0x78, UpToDispatch), (0x80, UpToDispatch), (0x88, UpToDispatch), (0x90, UpToDispatch), (0x98, UpToDispatch), (0xa0, UpToDispatch), (0xa8, UpToDispatch), (0xb0, Notification), (0xb8, Notification), (0xc0, UpToDispatch)])]),
    r("NdisIMRegisterLayeredMiniport", &[RegistersIn(2, MINIPORT)]),
    r("NdisInitializeTimer", &[Registers(2, Dpc)]),
    r("NdisMInitializeTimer", &[Registers(3, Dpc)]),
    r("NdisMRegisterDevice", &[RegistersIn(4, MAJORS)]),
    r("NdisMRegisterInterruptEx", &[RegistersIn(3, &[(0x08, Isr), (0x10, Dpc), (0x18, Unknown), (0x20, Unknown), (0x30, Isr), (0x38, Dpc), (0x40, Unknown), (0x48, Unknown)])]),
    r("NdisMRegisterMiniport", &[RegistersIn(2, MINIPORT)]),
    r("NdisMRegisterMiniportDriver", &[RegistersIn(4, &[(0x10, Notification), (0x18, Notification), (0x20, Notification), (0x28, Notification), (0x30, Notification), (0x38, Notification), (0x40, Notification), (0x48, UpToDispatch), (0x50, UpToDispatch), (0x58, UpToDispatch), (0x60, Notification), (0x68, UpToDispatch), (0x70, Notification), (0x78, Unknown), (0x80, UpToDispatch), (0x88, UpToDispatch), (0x90, UpToDispatch), (0x98, Notification)])]),
    r("NdisMRegisterScatterGatherDma", &[RegistersIn(2, &[(0x10, AtDispatch), (0x18, UpToDispatch)])]),
    r("NdisMRegisterUnloadHandler", &[Registers(2, Unload)]),
    r("NdisMSynchronizeWithInterrupt", &[Registers(2, SynchCritSection), Context(3, 1)]),
    r("NdisMSynchronizeWithInterruptEx", &[Registers(3, SynchCritSection), Context(4, 1)]),
    r("NdisQueueIoWorkItem", &[Registers(2, WorkItem), Context(3, 1)]),
    r("NdisRegisterDeviceEx", &[RegistersAt(2, 0x18, MAJORS)]),
    r("NdisRegisterProtocol", &[RegistersIn(3, PROTOCOL)]),
    r("NdisRegisterProtocolDriver", &[RegistersIn(2, &[(0x20, Notification), (0x28, Notification), (0x30, Notification), (0x38, Notification), (0x40, Notification), (0x48, Notification), (0x50, Notification), (0x58, UpToDispatch), (0x60, UpToDispatch), (0x68, UpToDispatch), (0x70, UpToDispatch)])]),
    r("NdisReleaseRWLock", &[LowerToSaved(2)]),
    r("NdisReleaseReadWriteLock", &[LowerToSaved(2)]),
    r("NdisReleaseSpinLock", &[Object(1, Kind::SpinLock), LowerToSaved(1)]),
];
