// What Driver Verifier counts (R184, R185), each a number of times of its own, so that no two of its counters are alike:
//
//   3 spin locks, 2 synchronised executions, 5 allocations, of which 1 has no tag and 1 finds no memory
//
// It raises the IRQL once by a call. Each of these asks for a trim where Force IRQL Checking is on.
#include "sample.h"

#define COUNTED_TAG TAG('C', 'n', 't', 'd')

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD CountedUnload;
DRIVER_DISPATCH CountedDeviceControl;
KSERVICE_ROUTINE CountedInterrupt;
KSYNCHRONIZE_ROUTINE CountedSynchronized;

typedef struct _COUNTED {
    KSPIN_LOCK Lock;
    PKINTERRUPT Interrupt;
    ULONG Value;
} COUNTED, *PCOUNTED;

#pragma alloc_text(INIT, DriverEntry)

BOOLEAN CountedInterrupt(PKINTERRUPT Interrupt, PVOID Context)
{
    UNREFERENCED_PARAMETER(Interrupt);
    UNREFERENCED_PARAMETER(Context);
    return FALSE;
}

BOOLEAN CountedSynchronized(PVOID Context)
{
    ++((PCOUNTED)Context)->Value;
    return TRUE;
}

static VOID CountedAllocate(SIZE_T Bytes)
{
    PVOID block = ExAllocatePoolWithTag(NonPagedPool, Bytes, COUNTED_TAG);
    if (block != NULL) {
        ExFreePoolWithTag(block, COUNTED_TAG);
    }
}

static VOID CountedRun(PCOUNTED Counted)
{
    KIRQL irql;
    for (ULONG index = 0; index < 3; ++index) {
        KeAcquireSpinLock(&Counted->Lock, &irql);
        ++Counted->Value;
        KeReleaseSpinLock(&Counted->Lock, irql);
    }
    KeSynchronizeExecution(Counted->Interrupt, CountedSynchronized, Counted);
    KeSynchronizeExecution(Counted->Interrupt, CountedSynchronized, Counted);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    ++Counted->Value;
    KeLowerIrql(irql);
    for (ULONG index = 0; index < 3; ++index) {
        CountedAllocate(64);
    }
    CountedAllocate((SIZE_T)1 << 40); // more than there is
    PVOID untagged = ExAllocatePoolWithTag(NonPagedPool, 64, TAG('N', 'o', 'n', 'e')); // what ExAllocatePool is
    if (untagged != NULL) {
        ExFreePoolWithTag(untagged, 0);
    }
}

NTSTATUS CountedDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PCOUNTED counted = Device->DeviceExtension;
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    CountedRun(counted);
    return SampleOutput(Irp, STATUS_SUCCESS, counted->Value);
}

VOID CountedUnload(PDRIVER_OBJECT Driver)
{
    IoDisconnectInterrupt(((PCOUNTED)Driver->DeviceObject->DeviceExtension)->Interrupt);
    SampleDeleteDevice(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Counted", sizeof(COUNTED), &device);
    if (NT_SUCCESS(status)) {
        PCOUNTED counted = device->DeviceExtension;
        KeInitializeSpinLock(&counted->Lock);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = CountedDeviceControl;
        Driver->DriverUnload = CountedUnload;
        status = SampleConnectInterrupt(7, CountedInterrupt, counted, NULL, &counted->Interrupt);
        if (!NT_SUCCESS(status)) {
            SampleDeleteDevice(Driver);
        }
    }
    return status;
}
