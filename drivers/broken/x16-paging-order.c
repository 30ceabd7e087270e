// A driver that pages itself as a whole, in the wrong order (R24, R25).
//
//   nothing        a request pages the driver although the interrupt is connected, "because there is nothing to do"
//   CONNECT_FIRST  open connects the interrupt, and only the first request resets
//   OWN_LOCK       as the first, and the interrupt's spin lock is in .data, where the system touches it first
//
//   expected  K03, with CONNECT_FIRST K04; if an interrupt comes in the window, trimmed: 0xD1 (X16Interrupt, DIRQL, 8,
//             X16Interrupt), with OWN_LOCK 0xD3 (X16Lock, DIRQL, 0 or 1, in the kernel)
//   trigger   open, ioctl 0x222000, interrupt line 7; with CONNECT_FIRST open, interrupt line 7, ioctl 0x222000
//   repaired  the first open resets, then connects; the last close disconnects, then pages; requests do neither
#include "sample.h"

KSPIN_LOCK X16Lock;

typedef struct _X16 {
    FAST_MUTEX Mutex;
    ULONG Opens;
    PKINTERRUPT Interrupt;
    volatile LONG Count;
} X16, *PX16;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X16Create;
DRIVER_DISPATCH X16Close;
DRIVER_DISPATCH X16DeviceControl;
KSERVICE_ROUTINE X16Interrupt;

#pragma alloc_text(INIT, DriverEntry)

BOOLEAN X16Interrupt(PKINTERRUPT Interrupt, PVOID Context)
{
    UNREFERENCED_PARAMETER(Interrupt);
    ((PX16)Context)->Count++;
    return TRUE;
}

VOID X16Reset(VOID)
{
    MmResetDriverPaging((PVOID)DriverEntry);
}

VOID X16Page(VOID)
{
    MmPageEntireDriver((PVOID)DriverEntry);
}

NTSTATUS X16Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX16 x16 = Device->DeviceExtension;
    PKSPIN_LOCK lock = NULL;
    NTSTATUS status = STATUS_SUCCESS;
#if defined(OWN_LOCK) && !defined(FIXED)
    lock = &X16Lock;
#endif
    SampleEnter(&x16->Mutex);
    if (x16->Opens == 0) {
#if !defined(CONNECT_FIRST) || defined(FIXED)
        X16Reset();
#endif
        status = SampleConnectInterrupt(7, X16Interrupt, x16, lock, &x16->Interrupt);
    }
    if (NT_SUCCESS(status)) {
        x16->Opens++;
    }
    SampleLeave(&x16->Mutex);
    return SampleComplete(Irp, status, 0);
}

NTSTATUS X16Close(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX16 x16 = Device->DeviceExtension;
    SampleEnter(&x16->Mutex);
    if (--x16->Opens == 0) {
        IoDisconnectInterrupt(x16->Interrupt);
        X16Page();
    }
    SampleLeave(&x16->Mutex);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS X16DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX16 x16 = Device->DeviceExtension;

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
#if defined(FIXED)
    // Nothing to page or to reset.
#elif defined(CONNECT_FIRST)
    X16Reset();
#else
    X16Page();
#endif
    return SampleOutput(Irp, STATUS_SUCCESS, x16->Count);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    X16Page();
    status = SAMPLE_CREATE_DEVICE(Driver, L"X16", sizeof(X16), &device);
    if (NT_SUCCESS(status)) {
        ExInitializeFastMutex(&((PX16)device->DeviceExtension)->Mutex);
        Driver->MajorFunction[IRP_MJ_CREATE] = X16Create;
        Driver->MajorFunction[IRP_MJ_CLOSE] = X16Close;
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X16DeviceControl;
    }
    return status;
}
