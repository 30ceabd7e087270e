//! Routines of KMDF; their first parameter is that of the headers, the globals of the driver.

use super::prelude::*;
use crate::ddi::{EXECUTION_LEVEL, INHERITED, PASSIVE};

/// `WDF_OBJECT_ATTRIBUTES.ExecutionLevel` of the object is `WdfExecutionLevelPassive`, or `WdfExecutionLevelDispatch`.
const fn execution_level(parameter: Parameter, level: u8, role: Role) -> Unless {
    Unless { parameter, offset: EXECUTION_LEVEL, holds: Holds::Number(level), role }
}

/// `WDF_IO_QUEUE_CONFIG`. The parent of a queue is the device.
#[rustfmt::skip]
const QUEUE: &[(i32, Role)] = &[
    (0x10, OfParent), (0x18, OfParent), (0x20, OfParent), (0x28, OfParent), (0x30, OfParent), (0x38, OfParent),
    (0x40, OfParent), (0x48, OfParent),
];

/// `WDF_CHILD_LIST_CONFIG`.
#[rustfmt::skip]
const CHILD_LIST: &[(i32, Role)] = &[
    (0x10, Notification), (0x18, Notification), (0x20, UpToDispatch), (0x28, UpToDispatch), (0x30, UpToDispatch),
    (0x38, UpToDispatch), (0x40, UpToDispatch), (0x48, UpToDispatch), (0x50, UpToDispatch), (0x58, UpToDispatch),
];

#[rustfmt::skip]
pub(super) const ROUTINES: &[Routine] = &[
    r("WdfChildListCreate", &[RegistersIn(3, CHILD_LIST)]),
    r("WdfControlDeviceInitSetShutdownNotification", &[Registers(3, Notification)]),
    r("WdfDeviceCreate", &[ExecutionLevel(Parent::Device, 3)]),
    r("WdfDeviceInitAssignWdmIrpPreprocessCallback", &[RegistersForMajor(3, 4)]),
    r("WdfDeviceInitSetFileObjectConfig", &[RegistersIn(3, &[(0x08, Notification), (0x10, Notification), (0x18, Notification)])]),
    r("WdfDeviceInitSetIoInCallerContextCallback", &[Registers(3, UpToDispatch)]),
    r("WdfDeviceInitSetPnpPowerEventCallbacks", &[RegistersIn(3, &[(0x08, Notification), (0x10, Notification), (0x18, Notification), (0x20, Notification), (0x28, Notification), (0x30, Notification), (0x38, Notification), (0x40, Notification), (0x48, Notification), (0x50, Notification), (0x58, Notification), (0x60, Notification), (0x68, Notification), (0x70, Notification), (0x78, Notification), (0x80, Notification)])]),
    r("WdfDeviceInitSetPowerPolicyEventCallbacks", &[RegistersIn(3, &[(0x08, Notification), (0x10, Notification), (0x18, Notification), (0x20, Notification), (0x28, Notification), (0x30, Notification), (0x38, Notification)])]),
    r("WdfDmaTransactionInitialize", &[Registers(3, AtDispatch)]),
    r("WdfDmaTransactionInitializeUsingRequest", &[Registers(4, AtDispatch)]),
    r("WdfDpcCreate", &[RegistersIn(2, &[(0x08, Dpc)])]),
    r("WdfDriverCreate", &[ExecutionLevel(Parent::Driver, 4), RegistersIn(5, &[(0x08, AddDevice), (0x10, Unload)])]),
    r("WdfFdoInitSetDefaultChildListConfig", &[RegistersIn(3, CHILD_LIST)]),
    r("WdfFdoInitSetEventCallbacks", &[RegistersIn(3, &[(0x08, Notification), (0x10, Notification), (0x18, Notification)])]),
    r("WdfInterruptAcquireLock", &[RaiseInterrupt]),
    r("WdfInterruptCreate", &[RegistersUnless(3, &[(0x18, Isr), (0x28, SynchCritSection), (0x30, SynchCritSection)], &[Unless { parameter: 3, offset: 0x58, holds: Holds::Number(1), role: Notification }]), RegistersIn(3, &[(0x20, Dpc), (0x38, WorkItem)])]),
    r("WdfInterruptReleaseLock", &[LowerToSaved(2)]),
    r("WdfInterruptSynchronize", &[RegistersSynchronized(3)]),
    r("WdfIoQueueCreate", &[ExecutionLevel(Parent::Queue, 4), RegistersUnless(3, QUEUE, &[execution_level(4, PASSIVE, Notification), execution_level(4, 3, UpToDispatch)])]),
    r("WdfIoQueueDrain", &[Registers(3, UpToDispatch)]),
    r("WdfIoQueuePurge", &[Registers(3, UpToDispatch)]),
    r("WdfIoQueueReadyNotify", &[Registers(3, UpToDispatch)]),
    r("WdfIoQueueStop", &[Registers(3, UpToDispatch)]),
    r("WdfIoTargetOpen", &[RegistersIn(3, &[(0x08, Notification), (0x10, Notification), (0x18, Notification)])]),
    r("WdfObjectAcquireLock", &[RaiseIf(DISPATCH)]),
    r("WdfObjectReleaseLock", &[LowerToSaved(2)]),
    r("WdfPdoInitSetEventCallbacks", &[RegistersIn(3, &[(0x08, Notification), (0x10, Notification), (0x18, Notification), (0x20, Notification), (0x28, Notification), (0x30, Notification)])]),
    r("WdfRequestMarkCancelable", &[Registers(3, UpToDispatch)]),
    r("WdfRequestMarkCancelableEx", &[Registers(3, UpToDispatch)]),
    r("WdfRequestSetCompletionRoutine", &[Registers(3, UpToDispatch)]),
    r("WdfSpinLockAcquire", &[Raise(DISPATCH)]),
    r("WdfSpinLockRelease", &[LowerToSaved(2)]),
    r("WdfTimerCreate", &[RegistersUnless(2, &[(0x08, UpToDispatch)], &[execution_level(3, PASSIVE, Notification), execution_level(3, INHERITED, TimerOfParent), execution_level(3, 3, Dpc)])]),
    r("WdfUsbTargetPipeConfigContinuousReader", &[RegistersIn(3, &[(0x30, UpToDispatch), (0x40, Notification)])]),
    r("WdfWaitLockAcquire", &[Enter, WaitsUnlessTimed(3)]),
    r("WdfWaitLockRelease", &[Leave]),
    r("WdfWmiInstanceCreate", &[RegistersIn(3, &[(0x20, Notification), (0x28, Notification), (0x30, Notification), (0x38, Notification)])]),
    r("WdfWmiProviderCreate", &[RegistersIn(3, &[(0x20, Notification)])]),
    r("WdfWorkItemCreate", &[RegistersIn(2, &[(0x08, WorkItem)])]),
];

/// Routines of KMDF of which something is known, by their number (wdffuncenum.h).
pub(crate) const FRAMEWORK: &[(u32, &str)] = &[
    (0, "WdfChildListCreate"),
    (26, "WdfControlDeviceInitSetShutdownNotification"),
    (55, "WdfDeviceInitSetPnpPowerEventCallbacks"),
    (56, "WdfDeviceInitSetPowerPolicyEventCallbacks"),
    (71, "WdfDeviceInitSetFileObjectConfig"),
    (73, "WdfDeviceInitAssignWdmIrpPreprocessCallback"),
    (74, "WdfDeviceInitSetIoInCallerContextCallback"),
    (75, "WdfDeviceCreate"),
    (99, "WdfDmaTransactionInitialize"),
    (100, "WdfDmaTransactionInitializeUsingRequest"),
    (111, "WdfDpcCreate"),
    (116, "WdfDriverCreate"),
    (128, "WdfFdoInitSetEventCallbacks"),
    (130, "WdfFdoInitSetDefaultChildListConfig"),
    (141, "WdfInterruptCreate"),
    (143, "WdfInterruptSynchronize"),
    (144, "WdfInterruptAcquireLock"),
    (145, "WdfInterruptReleaseLock"),
    (152, "WdfIoQueueCreate"),
    (155, "WdfIoQueueStop"),
    (163, "WdfIoQueueDrain"),
    (165, "WdfIoQueuePurge"),
    (166, "WdfIoQueueReadyNotify"),
    (168, "WdfIoTargetOpen"),
    (211, "WdfPdoInitSetEventCallbacks"),
    (255, "WdfRequestMarkCancelable"),
    (260, "WdfRequestSetCompletionRoutine"),
    (310, "WdfObjectAcquireLock"),
    (311, "WdfObjectReleaseLock"),
    (313, "WdfWaitLockAcquire"),
    (314, "WdfWaitLockRelease"),
    (316, "WdfSpinLockAcquire"),
    (317, "WdfSpinLockRelease"),
    (318, "WdfTimerCreate"),
    (350, "WdfUsbTargetPipeConfigContinuousReader"),
    (369, "WdfWmiProviderCreate"),
    (373, "WdfWmiInstanceCreate"),
    (379, "WdfWorkItemCreate"),
    (393, "WdfRequestMarkCancelableEx"),
];
