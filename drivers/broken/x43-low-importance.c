// A DPC of low importance uses a section that is unlocked when it was queued, as if it had run by then. KeInsertQueueDpc does
// not begin to process the queue for it (docs: kernel/organization-of-dpc-queues).
//
//   expected  K13; out: 0xD1 (X43Work, 2, 8, X43Work)
//   trigger   open, while the queue is left alone
//   repaired  KeFlushQueuedDpcs before the section is unlocked
#include "sample.h"

typedef struct _X43 {
    FAST_MUTEX Mutex;
    KDPC Dpc;
    ULONG Value;
} X43, *PX43;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X43Create;
KDEFERRED_ROUTINE X43Dpc;
ULONG X43Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX43, X43Work)

ULONG X43Work(ULONG Value)
{
    return Value + 1;
}

SECTION_FILLER(X43Filler, "PAGEX43", 8192)

VOID X43Dpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PX43 x43 = Context;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    x43->Value = X43Work(x43->Value);
}

NTSTATUS X43Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX43 x43 = Device->DeviceExtension;
    PVOID section;

    SampleEnter(&x43->Mutex);
    section = MmLockPagableCodeSection((PVOID)X43Work);
    KeInsertQueueDpc(&x43->Dpc, NULL, NULL);
#ifdef FIXED
    KeFlushQueuedDpcs();
#endif
    MmUnlockPagableImageSection(section);
    SampleLeave(&x43->Mutex);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X43", sizeof(X43), &device);
    if (NT_SUCCESS(status)) {
        PX43 x43 = device->DeviceExtension;
        ExInitializeFastMutex(&x43->Mutex);
        KeInitializeDpc(&x43->Dpc, X43Dpc, x43);
        KeSetImportanceDpc(&x43->Dpc, LowImportance);
        Driver->MajorFunction[IRP_MJ_CREATE] = X43Create;
    }
    return status;
}
