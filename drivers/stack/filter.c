// An upper filter: it is attached to a stack, sees each request on its way down and each device control on its way up.
//
//   ioctl 0x222008  SEEN: output: how many device controls have come back up; the filter's own, the driver below never sees it
//
// PAGEABLE_POWER: the power routine lies in PAGE. The stack's devices have DO_POWER_PAGABLE clear, so it is called at
// DISPATCH_LEVEL, and the filter may be in the paging path of the device.
//   expected  K23 when the device accepts a paging file; [S] 0xD1 (FilterPower, 2, 8, FilterPower)
//   repaired  the routine is resident (R8, R20)
#include "stack.h"

typedef struct _FILTER {
    LAYER Layer;
    LONG Seen;
} FILTER, *PFILTER;

DRIVER_INITIALIZE DriverEntry;
DRIVER_ADD_DEVICE FilterAddDevice;
DRIVER_UNLOAD FilterUnload;
DRIVER_DISPATCH FilterPassDown;
DRIVER_DISPATCH FilterDeviceControl;
DRIVER_DISPATCH FilterPnp;
DRIVER_DISPATCH FilterPower;
static IO_COMPLETION_ROUTINE FilterSeen;

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, FilterAddDevice)
#pragma alloc_text(PAGE, FilterUnload)
#pragma alloc_text(PAGE, FilterPnp)
#if defined(PAGEABLE_POWER) && !defined(FIXED)
#pragma alloc_text(PAGE, FilterPower)
#endif

NTSTATUS FilterAddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical)
{
    PLAYER layer;
    NTSTATUS status;
    PAGED_CODE();

    status = LayerAttach(Driver, Physical, NULL, sizeof(FILTER), &layer);
    if (NT_SUCCESS(status)) {
        layer->Self->Flags &= ~DO_DEVICE_INITIALIZING;
    }
    return status;
}

NTSTATUS FilterPassDown(PDEVICE_OBJECT Device, PIRP Irp)
{
    return LayerPassDown(Device->DeviceExtension, Irp);
}

// At DISPATCH_LEVEL or below, in any thread.
static NTSTATUS FilterSeen(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    PFILTER filter = Context;
    UNREFERENCED_PARAMETER(Device);
    if (Irp->PendingReturned) {
        IoMarkIrpPending(Irp);
    }
    InterlockedIncrement(&filter->Seen);
    IoReleaseRemoveLock(&filter->Layer.RemoveLock, Irp);
    return STATUS_SUCCESS; // STATUS_CONTINUE_COMPLETION
}

NTSTATUS FilterDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFILTER filter = Device->DeviceExtension;
    NTSTATUS status;

    if (SampleControlCode(Irp) == SAMPLE_IOCTL(2)) {
        return SampleOutput(Irp, STATUS_SUCCESS, filter->Seen);
    }
    status = IoAcquireRemoveLock(&filter->Layer.RemoveLock, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, FilterSeen, filter, TRUE, TRUE, TRUE);
    return IoCallDriver(filter->Layer.Below, Irp);
}

NTSTATUS FilterPnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFILTER filter = Device->DeviceExtension;
    NTSTATUS status = IoAcquireRemoveLock(&filter->Layer.RemoveLock, Irp);
    PAGED_CODE();

    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    if (IoGetCurrentIrpStackLocation(Irp)->MinorFunction == IRP_MN_REMOVE_DEVICE) {
        status = LayerPassDown(&filter->Layer, Irp);
        LayerDetach(&filter->Layer, Irp);
        return status;
    }
    status = LayerPassDown(&filter->Layer, Irp);
    IoReleaseRemoveLock(&filter->Layer.RemoveLock, Irp);
    return status;
}

NTSTATUS FilterPower(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(((PFILTER)Device->DeviceExtension)->Layer.Below, Irp);
}

VOID FilterUnload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PAGED_CODE();
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    ULONG major;
    UNREFERENCED_PARAMETER(RegistryPath);
    for (major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; major++) {
        Driver->MajorFunction[major] = FilterPassDown;
    }
    Driver->DriverUnload = FilterUnload;
    Driver->DriverExtension->AddDevice = FilterAddDevice;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = FilterDeviceControl;
    Driver->MajorFunction[IRP_MJ_PNP] = FilterPnp;
    Driver->MajorFunction[IRP_MJ_POWER] = FilterPower;
    return STATUS_SUCCESS;
}
