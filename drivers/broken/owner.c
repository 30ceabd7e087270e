// Not broken: a driver with a section that others can ask about. It is locked while a program has the driver open.
//
//   ioctl 0x222000  HANDLE: output: the handle of the section, eight bytes
//   ioctl 0x222004  LOCK, 0x222008 UNLOCK: on behalf of a driver that needs the section; the owner does it itself
#include "owner.h"

PVOID OwnerSection;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH OwnerCreate;
DRIVER_DISPATCH OwnerClose;
DRIVER_DISPATCH OwnerDeviceControl;
ULONG OwnerWork(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEOWN, OwnerWork)

ULONG OwnerWork(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(OwnerFiller, "PAGEOWN", 8192)

// Drivers open us too, by IoGetDeviceObjectPointer; that lock lasts as long as their question. The first lock is by address,
// the others are by handle (R13).
NTSTATUS OwnerCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    if (OwnerSection == NULL) {
        OwnerSection = MmLockPagableCodeSection((PVOID)OwnerWork);
    } else {
        MmLockPagableSectionByHandle(OwnerSection);
    }
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS OwnerClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    MmUnlockPagableImageSection(OwnerSection);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS OwnerDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    switch (SampleControlCode(Irp)) {
    case IOCTL_OWNER_HANDLE:
        if (IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.OutputBufferLength < sizeof(PVOID)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        *(PVOID *)Irp->AssociatedIrp.SystemBuffer = OwnerSection;
        return SampleComplete(Irp, STATUS_SUCCESS, sizeof(PVOID));
    case IOCTL_OWNER_LOCK:
        MmLockPagableSectionByHandle(OwnerSection);
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    case IOCTL_OWNER_UNLOCK:
        MmUnlockPagableImageSection(OwnerSection);
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, OWNER_NAME, 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_CREATE] = OwnerCreate;
        Driver->MajorFunction[IRP_MJ_CLOSE] = OwnerClose;
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = OwnerDeviceControl;
    }
    return status;
}
