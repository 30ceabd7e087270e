// A device is started: the request goes down with a completion routine, and the driver waits for that, as it is to. But the
// completion routine reads a table in PAGEDATA, and the driver of the bus may complete the request in a DPC (docs:
// kernel/postponing-pnp-irp-processing-until-lower-drivers-finish).
//
//   expected  K13; out: 0xD1 (X50Weights, 2, 0, X50Started)
//   trigger   start, while the driver of the bus completes the request in a DPC
//   repaired  reads the table where it waited, at PASSIVE_LEVEL
#include "driver.h"

typedef struct _X50 {
    PDEVICE_OBJECT Below;
    ULONG Value;
    KEVENT Done;
} X50, *PX50;

DRIVER_INITIALIZE DriverEntry;
DRIVER_ADD_DEVICE X50AddDevice;
DRIVER_UNLOAD X50Unload;
DRIVER_DISPATCH X50PassDown;
DRIVER_DISPATCH X50Power;
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
    status = IoCallDriver(X50->Below, Irp);
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
    PX50 x50;
    NTSTATUS status = IoCreateDevice(Driver, sizeof(X50), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);

    if (!NT_SUCCESS(status)) {
        return status;
    }
    x50 = device->DeviceExtension;
    KeInitializeEvent(&x50->Done, SynchronizationEvent, FALSE);
    x50->Below = IoAttachDeviceToDeviceStack(device, Physical);
    if (x50->Below == NULL) {
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    device->Flags |= x50->Below->Flags & DO_POWER_PAGABLE;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

NTSTATUS X50PassDown(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(((PX50)Device->DeviceExtension)->Below, Irp);
}

NTSTATUS X50Power(PDEVICE_OBJECT Device, PIRP Irp)
{
    PoStartNextPowerIrp(Irp);
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(((PX50)Device->DeviceExtension)->Below, Irp);
}

NTSTATUS X50Pnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX50 x50 = Device->DeviceExtension;
    NTSTATUS status;

    switch (IoGetCurrentIrpStackLocation(Irp)->MinorFunction) {
    case IRP_MN_START_DEVICE:
        return X50Start(x50, Irp);
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
    case IRP_MN_SURPRISE_REMOVAL:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        return X50PassDown(Device, Irp);
    case IRP_MN_REMOVE_DEVICE:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        status = X50PassDown(Device, Irp);
        IoDetachDevice(x50->Below);
        IoDeleteDevice(Device);
        return status;
    default:
        return X50PassDown(Device, Irp);
    }
}

VOID X50Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    ULONG major;
    UNREFERENCED_PARAMETER(RegistryPath);
    for (major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; major++) {
        Driver->MajorFunction[major] = X50PassDown;
    }
    Driver->DriverUnload = X50Unload;
    Driver->DriverExtension->AddDevice = X50AddDevice;
    Driver->MajorFunction[IRP_MJ_PNP] = X50Pnp;
    Driver->MajorFunction[IRP_MJ_POWER] = X50Power;
    return STATUS_SUCCESS;
}
