// A callback in PAGE holds a spin lock. PAGED_CODE sees nothing wrong: it looks at the IRQL once, at the start (R30), and
// the lock raises it later. Public origin: virtio-win #99.
//
//   expected  trimmed: 0xD1 (the instruction after the call, 2, 8, the same); else K13 and K26
//   trigger   ioctl 0x222000
//   repaired  the callback is resident (R5)
#include "sample.h"

typedef struct _X01 {
    KSPIN_LOCK Lock;
    ULONG Count;
} X01, *PX01;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X01DeviceControl;
ULONG X01Callback(PX01 Device);

#pragma alloc_text(INIT, DriverEntry)
#ifndef FIXED
#pragma alloc_text(PAGE, X01Callback)
#endif

ULONG X01Callback(PX01 Device)
{
    ULONG count;
    KIRQL irql;
#ifndef FIXED
    PAGED_CODE();
#endif
    KeAcquireSpinLock(&Device->Lock, &irql);
    count = ++Device->Count;
    KeReleaseSpinLock(&Device->Lock, irql);
    return count;
}

SECTION_FILLER(X01Filler, "PAGE", 4096)

NTSTATUS X01DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleOutput(Irp, STATUS_SUCCESS, X01Callback(Device->DeviceExtension));
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X01", sizeof(X01), &device);
    if (NT_SUCCESS(status)) {
        KeInitializeSpinLock(&((PX01)device->DeviceExtension)->Lock);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X01DeviceControl;
    }
    return status;
}
