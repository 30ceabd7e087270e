// Requests that are sent on or completed wrongly. One define each:
//
//   NO_LOCATION      a request with one stack location is passed to a second device as if   0x35 (the request, 0, 0, 0)
//                    that were attached below
//   COMPLETE_TWICE   a request is completed by the routine that fails, and by its caller    0x44 (the request, 0, 0, 0)
//
//   trigger   ioctl 0x222000
//   repaired  the stack location is handed on; one routine completes
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH FatalDeviceControl;
DRIVER_UNLOAD FatalUnload;

#pragma alloc_text(INIT, DriverEntry)

#if defined(NO_LOCATION)

PDEVICE_OBJECT FatalSecond;
LONG FatalSent;

NTSTATUS FatalDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    NTSTATUS status;
    if (Device == FatalSecond) {
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    }
#ifdef FIXED
    IoSkipCurrentIrpStackLocation(Irp);
#else
    IoCopyCurrentIrpStackLocationToNext(Irp); // there is none: StackSize of the first device is 1
#endif
    status = IoCallDriver(FatalSecond, Irp);
    InterlockedIncrement(&FatalSent);
    return status;
}

VOID FatalUnload(PDRIVER_OBJECT Driver)
{
    IoDeleteDevice(FatalSecond);
    SampleDeleteDevice(Driver);
}

NTSTATUS FatalPrepare(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Device)
{
    UNREFERENCED_PARAMETER(Device);
    return IoCreateDevice(Driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &FatalSecond);
}

#else

NTSTATUS FatalCheck(PIRP Irp)
{
    NTSTATUS status = SampleControlCode(Irp) == SAMPLE_IOCTL(0) ? STATUS_SUCCESS : STATUS_INVALID_DEVICE_REQUEST;
#ifndef FIXED
    SampleComplete(Irp, status, 0);
#endif
    return status;
}

NTSTATUS FatalDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    NTSTATUS status = FatalCheck(Irp);
    UNREFERENCED_PARAMETER(Device);
    return SampleComplete(Irp, status, 0);
}

VOID FatalUnload(PDRIVER_OBJECT Driver)
{
    SampleDeleteDevice(Driver);
}

NTSTATUS FatalPrepare(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Device)
{
    UNREFERENCED_PARAMETER(Driver);
    UNREFERENCED_PARAMETER(Device);
    return STATUS_SUCCESS;
}

#endif

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Fatal", 0, &device);
    if (NT_SUCCESS(status)) {
        status = FatalPrepare(Driver, device);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = FatalDeviceControl;
        Driver->DriverUnload = FatalUnload;
        if (!NT_SUCCESS(status)) {
            SampleDeleteDevice(Driver);
        }
    }
    return status;
}
