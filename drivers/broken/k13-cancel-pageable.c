// A read waits, with a cancel routine in PAGE. The system calls it at DISPATCH_LEVEL, holding the cancel spin lock (R8).
//
//   expected  out: 0xD1 (K13Cancel, 2, 8, K13Cancel); else K13
//   trigger   read, then cancel it
//   repaired  the routine is in .text
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH K13Read;
DRIVER_CANCEL K13Cancel;

#pragma alloc_text(INIT, DriverEntry)
#ifndef FIXED
#pragma alloc_text(PAGE, K13Cancel)
SECTION_FILLER(K13Filler, "PAGE", 8192)
#endif

VOID K13Cancel(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    SampleComplete(Irp, STATUS_CANCELLED, 0);
}

NTSTATUS K13Read(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    IoMarkIrpPending(Irp);
    IoSetCancelRoutine(Irp, K13Cancel);
    if (Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL) {
        SampleComplete(Irp, STATUS_CANCELLED, 0);
    }
    return STATUS_PENDING;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"K13", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_READ] = K13Read;
    }
    return status;
}
