// The handle of a section is used as if it pointed to something. It is an opaque value (R90, D19).
//
//   expected  K07, then 0x50 (the handle, 0, in X27DeviceControl, 2 or 4)
//   trigger   ioctl 0x222000
//   repaired  the handle is handed back to the system and used for nothing else
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X27DeviceControl;
ULONG X27Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX27, X27Work)

ULONG X27Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(X27Filler, "PAGEX27", 8192)

NTSTATUS X27DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PVOID handle;
    ULONG value = 0;
    UNREFERENCED_PARAMETER(Device);

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    handle = MmLockPagableCodeSection((PVOID)X27Work);
#ifndef FIXED
    value = *(volatile ULONG *)handle;
#endif
    MmUnlockPagableImageSection(handle);
    return SampleOutput(Irp, STATUS_SUCCESS, value);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X27", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X27DeviceControl;
    }
    return status;
}
