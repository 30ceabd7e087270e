// A threaded DPC reads a table in PAGEDATA. It runs at PASSIVE_LEVEL, where that is possible; but where the registry disables
// threaded DPCs it runs at DISPATCH_LEVEL (docs: kernel/introduction-to-threaded-dpcs).
//
//   expected  K13; out: 0xD1 (X51Weights, 2, 0, X51Work)
//   trigger   open, while threaded DPCs are disabled
//   repaired  the table in .data
#include "sample.h"

typedef struct _X51 {
    FAST_MUTEX Mutex;
    KDPC Dpc;
    KEVENT Done;
    ULONG Value;
} X51, *PX51;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X51Create;
KDEFERRED_ROUTINE X51Work;

#pragma alloc_text(INIT, DriverEntry)

#ifndef FIXED
#pragma data_seg("PAGEDATA")
#endif
volatile ULONG X51Weights[1024] = {3, 5, 8};
#pragma data_seg()

VOID X51Work(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PX51 x51 = Context;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    x51->Value += X51Weights[1];
    KeSetEvent(&x51->Done, IO_NO_INCREMENT, FALSE);
}

NTSTATUS X51Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX51 x51 = Device->DeviceExtension;

    SampleEnter(&x51->Mutex);
    KeInsertQueueDpc(&x51->Dpc, NULL, NULL);
    KeWaitForSingleObject(&x51->Done, Executive, KernelMode, FALSE, NULL);
    SampleLeave(&x51->Mutex);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X51", sizeof(X51), &device);
    if (NT_SUCCESS(status)) {
        PX51 x51 = device->DeviceExtension;
        ExInitializeFastMutex(&x51->Mutex);
        KeInitializeThreadedDpc(&x51->Dpc, X51Work, x51);
        KeInitializeEvent(&x51->Done, SynchronizationEvent, FALSE);
        Driver->MajorFunction[IRP_MJ_CREATE] = X51Create;
    }
    return status;
}
