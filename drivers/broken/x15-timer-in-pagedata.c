// A timer and an event in PAGEDATA. The system touches both at DISPATCH_LEVEL, whenever the timer expires (R22).
//
//   expected  verifier: 0xC4 (0xE1, the object) when they are initialised; trimmed: 0xD3 (in X15Timer or X15Event, 2, 0 or
//             1, in the kernel); in any case K11
//   trigger   ioctl 0x222000, which waits for the timer's DPC to set the event
//   repaired  both in .data
#include "sample.h"

#ifndef FIXED
#pragma data_seg("PAGEDATA")
#endif
KTIMER X15Timer = {0};
KEVENT X15Event = {0};
#pragma data_seg("PAGEDATA")
volatile UCHAR X15Filler[4096] = {1};
#pragma data_seg()

typedef struct _X15 {
    KDPC Dpc;
    KSPIN_LOCK Lock;
    ULONG Started;
} X15, *PX15;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X15DeviceControl;
KDEFERRED_ROUTINE X15Dpc;

#pragma alloc_text(INIT, DriverEntry)

VOID X15Dpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeSetEvent(&X15Event, IO_NO_INCREMENT, FALSE);
}

NTSTATUS X15DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX15 x15 = Device->DeviceExtension;
    LARGE_INTEGER due;
    KIRQL irql;

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    due.QuadPart = -10 * 10000;
    KeInitializeTimer(&X15Timer);
    KeInitializeEvent(&X15Event, SynchronizationEvent, FALSE);
    KeSetTimer(&X15Timer, due, &x15->Dpc);
    // Nothing is wrong with this stretch; it raises the IRQL, and that is when pages may be seen to have left.
    KeAcquireSpinLock(&x15->Lock, &irql);
    x15->Started++;
    KeReleaseSpinLock(&x15->Lock, irql);
    KeWaitForSingleObject(&X15Event, Executive, KernelMode, FALSE, NULL);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X15", sizeof(X15), &device);
    if (NT_SUCCESS(status)) {
        PX15 x15 = device->DeviceExtension;
        KeInitializeSpinLock(&x15->Lock);
        KeInitializeDpc(&x15->Dpc, X15Dpc, NULL);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X15DeviceControl;
    }
    return status;
}
