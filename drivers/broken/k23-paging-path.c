// A disk that accepts a paging file while its read routine is in PAGE: a page fault that needs the routine to be served
// waits for itself. Nothing happens as long as the routine is in memory.
//
//   expected  K23 when the device accepts the paging file
//   trigger   IRP_MN_DEVICE_USAGE_NOTIFICATION
//   repaired  the routine is resident (R8, R19)
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH K23Read;

#pragma alloc_text(INIT, DriverEntry)
#ifndef FIXED
#pragma alloc_text(PAGE, K23Read)
SECTION_FILLER(K23Filler, "PAGE", 8192)
#endif

// A disk of zeros.
NTSTATUS K23Read(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG length = IoGetCurrentIrpStackLocation(Irp)->Parameters.Read.Length;
    UNREFERENCED_PARAMETER(Device);
#ifndef FIXED
    PAGED_CODE();
#endif
    RtlZeroMemory(Irp->AssociatedIrp.SystemBuffer, length);
    return SampleComplete(Irp, STATUS_SUCCESS, length);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"K23", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_READ] = K23Read;
    }
    return status;
}
