// A helper that holds a spin lock has no section of its own: the compiler puts a copy into each caller, and one caller is
// in PAGE. `alloc_text` cannot place inlined copies (R33). Public origin: virtio-win #1018.
//
//   expected  trimmed: 0xD1 (the instruction after the inlined call, 2, 8, the same); else K13 and K26, which names the
//             caller and the inlined lines
//   trigger   ioctl 0x222000
//   repaired  the helper is a function, in .text
#include "sample.h"

typedef struct _X02 {
    KSPIN_LOCK Lock;
    ULONG Count;
} X02, *PX02;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X02DeviceControl;
ULONG X02Query(PX02 Device);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, X02Query)

#ifdef FIXED
ULONG X02Increment(PX02 Device)
#else
__forceinline ULONG X02Increment(PX02 Device)
#endif
{
    ULONG count;
    KIRQL irql;
    KeAcquireSpinLock(&Device->Lock, &irql);
    count = ++Device->Count;
    KeReleaseSpinLock(&Device->Lock, irql);
    return count;
}

ULONG X02Query(PX02 Device)
{
    PAGED_CODE();
    return X02Increment(Device) * 2;
}

SECTION_FILLER(X02Filler, "PAGE", 4096)

NTSTATUS X02DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleOutput(Irp, STATUS_SUCCESS, X02Query(Device->DeviceExtension));
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X02", sizeof(X02), &device);
    if (NT_SUCCESS(status)) {
        KeInitializeSpinLock(&((PX02)device->DeviceExtension)->Lock);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X02DeviceControl;
    }
    return status;
}
