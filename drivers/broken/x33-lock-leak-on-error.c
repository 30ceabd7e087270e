// An open locks a section, then allocates. Where there is no memory the open fails, and the lock stays: nobody closes a file
// that was not opened (R17).
//
//   expected  K05 at unload, in every schedule in which the allocation fails; else nothing
//   trigger   open while the allocation fails, unload
//   repaired  the error path gives the lock back
#include "sample.h"

#define X33_TAG '33XN'

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X33Create;
DRIVER_DISPATCH X33Close;
ULONG X33Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX33, X33Work)

ULONG X33Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(X33Filler, "PAGEX33", 8192)

typedef struct _X33_OPEN {
    PVOID Code;
    ULONG Count;
} X33_OPEN, *PX33_OPEN;

NTSTATUS X33Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PVOID code = MmLockPagableCodeSection((PVOID)X33Work);
    PX33_OPEN open = ExAllocatePoolWithTag(NonPagedPool, sizeof(X33_OPEN), X33_TAG);
    UNREFERENCED_PARAMETER(Device);
    if (open == NULL) {
#ifdef FIXED
        MmUnlockPagableImageSection(code);
#endif
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    open->Code = code;
    open->Count = X33Work(0);
    IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext = open;
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS X33Close(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX33_OPEN open = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;
    UNREFERENCED_PARAMETER(Device);
    MmUnlockPagableImageSection(open->Code);
    ExFreePoolWithTag(open, X33_TAG);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X33", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_CREATE] = X33Create;
        Driver->MajorFunction[IRP_MJ_CLOSE] = X33Close;
    }
    return status;
}
