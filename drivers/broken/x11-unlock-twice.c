// An error path gives the lock back, and close gives it back again.
//
//   expected  0x1A (0x1010, the handle, 6 COUNT_ZERO, the return address in X11Close)
//   trigger   open, ioctl 0x222000 (fails), close
//   repaired  the lock has one owner: open takes it, close gives it back
#include "sample.h"

PVOID X11Code;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X11Create;
DRIVER_DISPATCH X11Close;
DRIVER_DISPATCH X11DeviceControl;
NTSTATUS X11Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX11, X11Work)

NTSTATUS X11Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value == 0 ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS;
}

SECTION_FILLER(X11Filler, "PAGEX11", 8192)

NTSTATUS X11Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    X11Code = MmLockPagableCodeSection((PVOID)X11Work);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS X11Close(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    MmUnlockPagableImageSection(X11Code);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS X11DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    NTSTATUS status;
    UNREFERENCED_PARAMETER(Device);

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    status = X11Work(SampleInput(Irp));
#ifndef FIXED
    if (!NT_SUCCESS(status)) {
        MmUnlockPagableImageSection(X11Code);
    }
#endif
    return SampleComplete(Irp, status, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X11", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_CREATE] = X11Create;
        Driver->MajorFunction[IRP_MJ_CLOSE] = X11Close;
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X11DeviceControl;
    }
    return status;
}
