// A read is completed by a timer or by its cancel routine, whichever comes first: but the timer does not ask whether it was the
// first (docs: kernel/synchronizing-irp-cancellation).
//
//   expected  0x44 (the request, ..)
//   trigger   open, read, cancelled before the timer comes
//   repaired  who gets the cancel routine completes the request
#include "sample.h"

typedef struct _X48 {
    KTIMER Timer;
    KDPC Dpc;
    PIRP volatile Read;
} X48, *PX48;

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD X48Unload;
DRIVER_DISPATCH X48Read;
DRIVER_CANCEL X48Cancel;
KDEFERRED_ROUTINE X48Expired;

#pragma alloc_text(INIT, DriverEntry)

VOID X48Cancel(PDEVICE_OBJECT Device, PIRP Irp)
{
#ifdef FIXED
    InterlockedExchangePointer((PVOID *)&((PX48)Device->DeviceExtension)->Read, NULL);
#else
    UNREFERENCED_PARAMETER(Device);
#endif
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    SampleComplete(Irp, STATUS_CANCELLED, 0);
}

VOID X48Expired(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PX48 x48 = Context;
    PIRP irp;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);

#ifdef FIXED
    KIRQL irql;
    IoAcquireCancelSpinLock(&irql);
    irp = InterlockedExchangePointer((PVOID *)&x48->Read, NULL);
    if (irp != NULL && IoSetCancelRoutine(irp, NULL) == NULL) {
        irp = NULL;
    }
    IoReleaseCancelSpinLock(irql);
#else
    irp = InterlockedExchangePointer((PVOID *)&x48->Read, NULL);
#endif
    if (irp != NULL) {
#ifndef FIXED
        IoSetCancelRoutine(irp, NULL);
#endif
        SampleComplete(irp, STATUS_SUCCESS, 0);
    }
}

// One at a time: another one gets nothing.
NTSTATUS X48Read(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX48 x48 = Device->DeviceExtension;
    LARGE_INTEGER due;
    KIRQL irql;

    IoAcquireCancelSpinLock(&irql);
    if (Irp->Cancel || x48->Read != NULL) {
        IoReleaseCancelSpinLock(irql);
        return SampleComplete(Irp, STATUS_DEVICE_BUSY, 0);
    }
    IoMarkIrpPending(Irp);
    IoSetCancelRoutine(Irp, X48Cancel);
    x48->Read = Irp;
    due.QuadPart = -10 * 100;
    KeSetTimer(&x48->Timer, due, &x48->Dpc);
    IoReleaseCancelSpinLock(irql);
    return STATUS_PENDING;
}

VOID X48Unload(PDRIVER_OBJECT Driver)
{
    KeCancelTimer(&((PX48)Driver->DeviceObject->DeviceExtension)->Timer);
    KeFlushQueuedDpcs();
    SampleDeleteDevice(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X48", sizeof(X48), &device);
    if (NT_SUCCESS(status)) {
        PX48 x48 = device->DeviceExtension;
        KeInitializeTimer(&x48->Timer);
        KeInitializeDpc(&x48->Dpc, X48Expired, x48);
        Driver->MajorFunction[IRP_MJ_READ] = X48Read;
        Driver->DriverUnload = X48Unload;
    }
    return status;
}
