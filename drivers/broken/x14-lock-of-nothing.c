// Four things that are no pageable section.
//
//   expected  0x1A (0x1234, the value, reason, the return address) with the reason
//             input 0  3 DISCARDED: a function of INIT
//             input 1  1 NO_MODULE: an address in pool
//             input 2  2 NO_SECTION: the header of the image
//             input 3  4 UNKNOWN_HANDLE: NULL, by handle
//   trigger   ioctl 0x222000
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
static VOID X14LockAndUnlock(PDEVICE_OBJECT Device, ULONG What)
{
    PVOID handle = MmLockPagableCodeSection((PVOID)X14Work);
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(What);
    MmUnlockPagableImageSection(handle);
}
#else
static VOID X14LockAndUnlock(PDEVICE_OBJECT Device, ULONG What)
{
    PVOID handle = NULL;
    switch (What) {
    case 0:
        handle = MmLockPagableCodeSection((PVOID)DriverEntry);
        break;
    case 1:
        handle = MmLockPagableDataSection(Device->DeviceExtension);
        break;
    case 2:
        handle = MmLockPagableDataSection(Device->DriverObject->DriverStart);
        break;
    default:
        MmLockPagableSectionByHandle(handle);
        break;
    }
    MmUnlockPagableImageSection(handle);
}
#endif

NTSTATUS X14DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    X14LockAndUnlock(Device, SampleInput(Irp));
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

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
