// The service routine is resident, but the DPC that it queues lies in a pageable section that nobody locks (R8).
//
//   expected  K10; out: 0xD1 (X28Dpc, 2, 8, X28Dpc)
//   trigger   open, interrupt line 7
//   repaired  the DPC is in .text
#include "sample.h"

typedef struct _X28 {
    FAST_MUTEX Mutex;
    ULONG Opens;
    PKINTERRUPT Interrupt;
    KDPC Dpc;
    volatile LONG Count;
} X28, *PX28;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X28Create;
DRIVER_DISPATCH X28Close;
KSERVICE_ROUTINE X28Interrupt;
KDEFERRED_ROUTINE X28Dpc;

#pragma alloc_text(INIT, DriverEntry)
#ifndef FIXED
#pragma alloc_text(PAGEDPC, X28Dpc)
SECTION_FILLER(X28Filler, "PAGEDPC", 8192)
#endif

VOID X28Dpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    ((PX28)Context)->Count++;
}

BOOLEAN X28Interrupt(PKINTERRUPT Interrupt, PVOID Context)
{
    PX28 x28 = Context;
    UNREFERENCED_PARAMETER(Interrupt);
    KeInsertQueueDpc(&x28->Dpc, NULL, NULL);
    return TRUE;
}

NTSTATUS X28Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX28 x28 = Device->DeviceExtension;
    NTSTATUS status = STATUS_SUCCESS;
    SampleEnter(&x28->Mutex);
    if (x28->Opens == 0) {
        status = SampleConnectInterrupt(7, X28Interrupt, x28, NULL, &x28->Interrupt);
    }
    if (NT_SUCCESS(status)) {
        x28->Opens++;
    }
    SampleLeave(&x28->Mutex);
    return SampleComplete(Irp, status, 0);
}

NTSTATUS X28Close(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX28 x28 = Device->DeviceExtension;
    SampleEnter(&x28->Mutex);
    if (--x28->Opens == 0) {
        IoDisconnectInterrupt(x28->Interrupt);
        KeFlushQueuedDpcs();
    }
    SampleLeave(&x28->Mutex);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X28", sizeof(X28), &device);
    if (NT_SUCCESS(status)) {
        PX28 x28 = device->DeviceExtension;
        ExInitializeFastMutex(&x28->Mutex);
        KeInitializeDpc(&x28->Dpc, X28Dpc, x28);
        Driver->MajorFunction[IRP_MJ_CREATE] = X28Create;
        Driver->MajorFunction[IRP_MJ_CLOSE] = X28Close;
    }
    return status;
}
