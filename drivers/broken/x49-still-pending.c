// A device is started: the request goes down with a completion routine that uses a section, and the section is unlocked when
// IoCallDriver returns, as if the request had ended by then. A driver of a bus may return STATUS_PENDING and complete the
// request later (docs: kernel/irp-mn-start-device, devtest/force-pending-i-o-requests).
//
//   expected  K13; out: 0xD1 (X49Work, 2, 8, X49Work)
//   trigger   start, while the driver of the bus leaves the request pending
//   repaired  where IoCallDriver returns STATUS_PENDING, waits for the completion routine
#include "attached.h"

typedef struct _X49 {
    ATTACHED Attached;
    KSPIN_LOCK Lock;
    ULONG Value;
    KEVENT Done;
} X49, *PX49;

DRIVER_INITIALIZE DriverEntry;
DRIVER_ADD_DEVICE X49AddDevice;
DRIVER_DISPATCH X49Pnp;
IO_COMPLETION_ROUTINE X49Started;
ULONG X49Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX49, X49Work)

ULONG X49Work(ULONG Value)
{
    return Value + 1;
}

SECTION_FILLER(X49Filler, "PAGEX49", 8192)

NTSTATUS X49Started(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    PX49 x49 = Context;
    KIRQL irql;
    UNREFERENCED_PARAMETER(Device);

    KeAcquireSpinLock(&x49->Lock, &irql);
    x49->Value = X49Work(x49->Value);
    KeReleaseSpinLock(&x49->Lock, irql);
#ifdef FIXED
    UNREFERENCED_PARAMETER(Irp);
    KeSetEvent(&x49->Done, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
#else
    if (Irp->PendingReturned) {
        IoMarkIrpPending(Irp);
    }
    return STATUS_SUCCESS; // STATUS_CONTINUE_COMPLETION
#endif
}

static NTSTATUS X49Start(PX49 X49, PIRP Irp)
{
    PVOID section = MmLockPagableCodeSection((PVOID)X49Work);
    NTSTATUS status;

    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, X49Started, X49, TRUE, TRUE, TRUE);
    status = IoCallDriver(X49->Attached.Below, Irp);
#ifdef FIXED
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&X49->Done, Executive, KernelMode, FALSE, NULL);
    }
    status = Irp->IoStatus.Status;
#endif
    MmUnlockPagableImageSection(section);
#ifdef FIXED
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
#endif
    return status;
}

NTSTATUS X49AddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical)
{
    PDEVICE_OBJECT device;
    NTSTATUS status = AttachedCreate(Driver, Physical, sizeof(X49), &device);

    if (NT_SUCCESS(status)) {
        PX49 x49 = device->DeviceExtension;
        KeInitializeSpinLock(&x49->Lock);
        KeInitializeEvent(&x49->Done, SynchronizationEvent, FALSE);
        device->Flags |= x49->Attached.Below->Flags & DO_POWER_PAGABLE;
        device->Flags &= ~DO_DEVICE_INITIALIZING;
    }
    return status;
}

NTSTATUS X49Pnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (IoGetCurrentIrpStackLocation(Irp)->MinorFunction == IRP_MN_START_DEVICE) {
        return X49Start(Device->DeviceExtension, Irp);
    }
    return AttachedPnp(Device, Irp);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    AttachedSetRoutines(Driver);
    Driver->DriverExtension->AddDevice = X49AddDevice;
    Driver->MajorFunction[IRP_MJ_PNP] = X49Pnp;
    return STATUS_SUCCESS;
}
