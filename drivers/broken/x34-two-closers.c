// The first open locks a section and the last close unlocks it. The count of opens is right, but between the look at it and
// the change another close can look, too: then both see that another file is open, or both that theirs is the last (R13).
//
//   expected  K05 at unload where both closes see another file; 0x1A/0x1010 where both unlock
//   trigger   open twice; close both at the same time, with a switch between look and change; unload
//   repaired  a fast mutex around look and change
#include "sample.h"

typedef struct _X34 {
    FAST_MUTEX Mutex;
    volatile LONG Opens;
    PVOID Code;
} X34, *PX34;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X34Create;
DRIVER_DISPATCH X34Close;
ULONG X34Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX34, X34Work)

ULONG X34Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(X34Filler, "PAGEX34", 8192)

NTSTATUS X34Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX34 x34 = Device->DeviceExtension;
    SampleEnter(&x34->Mutex);
    if (x34->Opens == 0) {
        x34->Code = MmLockPagableCodeSection((PVOID)X34Work);
    }
    x34->Opens++;
    SampleLeave(&x34->Mutex);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS X34Close(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX34 x34 = Device->DeviceExtension;
    LONG opens;
#ifdef FIXED
    SampleEnter(&x34->Mutex);
#endif
    opens = x34->Opens;
    DbgPrint("x34: %d files before this close\n", opens);
    x34->Opens = opens - 1;
    if (opens == 1) {
        MmUnlockPagableImageSection(x34->Code);
    }
#ifdef FIXED
    SampleLeave(&x34->Mutex);
#endif
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X34", sizeof(X34), &device);
    if (NT_SUCCESS(status)) {
        ExInitializeFastMutex(&((PX34)device->DeviceExtension)->Mutex);
        Driver->MajorFunction[IRP_MJ_CREATE] = X34Create;
        Driver->MajorFunction[IRP_MJ_CLOSE] = X34Close;
    }
    return status;
}
