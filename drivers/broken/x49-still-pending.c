// A device is started: the request goes down with a completion routine that uses a section, and the section is unlocked when
// IoCallDriver returns, as if the request had ended by then. A driver of a bus may return STATUS_PENDING and complete the
// request later (docs: kernel/irp-mn-start-device, devtest/force-pending-i-o-requests).
//
//   expected  K13; out: 0xD1 (X49Work, 2, 8, X49Work)
//   trigger   start, while the driver of the bus leaves the request pending
//   repaired  where IoCallDriver returns STATUS_PENDING, waits for the completion routine
#include "driver.h"

typedef struct _X49 {
    PDEVICE_OBJECT Below;
    KSPIN_LOCK Lock;
    ULONG Value;
    KEVENT Done;
} X49, *PX49;

DRIVER_INITIALIZE DriverEntry;
DRIVER_ADD_DEVICE X49AddDevice;
DRIVER_UNLOAD X49Unload;
DRIVER_DISPATCH X49PassDown;
DRIVER_DISPATCH X49Power;
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
    status = IoCallDriver(X49->Below, Irp);
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
    PX49 x49;
    NTSTATUS status = IoCreateDevice(Driver, sizeof(X49), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);

    if (!NT_SUCCESS(status)) {
        return status;
    }
    x49 = device->DeviceExtension;
    KeInitializeSpinLock(&x49->Lock);
    KeInitializeEvent(&x49->Done, SynchronizationEvent, FALSE);
    x49->Below = IoAttachDeviceToDeviceStack(device, Physical);
    if (x49->Below == NULL) {
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    device->Flags |= x49->Below->Flags & DO_POWER_PAGABLE;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

NTSTATUS X49PassDown(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(((PX49)Device->DeviceExtension)->Below, Irp);
}

NTSTATUS X49Power(PDEVICE_OBJECT Device, PIRP Irp)
{
    PoStartNextPowerIrp(Irp);
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(((PX49)Device->DeviceExtension)->Below, Irp);
}

NTSTATUS X49Pnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX49 x49 = Device->DeviceExtension;
    NTSTATUS status;

    switch (IoGetCurrentIrpStackLocation(Irp)->MinorFunction) {
    case IRP_MN_START_DEVICE:
        return X49Start(x49, Irp);
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
    case IRP_MN_SURPRISE_REMOVAL:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        return X49PassDown(Device, Irp);
    case IRP_MN_REMOVE_DEVICE:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        status = X49PassDown(Device, Irp);
        IoDetachDevice(x49->Below);
        IoDeleteDevice(Device);
        return status;
    default:
        return X49PassDown(Device, Irp);
    }
}

VOID X49Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    ULONG major;
    UNREFERENCED_PARAMETER(RegistryPath);
    for (major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; major++) {
        Driver->MajorFunction[major] = X49PassDown;
    }
    Driver->DriverUnload = X49Unload;
    Driver->DriverExtension->AddDevice = X49AddDevice;
    Driver->MajorFunction[IRP_MJ_PNP] = X49Pnp;
    Driver->MajorFunction[IRP_MJ_POWER] = X49Power;
    return STATUS_SUCCESS;
}
