// A device is started: the request goes down with a completion routine, and the driver waits for that, as it is to. But the
// completion routine reads a table in PAGEDATA, and the driver of the bus may complete the request in a DPC (docs:
// kernel/postponing-pnp-irp-processing-until-lower-drivers-finish).
//
//   expected  K13; out: 0xD1 (X50Weights, 2, 0, X50Started)
//   trigger   start, while the driver of the bus completes the request in a DPC
//   repaired  reads the table where it waited, at PASSIVE_LEVEL
#include "attached.h"

typedef struct _X50 {
    ATTACHED Attached;
    ULONG Value;
    KEVENT Done;
} X50, *PX50;

DRIVER_INITIALIZE DriverEntry;
DRIVER_ADD_DEVICE X50AddDevice;
DRIVER_DISPATCH X50Pnp;
IO_COMPLETION_ROUTINE X50Started;

#pragma alloc_text(INIT, DriverEntry)

#pragma data_seg("PAGEDATA")
volatile ULONG X50Weights[1024] = {3, 5, 8};
#pragma data_seg()

NTSTATUS X50Started(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    PX50 x50 = Context;
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
#ifndef FIXED
    x50->Value += X50Weights[1];
#endif
    KeSetEvent(&x50->Done, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS X50Start(PX50 X50, PIRP Irp)
{
    NTSTATUS status;

    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, X50Started, X50, TRUE, TRUE, TRUE);
    status = IoCallDriver(X50->Attached.Below, Irp);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&X50->Done, Executive, KernelMode, FALSE, NULL);
    }
    status = Irp->IoStatus.Status;
#ifdef FIXED
    X50->Value += X50Weights[1];
#endif
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return status;
}

NTSTATUS X50AddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical)
{
    PDEVICE_OBJECT device;
    NTSTATUS status = AttachedCreate(Driver, Physical, sizeof(X50), &device);

    if (NT_SUCCESS(status)) {
        PX50 x50 = device->DeviceExtension;
        KeInitializeEvent(&x50->Done, SynchronizationEvent, FALSE);
        device->Flags |= x50->Attached.Below->Flags & DO_POWER_PAGABLE;
        device->Flags &= ~DO_DEVICE_INITIALIZING;
    }
    return status;
}

NTSTATUS X50Pnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (IoGetCurrentIrpStackLocation(Irp)->MinorFunction == IRP_MN_START_DEVICE) {
        return X50Start(Device->DeviceExtension, Irp);
    }
    return AttachedPnp(Device, Irp);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    AttachedSetRoutines(Driver);
    Driver->DriverExtension->AddDevice = X50AddDevice;
    Driver->MajorFunction[IRP_MJ_PNP] = X50Pnp;
    return STATUS_SUCCESS;
}
