// One driver unlocks what another has locked. The count does not know whose lock it is (D18, D24), so the owner's own unlock
// is the one that fails.
//
//   expected  K06; then in the owner 0x1A (0x1010, the handle, 6 COUNT_ZERO, the return address in OwnerClose)
//   trigger   load owner and this; open owner; ioctl 0x222000 of this; close owner
//   repaired  this driver keeps the owner open, which keeps its section locked; to let go of it needs no memory
#include "owner.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X25DeviceControl;
NTSTATUS X25Use(VOID);

#pragma alloc_text(INIT, DriverEntry)

#ifdef FIXED
NTSTATUS X25Use(VOID)
{
    UNICODE_STRING name;
    PDEVICE_OBJECT device;
    PFILE_OBJECT file;
    NTSTATUS status;

    RtlInitUnicodeString(&name, L"\\Device\\" OWNER_NAME);
    status = IoGetDeviceObjectPointer(&name, FILE_READ_DATA, &file, &device);
    if (NT_SUCCESS(status)) {
        ObDereferenceObject(file);
    }
    return status;
}
#else
NTSTATUS X25Use(VOID)
{
    PVOID handle;
    NTSTATUS status = AskOwner(IOCTL_OWNER_HANDLE, &handle);
    if (NT_SUCCESS(status)) {
        MmUnlockPagableImageSection(handle);
    }
    return status;
}
#endif

NTSTATUS X25DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleComplete(Irp, X25Use(), 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X25", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X25DeviceControl;
    }
    return status;
}
