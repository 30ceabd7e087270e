// Paged code raises the IRQL by itself and takes a queued spin lock. On x64 KeRaiseIrql is one instruction, a write to CR8,
// so there is no call that a tool could intercept (D49). Public origin: DMF #217.
//
//   expected  trimmed: 0xD1 (the instruction after the write to CR8, 2, 8, the same); else K13 and K26. A verifier has to
//             see the raise
//   trigger   ioctl 0x222000
//   repaired  the locked stretch is a function in .text
#include "sample.h"

typedef struct _X04 {
    KSPIN_LOCK Lock;
    ULONG Count;
} X04, *PX04;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X04DeviceControl;
ULONG X04Locked(PX04 Device);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, X04DeviceControl)
#ifndef FIXED
#pragma alloc_text(PAGE, X04Locked)
#endif

ULONG X04Locked(PX04 Device)
{
    KLOCK_QUEUE_HANDLE queue;
    ULONG count;
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    KeAcquireInStackQueuedSpinLockAtDpcLevel(&Device->Lock, &queue);
    count = ++Device->Count;
    KeReleaseInStackQueuedSpinLockFromDpcLevel(&queue);
    KeLowerIrql(irql);
    return count;
}

SECTION_FILLER(X04Filler, "PAGE", 4096)

NTSTATUS X04DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PAGED_CODE();

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleOutput(Irp, STATUS_SUCCESS, X04Locked(Device->DeviceExtension));
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X04", sizeof(X04), &device);
    if (NT_SUCCESS(status)) {
        KeInitializeSpinLock(&((PX04)device->DeviceExtension)->Lock);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X04DeviceControl;
    }
    return status;
}
