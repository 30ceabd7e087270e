// A client of an export driver locks the library's section through the address that it imports, and keeps the lock when it
// is unloaded. The library goes with its last client, and the lock with nobody left who could give it back.
//
//   expected  K06; then, when the library goes, K05 n = 1 with the call in this driver
//   trigger   open; close; unload
//   repaired  the last close unlocks
#include "library.h"
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH LeftCreate;
DRIVER_DISPATCH LeftClose;

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, LeftCreate)
#pragma alloc_text(PAGE, LeftClose)

#ifdef FIXED
NTSTATUS LeftCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    PAGED_CODE();
    ChecksumLock();
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS LeftClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    PAGED_CODE();
    ChecksumUnlock();
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}
#else
NTSTATUS LeftCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    PAGED_CODE();
    MmLockPagableCodeSection((PVOID)ChecksumOf);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS LeftClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    PAGED_CODE();
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}
#endif

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"LeftLocked", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_CREATE] = LeftCreate;
        Driver->MajorFunction[IRP_MJ_CLOSE] = LeftClose;
    }
    return status;
}
