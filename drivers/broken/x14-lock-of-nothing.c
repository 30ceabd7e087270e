// Four things that are no pageable section.
//
//   expected  0x1A (0x1234, the value, reason, the return address) with the reason
//             ioctl 0x222000  3 DISCARDED: a function of INIT
//             ioctl 0x222004  1 NO_MODULE: an address in pool
//             ioctl 0x222008  2 NO_SECTION: the header of the image
//             ioctl 0x22200C  4 UNKNOWN_HANDLE: NULL, by handle
//   trigger   one of the four
//   repaired  all four lock, and unlock, a function of PAGE
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X14DeviceControl;
ULONG X14Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, X14Work)

ULONG X14Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(X14Filler, "PAGE", 4096)

#ifdef FIXED
NTSTATUS X14DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PVOID handle = MmLockPagableCodeSection((PVOID)X14Work);
    UNREFERENCED_PARAMETER(Device);
    MmUnlockPagableImageSection(handle);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}
#else
NTSTATUS X14DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PVOID handle = NULL;
    switch (SampleControlCode(Irp)) {
    case SAMPLE_IOCTL(0):
        handle = MmLockPagableCodeSection((PVOID)DriverEntry);
        break;
    case SAMPLE_IOCTL(1):
        handle = MmLockPagableDataSection(Device->DeviceExtension);
        break;
    case SAMPLE_IOCTL(2):
        handle = MmLockPagableDataSection(Device->DriverObject->DriverStart);
        break;
    case SAMPLE_IOCTL(3):
        MmLockPagableSectionByHandle(handle);
        break;
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    MmUnlockPagableImageSection(handle);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}
#endif

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X14", sizeof(ULONG), &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X14DeviceControl;
    }
    return status;
}
