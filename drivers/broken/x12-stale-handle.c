// A driver keeps the handle of another driver's section, which is unloaded and loaded again. The handle died with the image
// it was issued for (R14, D19).
//
//   expected  ioctl 0x222004: K06 and 0x1A (0x1234, the handle, 5 STALE_HANDLE, the return address);
//             ioctl 0x222008: K06 and 0x1A (0x1010, the handle, 5 STALE_HANDLE, the return address)
//   trigger   load owner and this; ioctl 0x222000 (keep); unload owner, load it again; ioctl 0x222004 or 0x222008
//   repaired  no handle leaves its driver: the owner is asked to lock, and to unlock, each time
#include "owner.h"

#define IOCTL_X12_KEEP SAMPLE_IOCTL(0)
#define IOCTL_X12_LOCK SAMPLE_IOCTL(1)
#define IOCTL_X12_UNLOCK SAMPLE_IOCTL(2)

PVOID X12Handle;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X12DeviceControl;

#pragma alloc_text(INIT, DriverEntry)

NTSTATUS X12DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    switch (SampleControlCode(Irp)) {
#ifdef FIXED
    case IOCTL_X12_KEEP:
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    case IOCTL_X12_LOCK:
        return SampleComplete(Irp, AskOwner(IOCTL_OWNER_LOCK, NULL), 0);
    case IOCTL_X12_UNLOCK:
        return SampleComplete(Irp, AskOwner(IOCTL_OWNER_UNLOCK, NULL), 0);
#else
    case IOCTL_X12_KEEP:
        return SampleComplete(Irp, AskOwner(IOCTL_OWNER_HANDLE, &X12Handle), 0);
    case IOCTL_X12_LOCK:
        MmLockPagableSectionByHandle(X12Handle);
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    case IOCTL_X12_UNLOCK:
        MmUnlockPagableImageSection(X12Handle);
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
#endif
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X12", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X12DeviceControl;
    }
    return status;
}
