// A DPC uses variables in PAGEDATA that nobody locked. WRITE_FIRST makes the first access a write. Public origin: DMF #125.
//
//   expected  out: 0xD1 (X05Limit, 2, 0, in X05Dpc), or with WRITE_FIRST (X05Total, 2, 1, in X05Dpc); else K13
//   trigger   ioctl 0x222000
//   repaired  the section is locked while the DPC may run (R7)
#include "sample.h"

#pragma data_seg("PAGEDATA")
volatile ULONG X05Limit = 1000;
volatile ULONG X05Total = 1;
volatile UCHAR X05Filler[4096] = {1};
#pragma data_seg()

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X05DeviceControl;
KDEFERRED_ROUTINE X05Dpc;

#pragma alloc_text(INIT, DriverEntry)

VOID X05Dpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
#ifdef WRITE_FIRST
    X05Total = 7;
#else
    if (X05Limit > 7) {
        X05Total = 7;
    }
#endif
}

NTSTATUS X05DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
#ifdef FIXED
    PVOID data;
#endif

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
#ifdef FIXED
    data = MmLockPagableDataSection((PVOID)&X05Total);
#endif
    KeInsertQueueDpc(Device->DeviceExtension, NULL, NULL);
    KeFlushQueuedDpcs();
#ifdef FIXED
    MmUnlockPagableImageSection(data);
#endif
    return SampleOutput(Irp, STATUS_SUCCESS, X05Total);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X05", sizeof(KDPC), &device);
    if (NT_SUCCESS(status)) {
        KeInitializeDpc(device->DeviceExtension, X05Dpc, NULL);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X05DeviceControl;
    }
    return status;
}
