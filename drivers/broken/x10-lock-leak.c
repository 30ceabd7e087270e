// Locked by DriverEntry and by each open, unlocked by each close: one lock is left when the driver is unloaded (R17).
//
//   expected  K05, count 1, with both places that locked; the pages of PAGEX10 are lost. No bug check
//   trigger   open, close, unload
//   repaired  Unload gives back what DriverEntry took
#include "sample.h"

PVOID X10Code;

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD X10Unload;
DRIVER_DISPATCH X10Create;
DRIVER_DISPATCH X10Close;
ULONG X10Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX10, X10Work)

ULONG X10Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(X10Filler, "PAGEX10", 8192)

NTSTATUS X10Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    MmLockPagableSectionByHandle(X10Code);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS X10Close(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    MmUnlockPagableImageSection(X10Code);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

VOID X10Unload(PDRIVER_OBJECT Driver)
{
#ifdef FIXED
    MmUnlockPagableImageSection(X10Code);
#endif
    SampleDeleteDevice(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X10", 0, &device);
    if (NT_SUCCESS(status)) {
        X10Code = MmLockPagableCodeSection((PVOID)X10Work);
        Driver->MajorFunction[IRP_MJ_CREATE] = X10Create;
        Driver->MajorFunction[IRP_MJ_CLOSE] = X10Close;
        Driver->DriverUnload = X10Unload;
    }
    return status;
}
