// A driver of a serial port looks at the line status with a spin lock held. Errors are rare, so what handles them is pageable.
// The other end of the cable decides when one comes.
//
//   expected  0xD1 (X47Error, 2, 8, X47Error)
//   trigger   open, while a break comes in at the port
//   repaired  the error is handled when the lock is released
#include "sample.h"

#define X47_LINE_STATUS ((PUCHAR)0x3FD)
#define X47_ERRORS 0x1E

typedef struct _X47 {
    KSPIN_LOCK Lock;
    volatile LONG Errors;
} X47, *PX47;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X47Create;
VOID X47Error(PX47 X47);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX47, X47Error)

VOID X47Error(PX47 X47)
{
    X47->Errors++;
}

SECTION_FILLER(X47Filler, "PAGEX47", 8192)

NTSTATUS X47Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX47 x47 = Device->DeviceExtension;
    BOOLEAN failed;
    UCHAR status;
    KIRQL irql;

    KeAcquireSpinLock(&x47->Lock, &irql);
    status = READ_PORT_UCHAR(X47_LINE_STATUS);
    // All ones: the card is not there.
    failed = status != 0xFF && (status & X47_ERRORS) != 0;
#ifndef FIXED
    if (failed) {
        X47Error(x47);
    }
#endif
    KeReleaseSpinLock(&x47->Lock, irql);
#ifdef FIXED
    if (failed) {
        X47Error(x47);
    }
#endif
    return SampleComplete(Irp, status == 0xFF ? STATUS_DEVICE_NOT_CONNECTED : STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X47", sizeof(X47), &device);
    if (NT_SUCCESS(status)) {
        KeInitializeSpinLock(&((PX47)device->DeviceExtension)->Lock);
        Driver->MajorFunction[IRP_MJ_CREATE] = X47Create;
    }
    return status;
}
