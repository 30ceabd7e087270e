// A routine that a request and a DPC share looks at IRQL before it calls its pageable part, and has the comparison the wrong
// way round.
//
//   expected  out: 0xD1 (K13Details, 2, 8, K13Details); else K13
//   trigger   ioctl 0x222000
//   repaired  the pageable part runs below DISPATCH_LEVEL
#include "sample.h"

typedef struct _K13 {
    KDPC Dpc;
    volatile ULONG Count;
    volatile ULONG Details;
} K13, *PK13;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH K13DeviceControl;
KDEFERRED_ROUTINE K13Dpc;
VOID K13Details(PK13 Device);
VOID K13Report(PK13 Device);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, K13Details)

VOID K13Details(PK13 Device)
{
    Device->Details++;
}

SECTION_FILLER(K13Filler, "PAGE", 8192)

VOID K13Report(PK13 Device)
{
#ifdef FIXED
    if (KeGetCurrentIrql() < DISPATCH_LEVEL) {
#else
    if (KeGetCurrentIrql() >= DISPATCH_LEVEL) {
#endif
        K13Details(Device);
    }
    Device->Count++;
}

VOID K13Dpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    K13Report(Context);
}

NTSTATUS K13DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PK13 k13 = Device->DeviceExtension;

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    K13Report(k13);
    KeInsertQueueDpc(&k13->Dpc, NULL, NULL);
    KeFlushQueuedDpcs();
    return SampleOutput(Irp, STATUS_SUCCESS, k13->Count);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"K13", sizeof(K13), &device);
    if (NT_SUCCESS(status)) {
        PK13 k13 = device->DeviceExtension;
        KeInitializeDpc(&k13->Dpc, K13Dpc, k13);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = K13DeviceControl;
    }
    return status;
}
