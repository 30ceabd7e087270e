//! The IRQL rules of DDI compliance checking, with their numbers in bug check 0xC4 and the routines that each is about (docs:
//! devtest/wdm-irql*, debugger/bug-check-0xc4). At which IRQL a routine may be called stands in its export row.

use nt_types::Irql;

use crate::exports::mm;

/// A rule: its number, the lowest and the highest level that it allows, and the modelled ones of its routines.
type IrqlRule = (u64, (Irql, Irql), &'static [&'static str]);

const PASSIVE: (Irql, Irql) = (Irql::PASSIVE, Irql::PASSIVE);
const APC: (Irql, Irql) = (Irql::PASSIVE, Irql::APC);
const DISPATCH: (Irql, Irql) = (Irql::PASSIVE, Irql::DISPATCH);
const DISPATCH_ONLY: (Irql, Irql) = (Irql::DISPATCH, Irql::DISPATCH);

/// IrqlMmApcLte, which has a finding of its own where the verifier is off (R142, D40).
pub(crate) const IRQL_MM_APC_LTE: u64 = 0x0002_0019;

#[rustfmt::skip]
const RULES: &[IrqlRule] = &[
    // IrqlDispatch
    (0x0002_0003, DISPATCH_ONLY, &[
        "IoStartNextPacket", "IoWriteErrorLogEntry", "KeAcquireSpinLockAtDpcLevel", "KeInsertByKeyDeviceQueue",
        "KeInsertDeviceQueue", "KeReleaseSpinLockFromDpcLevel", "KeRemoveByKeyDeviceQueue", "KeRemoveDeviceQueue",
    ]),
    // IrqlExAllocatePool
    (0x0002_0004, DISPATCH, &[
        "ExAllocatePoolWithTag", "ExAllocatePoolWithTagPriority",
    ]),
    // IrqlExApcLte1
    (0x0002_0005, APC, &[
        "ExAcquireFastMutex", "ExTryToAcquireFastMutex",
    ]),
    // IrqlExApcLte2
    (0x0002_0006, APC, &[
        "ExAllocatePoolWithQuotaTag", "ExDeletePagedLookasideList", "ExInitializePagedLookasideList",
        "ExRegisterCallback", "ExSetTimerResolution", "ExUnregisterCallback",
    ]),
    // IrqlExApcLte3
    (0x0002_0007, APC, &[
        "ExAcquireResourceExclusiveLite", "ExAcquireResourceSharedLite", "ExAcquireSharedStarveExclusive",
        "ExAcquireSharedWaitForExclusive", "ExConvertExclusiveToSharedLite", "ExDeleteResourceLite",
        "ExReleaseResourceLite",
    ]),
    // IrqlExPassive
    (0x0002_0008, PASSIVE, &[
        "ExCreateCallback", "ExRaiseAccessViolation", "ExRaiseDatatypeMisalignment", "ExRaiseStatus", "ExUuidCreate",
    ]),
    // IrqlIoApcLte
    (0x0002_0009, APC, &[
        "IoDeleteDevice", "IoGetInitialStack", "IoRaiseHardError",
    ]),
    // IrqlIoPassive1
    (0x0002_000A, PASSIVE, &[
        "IoAttachDevice", "IoBuildDeviceIoControlRequest", "IoCreateDevice", "IoSetDeviceInterfaceState",
    ]),
    // IrqlIoPassive2
    (0x0002_000B, PASSIVE, &[
        "IoConnectInterrupt",
    ]),
    // IrqlIoPassive3
    (0x0002_000C, PASSIVE, &[
        "IoCreateSymbolicLink", "IoDetachDevice", "IoRegisterDeviceInterface",
    ]),
    // IrqlIoPassive4
    (0x0002_000D, PASSIVE, &[
        "IoCreateFile", "IoCreateNotificationEvent", "IoCreateSymbolicLink", "IoCreateSynchronizationEvent",
        "IoCreateUnprotectedSymbolicLink", "IoDeleteSymbolicLink", "IoDisconnectInterrupt",
    ]),
    // IrqlIoPassive5
    (0x0002_000E, PASSIVE, &[
        "IoGetConfigurationInformation", "IoGetDeviceObjectPointer", "IoGetDmaAdapter",
        "IoGetFileObjectGenericMapping", "IoInitializeTimer", "IoIsWdmVersionAvailable",
        "IoRegisterDriverReinitialization", "IoRegisterShutdownNotification", "IoUnregisterShutdownNotification",
        "IoWMIRegistrationControl",
    ]),
    // IrqlKeApcLte1
    (0x0002_000F, APC, &[
        "KeAcquireGuardedMutex", "KeDelayExecutionThread", "KeQueryActiveProcessors", "KeReleaseGuardedMutex",
        "KeTryToAcquireGuardedMutex",
    ]),
    // IrqlKeApcLte2
    (0x0002_0010, APC, &[
        "KeAreAllApcsDisabled", "KeAreApcsDisabled", "KeEnterCriticalRegion", "KeEnterGuardedRegion",
        "KeLeaveCriticalRegion", "KeLeaveGuardedRegion",
    ]),
    // IrqlKeDispatchLte
    (0x0002_0011, DISPATCH, &[
        "KeCancelTimer", "KeClearEvent", "KeFlushIoBuffers", "KeInitializeDeviceQueue", "KeInitializeSemaphore",
        "KeInitializeTimer", "KeInitializeTimerEx", "KePulseEvent", "KeRaiseIrqlToDpcLevel", "KeReadStateEvent",
        "KeReadStateTimer", "KeReleaseMutex", "KeRemoveEntryDeviceQueue", "KeResetEvent", "KeSetTimer",
        "KeSetTimerEx",
    ]),
    // IrqlKeReleaseSpinLock
    (0x0002_0015, DISPATCH_ONLY, &[
        "KeReleaseSpinLock",
    ]),
    // IrqlKeSetEvent
    (0x0002_0016, APC, &[
        "KeSetEvent",
    ]),
    // IrqlMmDispatch
    (0x0002_001A, DISPATCH, &[
        "MmFreeContiguousMemory",
    ]),
    // IrqlObPassive
    (0x0002_001B, PASSIVE, &[
        "ObReferenceObjectByHandle",
    ]),
    // IrqlPsPassive
    (0x0002_001C, PASSIVE, &[
        "PsCreateSystemThread", "PsGetVersion", "PsSetCreateProcessNotifyRoutine", "PsSetCreateThreadNotifyRoutine",
        "PsSetLoadImageNotifyRoutine", "PsTerminateSystemThread",
    ]),
    // IrqlRtlPassive
    (0x0002_001E, PASSIVE, &[
        "RtlDeleteRegistryValue",
    ]),
    // IrqlZwPassive
    (0x0002_001F, PASSIVE, &[
        "ZwClose", "ZwCreateKey", "ZwDeleteKey", "ZwEnumerateKey", "ZwEnumerateValueKey", "ZwFlushKey", "ZwOpenKey",
        "ZwQueryKey", "ZwQueryValueKey", "ZwSetValueKey",
    ]),
    // IrqlIoDispatch
    (0x0002_0022, DISPATCH, &[
        "IoGetDeviceToVerify", "IoSetDeviceToVerify",
    ]),
    // IrqlIoRtlZwPassive
    (0x0002_0023, PASSIVE, &[
        "IoCreateFileSpecifyDeviceObjectHint", "IoOpenDeviceInterfaceRegistryKey", "IoOpenDeviceRegistryKey",
        "RtlCreateRegistryKey", "RtlWriteRegistryValue", "ZwCreateDirectoryObject", "ZwCreateFile", "ZwDeleteFile",
        "ZwDeleteValueKey", "ZwFlushBuffersFile", "ZwSetInformationFile",
    ]),
    // IrqlNtifsApcPassive
    (0x0002_0024, PASSIVE, &[
        "ZwWriteFile",
    ]),
];

/// The rule that a call of this routine at this level breaks; `None` where there is none.
pub(crate) fn broken_by(routine: &str, irql: Irql) -> Option<u64> {
    let about = |(_, _, routines): &&IrqlRule| routines.contains(&routine);
    let of_table = RULES.iter().find(about).map(|(rule, allowed, _)| (*rule, *allowed));
    let of_memory = || mm::IRQL_MM_APC_LTE.contains(&routine).then_some((IRQL_MM_APC_LTE, APC));
    let (rule, (lowest, highest)) = of_table.or_else(of_memory)?;
    (irql < lowest || irql > highest).then_some(rule)
}
