// A helper in resident code takes a spin lock and returns. Its caller is pageable, and goes on at DISPATCH_LEVEL: nothing in it
// raises, and nothing enters it raised.
//
//   expected  K26; out: 0xD1 (in HelpedRequest, 2, 8, the same); else K13
//   trigger   ioctl 0x222000
//   repaired  the caller is resident
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH HelpedDeviceControl;
ULONG HelpedRequest(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#ifndef FIXED
#pragma alloc_text(PAGEHELP, HelpedRequest)
#endif

static KSPIN_LOCK HelpedLock;
static ULONG HelpedTotal;

static DECLSPEC_NOINLINE KIRQL HelpedAcquire(VOID)
{
    KIRQL irql;
    KeAcquireSpinLock(&HelpedLock, &irql);
    return irql;
}

static DECLSPEC_NOINLINE VOID HelpedRelease(KIRQL Irql)
{
    KeReleaseSpinLock(&HelpedLock, Irql);
}

ULONG HelpedRequest(ULONG Value)
{
    KIRQL irql = HelpedAcquire();
    HelpedTotal += Value;
    HelpedRelease(irql);
    return Value + 1;
}

#ifndef FIXED
SECTION_FILLER(HelpedFiller, "PAGEHELP", 8192)
#endif

NTSTATUS HelpedDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleOutput(Irp, STATUS_SUCCESS, HelpedRequest(SampleInput(Irp)));
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    KeInitializeSpinLock(&HelpedLock);
    status = SAMPLE_CREATE_DEVICE(Driver, L"Helped", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = HelpedDeviceControl;
    }
    return status;
}
